"""Semantic tokens as a language model reads them: the tokens so far, and the guide of each place.

The features of a place are those of its guide (``guides.guide_features``) and the codes of the
words or of the sound that leads (one a level of their quantiser); 0 is unknown in each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from partimento.errors import NotSupported
from partimento.music import Score
from partimento.representations.base import Tokens, Vocabulary
from partimento.representations.guides import FEATURE_SIZES, guide_features

__all__ = ["GuideTrack", "SemanticStream"]

Ints = npt.NDArray[np.int64]


@dataclass
class GuideTrack:
    """The features (n, F) of the coming places; more are added while a stream runs.

    Those of places that are over may be dropped, so that a stream without an end stays small.
    """

    features: Ints
    first: int = 0  # the place of the first row

    def add(self, features: Ints, keep: int = 0) -> None:
        """Add the features of more places; of the old ones the last ``keep`` stay."""
        drop = max(0, len(self.features) - keep)
        self.features = np.concatenate([self.features[drop:], features])
        self.first += drop

    def at(self, place: int) -> tuple[int, ...]:
        """Return the features of a place; the last known ones where there are none yet."""
        row = min(place - self.first, len(self.features) - 1)
        return tuple(self.features[max(row, 0)].tolist())


@dataclass
class _Walk:
    track: GuideTrack
    place: int = 0

    def features(self) -> tuple[int, ...]:
        return self.track.at(self.place)

    def push(self, token: int) -> None:
        self.place += 1


@dataclass(frozen=True)
class SemanticStream:
    """Semantic tokens under a guide; ``track`` is what the walk reads."""

    tokens: int
    levels: int
    codes: int
    track: GuideTrack = field(
        default_factory=lambda: GuideTrack(np.zeros((1, len(FEATURE_SIZES)), np.int64))
    )

    @property
    def vocabulary(self) -> Vocabulary:
        """The clusters, and what stands before the first of them."""
        return Vocabulary({"semantic": self.tokens, "start": 1})

    @property
    def start_token(self) -> int:
        """What stands before the first token."""
        return self.tokens

    @property
    def end_token(self) -> int | None:
        """None: sound has no end of its own."""
        return None

    @property
    def feature_sizes(self) -> tuple[int, ...]:
        """The guide's, and one more than its codes for each level."""
        return (*FEATURE_SIZES, *(self.codes + 1 for _ in range(self.levels)))

    @property
    def tokens_per_step(self) -> int:
        """One."""
        return 1

    @property
    def pitch_span(self) -> slice | None:
        """None: clusters are no pitches."""
        return None

    @property
    def hidden_features(self) -> int:
        """All of them."""
        return len(self.feature_sizes)

    def columns(self, guide: npt.NDArray[np.float32], codes: Ints | None) -> Ints:
        """Return the features (n, F) of a guide (n, 6) and codes (levels,); None: unknown."""
        told = np.zeros(self.levels, np.int64) if codes is None else np.asarray(codes) + 1
        return np.concatenate(
            [guide_features(guide), np.broadcast_to(told, (len(guide), self.levels))], axis=1
        )

    def encode(self, score: Score) -> Tokens:
        """Raise: clusters belong to a model, which encodes by `semantics.nearest`.

        Raises:
            NotSupported: always.
        """
        raise NotSupported("semantic tokens are made by a model, from sound or from a score")

    def decode(self, tokens: Tokens) -> Score:
        """Raise: a cluster holds no notes.

        Raises:
            NotSupported: always.
        """
        raise NotSupported("semantic tokens are turned into sound by a model, not into notes")

    def quantize(self, score: Score) -> Score:
        """Raise, as `decode` does.

        Raises:
            NotSupported: always.
        """
        raise NotSupported("semantic tokens hold no notes")

    def features(self, tokens: Tokens) -> Ints:
        """Return (n, F) from the track."""
        return np.array([self.track.at(at) for at in range(len(tokens))], dtype=np.int64)

    def walk(self) -> _Walk:
        """Return a walk along the track."""
        return _Walk(self.track)

    def transposed(self, tokens: Tokens, semitones: int) -> Tokens | None:
        """None: features are transposed before they are clustered."""
        return None

    def spec(self) -> dict[str, Any]:
        """Return the sizes."""
        return {
            "name": "semantic_stream", "tokens": self.tokens, "levels": self.levels,
            "codes": self.codes,
        }  # fmt: skip

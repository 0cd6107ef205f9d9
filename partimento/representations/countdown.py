"""How near the end is, as one more feature of each token.

MuseNet gave its model a countdown to the end of the piece (OpenAI 2019, "MuseNet"); here it counts
bars, so that a piece of exactly so many bars can also close like one. The feature is 0 where the
end is far or unknown, otherwise 1 + the bars that are still to begin. In training it is hidden in
half of the crops, so the model plays without it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from partimento.errors import ConfigError
from partimento.music import Score
from partimento.representations.base import TokenRepresentation, Tokens, Vocabulary, Walk
from partimento.representations.realiser import Realiser, TokenRequest
from partimento.representations.registry import (
    RepresentationEntry,
    can_close,
    make_representation,
    meaning,
    realiser_for,
)

__all__ = ["ENTRY", "Countdown", "CountdownWalk", "CountingWalk", "CountsBars"]

_MOST_COUNTED = 4096  # bars


class CountingWalk(Walk, Protocol):
    """A walk that counts bars."""

    @property
    def bars_begun(self) -> int:
        """How many bars have begun, that of the next token among them."""
        ...


@runtime_checkable
class CountsBars(TokenRepresentation, Protocol):
    """A token representation whose bars can be counted."""

    def walk(self) -> CountingWalk:
        """Return a walk at the start of a piece."""
        ...

    def bars_begun(self, tokens: Tokens) -> npt.NDArray[np.int64]:
        """Return (n,): how many bars have begun at each token."""
        ...

    def bar_count(self, tokens: Tokens) -> int:
        """Return how many bars a piece has, a last one cut short included."""
        ...


@dataclass
class CountdownWalk:
    """A walk of the base, and how many bars are still to begin."""

    base: CountingWalk
    bars: int
    total: int | None

    def features(self) -> tuple[int, ...]:
        """Return the base's features and the countdown."""
        left = self.bars if self.total is None else self.total - self.base.bars_begun
        return (*self.base.features(), 1 + left if 0 <= left < self.bars else 0)

    def push(self, token: int) -> None:
        """Take the next token in."""
        self.base.push(token)


@dataclass(frozen=True)
class Countdown:
    """A representation with a countdown over the last ``bars`` bars.

    ``total`` is how many bars the piece that is being made will have; None: unknown.
    """

    base: CountsBars
    bars: int = 8
    total: int | None = None

    @property
    def vocabulary(self) -> Vocabulary:
        """The base's vocabulary."""
        return self.base.vocabulary

    @property
    def start_token(self) -> int:
        """The base's start token."""
        return self.base.start_token

    @property
    def end_token(self) -> int | None:
        """The base's end token."""
        return self.base.end_token

    @property
    def feature_sizes(self) -> tuple[int, ...]:
        """The base's features and the countdown."""
        return (*self.base.feature_sizes, self.bars + 1)

    @property
    def tokens_per_step(self) -> int:
        """The base's tokens for one moment."""
        return self.base.tokens_per_step

    @property
    def pitch_span(self) -> slice | None:
        """The base's pitches."""
        return self.base.pitch_span

    @property
    def hidden_features(self) -> int:
        """The countdown alone: the end may be unknown."""
        return 1

    def spec(self) -> dict[str, Any]:
        """Return what makes this representation again."""
        return {"name": "countdown", "base": self.base.spec(), "bars": self.bars}

    def on(self, base: CountsBars, total: int | None) -> Countdown:
        """Return the countdown over another form of the base, for a piece of so many bars."""
        return replace(self, base=base, total=total)

    def encode(self, score: Score) -> Tokens:
        """Return the base's tokens."""
        return self.base.encode(score)

    def decode(self, tokens: Tokens) -> Score:
        """Return the base's score."""
        return self.base.decode(tokens)

    def quantize(self, score: Score) -> Score:
        """Return the base's form of a score."""
        return self.base.quantize(score)

    def features(self, tokens: Tokens) -> npt.NDArray[np.int64]:
        """Return (n, F+1), the tokens being a whole piece."""
        begun = self.base.bars_begun(tokens)
        left = self.base.bar_count(tokens) - begun
        countdown = np.where((left >= 0) & (left < self.bars), 1 + left, 0)
        return np.concatenate([self.base.features(tokens), countdown[:, None]], axis=1)

    def walk(self) -> CountdownWalk:
        """Return a walk at the start of a piece."""
        return CountdownWalk(self.base.walk(), self.bars, self.total)

    def transposed(self, tokens: Tokens, semitones: int) -> Tokens | None:
        """Return the base's tokens transposed."""
        return self.base.transposed(tokens, semitones)


def _make(options: Mapping[str, Any]) -> Countdown:
    if not isinstance(options.get("base"), Mapping):
        raise ConfigError("representation.base", "is the table of the representation counted")
    base = make_representation(options["base"])
    if not isinstance(base, CountsBars):
        raise ConfigError("representation.base", "only bar events and grids have bars to count")
    bars = options.get("bars", 8)
    if type(bars) is not int or not 1 <= bars <= _MOST_COUNTED:
        raise ConfigError("representation.bars", f"is 1..{_MOST_COUNTED}, not {bars!r}")
    return Countdown(base, bars)


def _realise(countdown: Countdown, request: TokenRequest, config: Mapping[str, Any]) -> Realiser:
    """Return the base's realiser; where the bars are known, its walk counts down to the last."""
    realiser = realiser_for(countdown.base, request, config)
    base = realiser.representation
    assert isinstance(base, CountsBars)
    bars = request.promises.bars
    total = None if bars is None else bars + base.bar_count(realiser.prompt())
    realiser.representation = countdown.on(base, total)
    return realiser


def _meaning(spec: dict[str, Any]) -> dict[str, Any]:
    return {"name": spec["name"], "base": meaning(spec["base"])}


ENTRY = RepresentationEntry(
    _make, ("bars", "base"), _realise, _meaning, lambda spec: can_close(spec.get("base", {}))
)

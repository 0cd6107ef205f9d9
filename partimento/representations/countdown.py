"""How near the end is, as one more feature of each token.

MuseNet gave its model a countdown to the end of the piece (OpenAI 2019, "MuseNet"); here it counts
bars, so that a piece of exactly so many bars can also close like one. The feature is 0 where the
end is far or unknown, otherwise 1 + the bars that are still to begin. In training it is hidden in
half of the crops, so the model plays without it too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from partimento.music import Score
from partimento.representations.bar_events import BarEvents, BarEventsWalk
from partimento.representations.base import Tokens, Vocabulary
from partimento.representations.four_voice_grid import FourVoiceGrid, GridWalk

__all__ = ["Countdown", "CountdownWalk"]


@dataclass
class CountdownWalk:
    """A walk of the base, and how many bars are still to begin."""

    base: GridWalk | BarEventsWalk
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
    """A grid or bar events with a countdown over the last ``bars`` bars.

    ``total`` is how many bars the piece that is being made will have; None: unknown.
    """

    base: FourVoiceGrid | BarEvents
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

    def spec(self) -> dict[str, Any]:
        """Return what makes this representation again."""
        return {"name": "countdown", "base": self.base.spec(), "bars": self.bars}

    def on(self, base: FourVoiceGrid | BarEvents, total: int | None) -> Countdown:
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

"""Levels of codes that are sampled as far as they are needed, from the coarsest down.

A level asks the one above for the codes that stand over its windows, which asks the next. Each has
draws of its own, so how far the others have come changes nothing. Of a stream without an end the
codes that no window and no level below needs any more are forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from partimento import seeds
from partimento.runtime.audio_tokens.prior import CodePriorSession
from partimento.runtime.audio_tokens.windows import Window, sample_level, whole_windows
from partimento.samplers.picks import Pick

__all__ = ["LabelNumbers", "LevelStream"]

Ints = npt.NDArray[np.int64]
Told = Callable[[int, int], Ints]
"""Returns the time bins (n, 3) of the codes from one to another."""


@dataclass(frozen=True)
class LabelNumbers:
    """The numbers of an artist (1,) and of genres (1, 5)."""

    artist: Ints
    genres: Ints


class LevelStream:
    """The codes of one level from the start of a piece on; the first of them may be given.

    ``ratio`` codes stand under one of the level ``above``; the coarsest level is ``told`` the time.
    """

    def __init__(
        self,
        prior: CodePriorSession,
        labels: LabelNumbers,
        pick: Pick,
        seed: tuple[int, int],
        above: LevelStream | None,
        told: Told,
        codes: Ints,
        ratio: int = 1,
    ) -> None:
        self._prior, self._labels, self._pick = prior, labels, pick
        self._rng = seeds.generator(*seed)
        self._above, self._told = above, told
        self._ratio = ratio
        self._codes, self._first = codes.astype(np.int64), 0

    @property
    def end(self) -> int:
        """How many codes there are so far, those forgotten included."""
        return self._first + len(self._codes)

    def part(self, start: int, end: int) -> Ints:
        """Return codes, sampled now as far as they are not there.

        Raises:
            ValueError: if they are forgotten.
        """
        if start < self._first:
            raise ValueError(f"code {start} is forgotten, {self._first} is the first kept")
        self.ensure(end)
        return self._codes[start - self._first : end - self._first]

    def ensure(self, count: int) -> None:
        """Sample until there are ``count`` codes or a few more."""
        config = self._prior.config
        needed = count - self._first
        if needed <= len(self._codes):
            return
        total = whole_windows(needed, config.window, config.step)
        for made in sample_level(self._codes, total, config.window, config.step, self._sampled):
            self._codes = np.concatenate([self._codes, made])

    @property
    def needed_above(self) -> int:
        """The first code of the level above that a coming window may need."""
        return max(0, self.end - self._prior.config.window) // self._ratio

    def forget(self, before: int) -> None:
        """Forget what lies before a code, as far as the next window does not need it."""
        step = self._prior.config.step
        last = self.end - self._prior.config.window
        steps = max(0, (min(before, last) - self._first) // step)
        self._codes = self._codes[steps * step :]
        self._first += steps * step

    def _sampled(self, window: Window, given: Ints) -> Iterator[int]:
        """Yield the codes of a window that come after those given."""
        start, end = window.start + self._first, window.end + self._first
        if self._above is None:
            told = self._told(start, end)
        else:
            told = self._above.part(start // self._ratio, end // self._ratio)
        state = self._prior.begin(self._labels.artist, self._labels.genres, told[None])
        logits = self._prior.append(state, given[None])
        missing = end - start - len(given)
        for left in range(missing, 0, -1):
            code = self._pick(logits[0], None, self._rng)
            yield code
            if left > 1:
                logits = self._prior.append(state, np.array([[code]], dtype=np.int64))

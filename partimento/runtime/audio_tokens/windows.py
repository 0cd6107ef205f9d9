"""Windows of sampling at one level, and the loop over them: arithmetic without networks.

Dhariwal et al. 2020, Section 3.3 ("windowed sampling") and Appendix B: a prior sees ``window``
codes at once, so a longer piece is made in windows that begin ``step`` codes apart; each is begun
with the codes that are there already, and the rest is sampled.

::

    total = samples // hop                                        -> codes_for
    starts = 0, step, 2 step, .., the last one at total - window  -> window_starts
    shorter than a window: one partial window                     -> windows
    codes above of a window: [start / ratio : end / ratio]        -> Window.above
    codes that are there: given; full windows are skipped         -> sample_level
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Window", "codes_for", "sample_level", "whole_windows", "window_starts", "windows"]

Ints = npt.NDArray[np.int64]
SampleWindow = Callable[["Window", Ints], Iterator[int]]
"""Yields the codes of a window that come after those given (n,)."""


@dataclass(frozen=True)
class Window:
    """Codes ``start`` to ``end`` of a level."""

    start: int
    end: int

    def above(self, ratio: int) -> slice:
        """Return the codes of the level above that stand over it, ``ratio`` codes to one."""
        return slice(self.start // ratio, self.end // ratio)


def codes_for(samples: int, hop: int) -> int:
    """Return how many whole codes of ``hop`` samples there are."""
    return samples // hop


def window_starts(total: int, window: int, step: int) -> list[int]:
    """Return where windows begin, ``step`` apart, the last clamped so that it ends with the whole.

    ``total`` is at least ``window``.
    """
    return [min(at, total - window) for at in range(0, total - window + step, step)]


def windows(total: int, window: int, step: int) -> list[Window]:
    """Return the windows over ``total`` codes; one partial window where they are too few."""
    if total < window:
        return [Window(0, total)]
    return [Window(start, start + window) for start in window_starts(total, window, step)]


def whole_windows(total: int, window: int, step: int) -> int:
    """Return the least number of codes, ``total`` or more, that whole steps of windows give.

    Sampled so far, no window is partial or clamped, and the codes are those of an endless stream.
    """
    return window + max(0, -(-(total - window) // step)) * step


def sample_level(
    codes: Ints, total: int, window: int, step: int, sample: SampleWindow
) -> Iterator[Ints]:
    """Yield what each window adds to the codes (n,) that are there, until there are ``total``.

    Windows that are full of codes that are there are skipped.
    """
    known = codes[:total]
    for each in windows(total, window, step):
        given = known[each.start : each.end]
        if len(given) == each.end - each.start:
            continue
        made = np.fromiter(sample(each, given), np.int64, each.end - each.start - len(given))
        known = np.concatenate([known, made])
        yield made

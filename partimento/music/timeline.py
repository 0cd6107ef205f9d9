"""From ticks to bars, beats and seconds, under a score's maps of tempo and metre."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from partimento.music.score import Score, Tempo, TimeSignature

__all__ = ["DEFAULT_QUARTERS_PER_MINUTE", "Bar", "Timeline", "strong_beats"]

DEFAULT_QUARTERS_PER_MINUTE = 120.0
_MICROS = 60.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: where it starts, how long it is, and its metre."""

    index: int
    onset_ticks: int
    length_ticks: int
    time_signature: TimeSignature

    @property
    def end_ticks(self) -> int:
        """Where the next bar starts."""
        return self.onset_ticks + self.length_ticks


def strong_beats(time_signature: TimeSignature, ticks_per_quarter: int) -> tuple[int, ...]:
    """Return the strong beats of a bar, in ticks from its start.

    The first beat always; the middle of bars of four beats (4/4, 12/8), and each third eighth of
    6/8 and 9/8 counts as a beat of its own, of which the first and, in 12/8, the third are strong.
    """
    length = int(time_signature.quarters_per_bar * ticks_per_quarter)
    numerator = time_signature.numerator
    compound = time_signature.denominator >= 8 and numerator % 3 == 0 and numerator > 3
    beats = numerator // 3 if compound else numerator
    return (0, length // 2) if beats in (4, 8) else (0,)


class Timeline:
    """Converts times of one score; build it once, ask it often."""

    def __init__(self, score: Score) -> None:
        self.ticks_per_quarter = score.ticks_per_quarter
        tempos = list(score.tempos)
        if not tempos or tempos[0].onset_ticks > 0:
            tempos.insert(0, Tempo(0, DEFAULT_QUARTERS_PER_MINUTE))
        self._tempo_ticks = np.array([tempo.onset_ticks for tempo in tempos], dtype=np.float64)
        self._seconds_per_tick = np.array(
            [_MICROS / tempo.quarters_per_minute / score.ticks_per_quarter for tempo in tempos]
        )
        spans = np.diff(self._tempo_ticks) * self._seconds_per_tick[:-1]
        self._tempo_seconds = np.concatenate([[0.0], np.cumsum(spans)])
        signatures = list(score.time_signatures)
        if not signatures or signatures[0].onset_ticks > 0:
            signatures.insert(0, TimeSignature(0, 4, 4))
        self._signatures = signatures
        self._length_ticks = score.length_ticks
        self._bars: tuple[Bar, ...] | None = None

    def seconds(self, ticks: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the time in seconds of each tick (any shape)."""
        at = np.asarray(ticks, dtype=np.float64)
        span = np.searchsorted(self._tempo_ticks, at, side="right") - 1
        inside = at - self._tempo_ticks[span]
        out: npt.NDArray[np.float64] = (
            self._tempo_seconds[span] + inside * self._seconds_per_tick[span]
        )
        return out

    def ticks(self, seconds: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the (fractional) tick of each time in seconds; the inverse of ``seconds``."""
        at = np.asarray(seconds, dtype=np.float64)
        span = np.searchsorted(self._tempo_seconds, at, side="right") - 1
        inside = at - self._tempo_seconds[span]
        out: npt.NDArray[np.float64] = (
            self._tempo_ticks[span] + inside / self._seconds_per_tick[span]
        )
        return out

    @property
    def bars(self) -> tuple[Bar, ...]:
        """The bars that cover the piece; at least one, the last one whole.

        A change of metre starts a new bar, and so may cut the bar before it short.
        """
        if self._bars is None:
            self._bars = self._make_bars()
        return self._bars

    def _make_bars(self) -> tuple[Bar, ...]:
        bars: list[Bar] = []
        at = 0
        for here, after in zip(self._signatures, [*self._signatures[1:], None], strict=True):
            at = max(at, here.onset_ticks)
            full = max(1, int(here.quarters_per_bar * self.ticks_per_quarter))
            until = after.onset_ticks if after is not None else self._length_ticks
            while at < until or (after is None and not bars):
                length = full if after is None else min(full, until - at)
                bars.append(Bar(len(bars), at, length, here))
                at += length
        return tuple(bars)

    def bar_at(self, tick: int) -> Bar:
        """Return the bar that holds ``tick``; the last bar for anything later."""
        starts = [bar.onset_ticks for bar in self.bars]
        return self.bars[max(0, bisect_right(starts, tick) - 1)]

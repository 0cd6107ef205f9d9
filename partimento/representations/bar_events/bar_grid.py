"""The grid under bar events: twelve positions a quarter, the listed metres, tempos, durations.

``layout`` lays a score's bars on it; ``partimento.representations.bar_events`` says how they are
rounded, and re-exports the tables.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from partimento.music import Score, Timeline, TimeSignature
from partimento.music.timeline import DEFAULT_QUARTERS_PER_MINUTE

__all__ = [
    "DURATIONS",
    "METRES",
    "METRE_POSITIONS",
    "POSITIONS",
    "POSITIONS_PER_QUARTER",
    "TEMPOS",
    "GridBar",
    "layout",
    "nearest",
    "rounded",
]

POSITIONS_PER_QUARTER = 12
POSITIONS = 96  # the longest bar: eight quarters
# Of several metres of one length the first stands for bars that were cut short.
METRES: tuple[tuple[int, int], ...] = (
    (4, 4), (3, 4), (2, 4), (6, 8), (2, 2), (3, 8), (9, 8), (12, 8), (5, 4), (6, 4),
    (3, 2), (4, 2), (5, 8), (7, 8), (1, 4), (4, 8), (2, 8), (1, 8), (7, 4), (6, 16),
    (8, 8), (10, 8), (11, 8), (13, 8), (15, 8), (9, 16), (3, 16), (1, 16), (12, 16), (1, 2),
    (8, 4), (2, 1),
)  # fmt: skip
METRE_POSITIONS: tuple[int, ...] = tuple(
    4 * POSITIONS_PER_QUARTER * numerator // denominator for numerator, denominator in METRES
)
TEMPOS: tuple[int, ...] = tuple(round(24.0 * (300.0 / 24.0) ** (i / 31)) for i in range(32))
DURATIONS: tuple[int, ...] = (
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 18, 20, 21, 22, 24, 27, 28, 30, 32, 36, 40,
    42, 44, 45, 48, 54, 60, 66, 72, 84, 96, 108, 120, 132, 144, 168, 192,
)  # fmt: skip


def nearest(values: Sequence[int], wanted: float) -> int:
    """Return the index of the nearest of ascending ``values``; the lower of two as near."""
    above = bisect_right(values, wanted)
    if above == 0:
        return 0
    if above == len(values):
        return above - 1
    return above - (wanted - values[above - 1] <= values[above] - wanted)


_LOG_TEMPOS = np.log(np.array(TEMPOS, dtype=np.float64))


@dataclass(frozen=True, slots=True)
class GridBar:
    """One bar of the grid: where it was in the score, and what it is now."""

    onset_ticks: int
    metre: int  # index into METRES
    tempo: int  # index into TEMPOS
    lead: int = 0  # positions of silence before a pickup

    @property
    def positions(self) -> int:
        """How many positions it has."""
        return METRE_POSITIONS[self.metre]


def _tempo_index(quarters_per_minute: float) -> int:
    """Return the nearest listed tempo."""
    return int(np.argmin(np.abs(_LOG_TEMPOS - np.log(quarters_per_minute))))


def _metre_index(numerator: int, denominator: int, length_ticks: int, per_quarter: int) -> int:
    """Return the listed metre: the same one, or the first as long, or the next longer one."""
    positions = Fraction(length_ticks * POSITIONS_PER_QUARTER, per_quarter)
    whole = Fraction(4 * POSITIONS_PER_QUARTER * numerator, denominator)
    if positions == whole and (numerator, denominator) in METRES:
        return METRES.index((numerator, denominator))
    length = min(known for known in METRE_POSITIONS if known >= positions)
    return METRE_POSITIONS.index(length)


def _parts(bar_ticks: int, metre: TimeSignature) -> Iterable[tuple[int, int, int]]:
    """Yield (offset in ticks, length in ticks, numerator) of the parts of a bar's metre."""
    whole = 4 * POSITIONS_PER_QUARTER * Fraction(metre.numerator, metre.denominator)
    count = next(
        n
        for n in range(1, metre.numerator + 1)
        if metre.numerator % n == 0 and (whole / n <= POSITIONS or n == metre.numerator)
    )
    step = max(1, bar_ticks // count)
    for offset in range(0, bar_ticks, step):
        yield offset, min(step, bar_ticks - offset), metre.numerator // count


def layout(score: Score) -> list[GridBar]:
    """Return the bars of a score as the grid holds them; at least one."""
    timeline = Timeline(score)
    per_quarter = score.ticks_per_quarter
    tempo_ticks = [tempo.onset_ticks for tempo in score.tempos]
    half_position = per_quarter // (2 * POSITIONS_PER_QUARTER)
    found: list[tuple[int, int, int, int]] = []  # onset, length, metre, tempo
    tempo_index = cache(_tempo_index)  # most bars are alike: each question is answered once
    metre_index = cache(_metre_index)
    parts = cache(lambda full, metre: tuple(_parts(full, metre)))
    for bar in timeline.bars:
        metre = bar.time_signature
        full = max(1, int(metre.quarters_per_bar * per_quarter))
        for offset, length, numerator in parts(full, metre):
            if offset >= bar.length_ticks:
                break
            onset, length = bar.onset_ticks + offset, min(length, bar.length_ticks - offset)
            at = bisect_right(tempo_ticks, onset + half_position) - 1
            bpm = score.tempos[at].quarters_per_minute if at >= 0 else DEFAULT_QUARTERS_PER_MINUTE
            listed = metre_index(numerator, metre.denominator, length, per_quarter)
            found.append((onset, length, listed, tempo_index(bpm)))
    bars = [GridBar(onset, metre, tempo) for onset, _, metre, tempo in found]
    if len(found) > 1 and found[0][1] < found[1][1]:
        lead = bars[1].positions - rounded(found[0][1], per_quarter)
        bars[0] = GridBar(0, bars[1].metre, bars[0].tempo, max(0, lead))
    return bars


def rounded(ticks: int, ticks_per_quarter: int) -> int:
    """Return the nearest number of positions, halves up."""
    return (2 * ticks * POSITIONS_PER_QUARTER + ticks_per_quarter) // (2 * ticks_per_quarter)

"""Notes at fault against textbook voice leading, asked for again.

Cells that are written in the same step do not see each other, and so two voices may run in parallel
octaves though either alone is well chosen. Here the pitch of one voice of each fault is masked and
drawn again, what stood there being forbidden; the answer is taken if it has fewer faults. Rhythm
and all that was given stay as they are.

The rules are those of ``evaluate.voice_leading``, read on the grid: parallel fifths and octaves
between all pairs of voices, crossings between neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from partimento.representations.track_grid import EMPTY, UNKNOWN, Cells, sounding

__all__ = ["find_violations", "repair"]

_Bools = npt.NDArray[np.bool_]
_Fault = tuple[tuple[int, int], ...]  # the cells (slot, column) of the notes that make it

# (cells, targets (S, T, 2), allowed what (S, T, V)) -> cells with the targets written
Rewrite = Callable[[Cells, _Bools, _Bools], Cells]


def find_violations(cells: Cells, voices: Sequence[int], is_padding: _Bools) -> list[_Fault]:
    """Return the faults between voices, slots from high to low; see the module.

    Args:
        cells: (S, T, 2) without MASK in the voices.
        voices: the slots that are compared, one note at a time each.
        is_padding: (T,), as of ``Layout.is_padding``.
    """
    columns = np.flatnonzero(~is_padding)
    tracks = cells[list(voices)]
    pitches = sounding(tracks, is_padding)[: len(tracks), columns]
    pitches = np.where(pitches == UNKNOWN, EMPTY, pitches)
    starts = np.asarray((tracks > EMPTY).all(axis=2))[:, columns]
    begins = np.where(starts, np.arange(len(columns)), -1)
    begins = np.maximum.accumulate(begins, axis=1)  # where what sounds began
    found: list[_Fault] = []
    for upper, lower in combinations(range(len(tracks)), 2):
        high, low = pitches[upper], pitches[lower]
        places = set(_parallels(high, low))
        if lower == upper + 1:
            places |= set(_crossings(high, low))
        for place in sorted(places):
            found.append(
                tuple(
                    (int(voices[voice]), int(columns[begins[voice, place]]))
                    for voice in (upper, lower)
                )
            )
    return found


def _parallels(high: npt.NDArray[np.int64], low: npt.NDArray[np.int64]) -> list[int]:
    # high and low are (T,); moves, same are (T - 1,), of the step from column t to t + 1.
    sounds = (high > EMPTY) & (low > EMPTY)
    moves = sounds[:-1] & sounds[1:] & (np.diff(high) * np.diff(low) > 0)
    # Both voices move the same way, and an octave or unison (0) or fifth (7) follows itself.
    apart = np.abs(high - low) % 12
    same = moves & (apart[:-1] == apart[1:]) & np.isin(apart[1:], (0, 7))
    places: list[int] = (np.flatnonzero(same) + 1).tolist()
    return places


def _crossings(high: npt.NDArray[np.int64], low: npt.NDArray[np.int64]) -> list[int]:
    crossed = (high > EMPTY) & (low > EMPTY) & (high < low)
    # A held crossing counts once; it counts again when either voice moves.
    is_new = np.ones(len(high), dtype=bool)
    is_new[1:] = ~crossed[:-1] | (np.diff(high) != 0) | (np.diff(low) != 0)
    places: list[int] = np.flatnonzero(crossed & is_new).tolist()
    return places


def repair(
    cells: Cells,
    targets: _Bools,
    voices: Sequence[int],
    is_padding: _Bools,
    allowed: _Bools,
    rewrite: Rewrite,
    rounds: int,
    rng: np.random.Generator,
) -> Cells:
    """Return cells with fewer faults, if ``rounds`` of asking again find any.

    Args:
        cells: (S, T, 2), all written.
        targets: (S, T), the cells that may be changed.
        voices: the slots that are compared.
        is_padding: (T,).
        allowed: (S, T, V), what each cell may be.
        rewrite: regenerates the first half of some cells.
        rounds: how often to ask.
        rng: which voice of a fault is changed.
    """
    faults = find_violations(cells, voices, is_padding)
    for _ in range(rounds):
        # One note of each fault gives way: any of those that may be changed.
        able = [[at for at in fault if targets[at]] for fault in faults]
        chosen = {one[int(rng.integers(len(one)))] for one in able if one}
        if not chosen:
            break
        asked = np.zeros(cells.shape, dtype=bool)
        may = allowed.copy()
        for slot, column in sorted(chosen):
            what = cells[slot, column, 0]
            # Forbid the pitch at fault only where another one is left.
            if may[slot, column].sum() - may[slot, column, EMPTY] > 1:
                may[slot, column, what] = False
                asked[slot, column, 0] = True
        if not asked.any():
            break
        answer = rewrite(cells, asked, may)
        left = find_violations(answer, voices, is_padding)
        # As many faults are taken too: other ones may be easier to repair next.
        if len(left) <= len(faults):
            cells, faults = answer, left
    return cells

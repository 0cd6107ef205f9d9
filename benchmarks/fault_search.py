"""One search for faults of voice leading that serves every contestant alike.

A chorale that a contestant has set is improved by hill climbing: of each beat at fault, the pitch
of one of the lower voices is replaced by another of the pitch classes that sound in that beat, and
the change is kept if the bars around have fewer faults. A model that searches by itself is thus
compared with rivals that were searched for too.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from partimento.analysis.voice_leading import CHORAL_RANGES, faults
from partimento.representations import FourVoiceGrid

__all__ = ["searched"]

Grid = npt.NDArray[np.int64]
ROUNDS = 3
_BEAT = 4
_AROUND = 8  # sixteenths on either side, in which a change can make or mend a fault
_GRID = FourVoiceGrid()
_RANGES = [CHORAL_RANGES[name] for name in ("Soprano", "Alto", "Tenor", "Bass")]


def _count(grid: Grid, at: int) -> int:
    """Return the faults around a beat of pitches (steps, 4)."""
    part = grid[max(0, at - _AROUND) : at + _BEAT + _AROUND]
    return faults(_GRID.score(part), CHORAL_RANGES).total


def _alternatives(grid: Grid, at: int, voice: int) -> list[int]:
    """Return pitches of the beat's classes in a voice's range, the nearest first."""
    sounding = grid[at : at + _BEAT]
    classes = {int(pitch) % 12 for pitch in sounding[sounding >= 0]}
    own, span = int(grid[at, voice]), _RANGES[voice]
    found = [p for p in range(span.low, span.high + 1) if p % 12 in classes and p != own]
    return sorted(found, key=lambda pitch: abs(pitch - own))[:4]


def searched(grid: Grid) -> Grid:
    """Return pitches (steps, 4) with fewer faults; the soprano stays as it is."""
    out = grid.copy()
    for _ in range(ROUNDS):
        changed = False
        for at in range(0, len(out), _BEAT):
            best = _count(out, at)
            for voice in (1, 2, 3):
                if best == 0:
                    break
                own = out[at : at + _BEAT, voice].copy()
                if own[0] < 0:
                    continue
                kept = own
                for pitch in _alternatives(out, at, voice):
                    out[at : at + _BEAT, voice] = np.where(own == own[0], pitch, own)
                    if (count := _count(out, at)) < best:
                        best, kept, changed = count, out[at : at + _BEAT, voice].copy(), True
                out[at : at + _BEAT, voice] = kept
        if not changed:
            break
    return out

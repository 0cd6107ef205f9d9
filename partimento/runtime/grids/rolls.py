"""Cells of the track grid as what sounds: a pitch for each voice and column, and back.

The cells of the grid say what starts and for how long. Models of rolls (Coconet) say instead what
sounds in each column, so that a held note is the same pitch several times and any column can be
hidden by itself. While such a model samples, the grid's cells hold notes of one column each.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from partimento.representations.track_grid import EMPTY, LONGEST, MASK, Cells

__all__ = ["HIDDEN", "SILENT", "joined", "pitches_of"]

SILENT, HIDDEN = -1, -2

_Bools = npt.NDArray[np.bool_]
_Ints = npt.NDArray[np.int64]


def pitches_of(cells: Cells) -> _Ints:
    """Return (V, N): the pitch that sounds in each cell, ``SILENT``, or ``HIDDEN`` where masked.

    Args:
        cells: (V, N, 2) without padding. A note that a masked cell interrupts ends there.
    """
    count = cells.shape[1]
    here = np.arange(count)
    hidden = cells[..., 0] == MASK
    event = hidden | (cells[..., 0] > EMPTY)
    last = np.maximum.accumulate(np.where(event, here, -1), axis=1)  # (V, N), -1: none yet
    place = np.maximum(last, 0)
    what = np.take_along_axis(cells[..., 0], place, axis=1)
    length = np.take_along_axis(cells[..., 1], place, axis=1)
    sounds = (last >= 0) & (what > EMPTY) & (here - last < length)
    return np.where(hidden, HIDDEN, np.where(sounds, what - 1, SILENT)).astype(np.int64)


def joined(pitches: _Ints, targets: _Bools, struck: _Bools, room: _Ints) -> Cells:
    """Return cells (V, N, 2): runs of one pitch among the targets as notes; others are EMPTY.

    Args:
        pitches: (V, N), what sounds; SILENT where nothing does.
        targets: (V, N), the cells that were written.
        struck: (V, N), where a note has to start although the pitch was held.
        room: (V, N), how many columns a note that starts in a cell may last.
    """
    cells = np.zeros((*pitches.shape, 2), dtype=np.int64)
    count = pitches.shape[1]
    before = np.full_like(pitches, HIDDEN)
    before[:, 1:] = np.where(targets, pitches, HIDDEN)[:, :-1]
    sounds = targets & (pitches >= 0)
    starts = sounds & ((pitches != before) | struck)
    for voice in range(len(pitches)):
        # Where a run ends: the next start, or the first column that does not sound.
        borders = np.flatnonzero(starts[voice] | ~sounds[voice])
        for start in np.flatnonzero(starts[voice]).tolist():
            later = borders[np.searchsorted(borders, start, "right") :]
            end = int(later[0]) if len(later) else count
            while start < end:
                length = max(1, min(end - start, LONGEST, int(room[voice, start])))
                cells[voice, start] = pitches[voice, start] + 1, length
                start += length
    return cells

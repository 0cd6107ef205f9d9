"""Which pieces are the same work, whatever the file, the key, the tempo, and the division in parts.

A piece is a set of *shingles*. Of all notes that are not drums the highest and the lowest at each
onset make two lines; a shingle is the hash of nine successive notes of a line: their eight
intervals in semitones and the seven ratios of successive times between onsets, as rounded
logarithms. So transposition (intervals) and a change of tempo or of note values (ratios) change
nothing, and an edition that differs in some bars keeps the shingles of all others. Formulas are
left out: shingles with fewer than four kinds of step.

Two pieces are one work if they share at least ``LEAST_SHARED`` shingles and ``SAME_SHARE`` of those
of the smaller one: containment, not Jaccard's index, since a movement may stand in a file of the
whole. The shares are exact, by a join over all shingles; no sketch is needed for the 10,000 pieces
that a laptop's corpora hold. ``python -m benchmarks.same_work`` measures what is missed and what is
wrongly found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from partimento.music import Score

__all__ = [
    "LEAST_SHARED",
    "SAME_SHARE",
    "SameWork",
    "Shingles",
    "no_shingles",
    "same_works",
    "shingles_of",
]

Shingles = npt.NDArray[np.uint64]

SAME_SHARE = 0.3
LEAST_SHARED = 10
_NOTES = 9
_LEAST_KINDS = 4
_RATIO_STEPS = 4  # of the logarithm to base 2: a dotted and a plain rhythm are distinguished
_MOST_RATIO = 15
_MOST_PIECES = 50  # of one shingle; beyond it is a formula that says nothing
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class SameWork:
    """Two pieces, by their places in the sequence, that are one work; ``share`` is 0..1."""

    first: int
    second: int
    share: float


def no_shingles() -> Shingles:
    """Return an empty set of shingles: of sound, of drums, of chord charts."""
    return np.zeros(0, dtype=np.uint64)


def shingles_of(score: Score) -> Shingles:
    """Return the shingles of a score, sorted, each once; none of drums and of chord symbols."""
    rows = [
        (note.onset_ticks, note.pitch)
        for track in score.tracks
        if not track.is_drum
        for note in track.notes
    ]
    if len(rows) < _NOTES:
        return no_shingles()
    notes = np.array(sorted(rows), dtype=np.int64)
    onsets, first = np.unique(notes[:, 0], return_index=True)
    last = np.append(first[1:], len(notes)) - 1
    lines = [_shingles(onsets, notes[first, 1]), _shingles(onsets, notes[last, 1])]
    return np.unique(np.concatenate(lines))


def _shingles(onsets: npt.NDArray[np.int64], pitches: npt.NDArray[np.int64]) -> Shingles:
    """Return the shingles of one line, (n,) onsets and pitches."""
    if len(onsets) < _NOTES:
        return no_shingles()
    intervals = np.diff(pitches)
    times = np.diff(onsets).astype(np.float64)
    ratios = np.rint(_RATIO_STEPS * np.log2(times[1:] / times[:-1])).astype(np.int64)
    ratios = np.clip(ratios, -_MOST_RATIO, _MOST_RATIO)
    width = _NOTES - 1
    steps = np.lib.stride_tricks.sliding_window_view(intervals, width)
    paces = np.lib.stride_tricks.sliding_window_view(ratios, width - 1)
    kinds = np.sort(steps, axis=1)
    is_telling = (np.diff(kinds, axis=1) != 0).sum(axis=1) + 1 >= _LEAST_KINDS
    columns = np.concatenate([steps, paces], axis=1)[is_telling].astype(np.uint64)
    value = np.zeros(len(columns), dtype=np.uint64)
    for column in columns.T:  # a multiplicative hash, wrapped to 64 bits
        value = (value ^ column) * _MULTIPLIER
        value ^= value >> np.uint64(29)
    return value


def same_works(
    pieces: Sequence[Shingles], least_share: float = SAME_SHARE, least_shared: int = LEAST_SHARED
) -> list[SameWork]:
    """Return the pairs of pieces that are one work, in order."""
    sizes = np.array([len(piece) for piece in pieces], dtype=np.int64)
    if not sizes.sum():
        return []
    values = np.concatenate(pieces)
    owners = np.repeat(np.arange(len(pieces)), sizes)
    order = np.argsort(values, kind="stable")
    values, owners = values[order], owners[order]
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
    counts = np.diff(np.append(starts, len(values)))
    found: list[npt.NDArray[np.int64]] = []
    for count in range(2, _MOST_PIECES + 1):
        groups = owners[starts[counts == count][:, None] + np.arange(count)]  # (groups, count)
        first, second = np.triu_indices(count, 1)
        # Owners ascend in a group, since the sort is stable.
        found.append((groups[:, first] * len(pieces) + groups[:, second]).ravel())
    pairs, shared = np.unique(np.concatenate(found), return_counts=True)
    one, other = pairs // len(pieces), pairs % len(pieces)
    shares = shared / np.minimum(sizes[one], sizes[other])
    chosen = (shares >= least_share) & (shared >= least_shared)
    return [
        SameWork(int(a), int(b), float(share))
        for a, b, share in zip(one[chosen], other[chosen], shares[chosen], strict=True)
    ]

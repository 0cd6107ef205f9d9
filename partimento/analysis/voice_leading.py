"""Faults of voice leading: parallel fifths and octaves, crossings, notes outside the range.

Each pitched track with notes is a voice, ordered from high to low as the score has them; where a
track sounds several notes at once, the highest is its line. The rules are those of any textbook
of four-part writing (Aldwell and Schachter, "Harmony and Voice Leading", chapter 6), read at every
change of the sonority, that is at every tick where a note of any voice starts or ends:

- parallel fifths: two voices a perfect fifth apart (or a twelfth, ...) move in the same direction
  and are a perfect fifth apart again at once;
- parallel octaves: the same with octaves and unisons;
- crossing: a voice lies below the next lower one; it counts again as either voice moves;
- out of range: a note outside the range of its track's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from partimento.music import PitchRange, Score, Track

__all__ = ["CHORAL_RANGES", "Faults", "faults", "total_faults"]

_Ints = npt.NDArray[np.int64]
_SILENT = -1

CHORAL_RANGES: Mapping[str, PitchRange] = {
    "Soprano": PitchRange(60, 81),
    "Alto": PitchRange(52, 74),
    "Tenor": PitchRange(48, 69),
    "Bass": PitchRange(38, 64),
}


@dataclass(frozen=True)
class Faults:
    """How many faults of each kind, in how many beats; a beat is a quarter note here."""

    fifths: int
    octaves: int
    crossings: int
    out_of_range: int
    beats: float

    @property
    def total(self) -> int:
        """All faults together."""
        return self.fifths + self.octaves + self.crossings + self.out_of_range

    @property
    def per_100_beats(self) -> dict[str, float]:
        """Faults in 100 beats by kind, and ``"total"``; 0 where there are no beats."""
        counts = {
            "fifths": self.fifths,
            "octaves": self.octaves,
            "crossings": self.crossings,
            "out_of_range": self.out_of_range,
            "total": self.total,
        }
        return {kind: 100.0 * n / self.beats if self.beats else 0.0 for kind, n in counts.items()}


def _sonorities(tracks: list[Track]) -> _Ints:
    """Return (changes, voices): what each voice sounds from each change on, -1 in rests."""
    rows = [
        (voice, note.onset_ticks, note.end_ticks, note.pitch)
        for voice, track in enumerate(tracks)
        for note in track.notes
    ]
    voice, onset, end, pitch = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    at = np.unique(np.concatenate([onset, end]))
    first = np.searchsorted(at, onset)
    count = np.searchsorted(at, end) - first
    note = np.repeat(np.arange(len(onset)), count)
    row = np.arange(len(note)) - np.repeat(np.cumsum(count) - count, count) + first[note]
    out = np.full((len(at), len(tracks)), _SILENT, dtype=np.int64)
    np.maximum.at(out, (row, voice[note]), pitch[note])
    return out


def _parallels(high: _Ints, low: _Ints) -> tuple[int, int]:
    """Return (fifths, octaves) between two voices, each (changes,)."""
    sounds = (high >= 0) & (low >= 0)
    up, down = np.diff(high), np.diff(low)
    moves = sounds[:-1] & sounds[1:] & (up * down > 0)
    apart = np.abs(high - low) % 12
    same = moves & (apart[:-1] == apart[1:])
    return int((same & (apart[1:] == 7)).sum()), int((same & (apart[1:] == 0)).sum())


def _crossings(high: _Ints, low: _Ints) -> int:
    """Return how often a voice comes to lie below the next lower one."""
    crossed = (high >= 0) & (low >= 0) & (high < low)
    is_new = np.ones(len(high), dtype=bool)
    is_new[1:] = ~crossed[:-1] | (np.diff(high) != 0) | (np.diff(low) != 0)
    return int((crossed & is_new).sum())


def faults(score: Score, ranges: Mapping[str, PitchRange] | None = None) -> Faults:
    """Return the faults of a score; ``ranges`` by track name, such as ``CHORAL_RANGES``.

    Without ``ranges`` nothing is out of range. Drums are left out. Parallels are looked for
    between all pairs of voices, crossings between neighbours.
    """
    tracks = [track for track in score.tracks if track.notes and not track.is_drum]
    beats = score.length_ticks / score.ticks_per_quarter
    if not tracks:
        return Faults(0, 0, 0, 0, beats)
    lines = _sonorities(tracks)
    pairs = [_parallels(lines[:, i], lines[:, j]) for i, j in combinations(range(len(tracks)), 2)]
    outside = 0
    for track in tracks:
        span = (ranges or {}).get(track.name)
        if span is not None:
            outside += sum(not span.low <= note.pitch <= span.high for note in track.notes)
    return Faults(
        sum(fifths for fifths, _ in pairs),
        sum(octaves for _, octaves in pairs),
        sum(_crossings(lines[:, i], lines[:, i + 1]) for i in range(len(tracks) - 1)),
        outside,
        beats,
    )


def total_faults(each: Iterable[Faults]) -> Faults:
    """Return the faults of several pieces together."""
    kept = list(each)
    return Faults(
        sum(one.fifths for one in kept),
        sum(one.octaves for one in kept),
        sum(one.crossings for one in kept),
        sum(one.out_of_range for one in kept),
        sum(one.beats for one in kept),
    )

"""Where phrases begin: at long melody notes and rests, a few bars apart."""

from __future__ import annotations

from itertools import groupby

import numpy as np

from partimento.analysis.cadences import last_chord_onset
from partimento.music.performance_rules import Structure
from partimento.music.score import Score
from partimento.music.timeline import Timeline

__all__ = ["phrase_starts", "structure_of"]

_USUAL_BARS, _MOST_BARS = 3.0, 8.0


def structure_of(score: Score) -> Structure:
    """Return phrases and last chord of a score, as the performance rules take them."""
    return Structure(phrase_starts(score), last_chord_onset(score))


def phrase_starts(score: Score) -> tuple[int, ...]:
    """Return where phrases start, in ascending ticks; empty without pitched notes.

    The division with the highest sum over its phrases of ``log2(gap / mean gap)``, where the gap
    is the time between the onsets of the melody before and at the start of the next phrase, less
    ``log2(bars / 3)^2``, so that phrases of two to four bars are usual. The melody is the highest
    note of each onset.
    """
    onsets = _melody_onsets(score)
    if not onsets:
        return ()
    at = np.array([*onsets, max(score.end_ticks, onsets[-1] + 1)], dtype=np.float64)
    bars = np.median([bar.length_ticks for bar in Timeline(score).bars])
    gaps = np.diff(at[:-1])
    gaps /= max(1.0, float(gaps.mean())) if len(gaps) else 1.0
    # A phrase may start only after a gap of the mean length or more; it always may at the ends.
    places = [0, *(i + 1 for i, gap in enumerate(gaps) if gap >= 1.0), len(at) - 1]
    best, before = [0.0], [0]
    for j in range(1, len(places)):
        first = j - 1
        while first > 0 and at[places[j]] - at[places[first - 1]] <= _MOST_BARS * bars:
            first -= 1
        gain = np.log2(gaps[places[j] - 1]) if j < len(places) - 1 else 0.0
        lengths = (at[places[j]] - at[places[first:j]]) / bars
        found = np.array(best[first:j]) + gain - np.log2(lengths / _USUAL_BARS) ** 2
        best.append(float(found.max()))
        before.append(first + int(found.argmax()))
    starts: list[int] = []
    j = len(places) - 1
    while j > 0:
        j = before[j]
        starts.append(int(at[places[j]]))
    return tuple(reversed(starts))


def _melody_onsets(score: Score) -> list[int]:
    """Return the onsets of the notes above which nothing sounds."""
    notes = sorted(
        (n for track in score.tracks if not track.is_drum for n in track.notes),
        key=lambda note: (note.onset_ticks, -note.pitch),
    )
    onsets: list[int] = []
    sounding: list[tuple[int, int]] = []
    for onset, group in groupby(notes, key=lambda note: note.onset_ticks):
        started = list(group)
        sounding = [each for each in sounding if each[0] > onset]
        if all(started[0].pitch >= pitch for _, pitch in sounding):
            onsets.append(onset)
        sounding += [(note.end_ticks, note.pitch) for note in started]
    return onsets

"""A score played by a hand: every note with a velocity and a shift of its own.

Whatever the shifts, the notes of a track keep their order, no onset is negative, every note lasts
at least a tick, notes that did not overlap still do not, and the piece keeps its length.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from partimento.music.score import Lyric, Note, Score, Track

__all__ = ["perform", "struck"]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


def struck(written: Floats, played: Floats, level: float, depth: float) -> Ints:
    """Return the velocities 1..127 of notes written at one velocity and struck at another.

    ``written`` and ``played`` are 0..1, as is ``level``, at which an average hand plays. What is
    written at the level becomes what is played; softer and louder notes keep their distance from
    it, with what room is left to them, so dynamics that are written stay. ``depth`` (0..1) is how
    much of the change is made.
    """
    change = played - level
    room_up = np.minimum(1.0, (1.0 - written) / max(1e-6, 1.0 - level))
    room_down = np.minimum(1.0, written / max(1e-6, level))
    moved = written + depth * change * np.where(change > 0, room_up, room_down)
    out: Ints = np.clip(np.rint(127.0 * moved), 1, 127).astype(np.int64)
    return out


def perform(score: Score, velocities: Ints, shifts_ticks: Ints) -> Score:
    """Return a score with new velocities, and each note moved by its shift.

    Both have shape (notes,): the notes of the tracks, one track after another. Syllables go with
    the notes they are sung on; all else stays.
    """
    tracks, first = [], 0
    for track in score.tracks:
        span = slice(first, first + len(track.notes))
        tracks.append(_played(track, velocities[span], shifts_ticks[span], score.length_ticks))
        first = span.stop
    return replace(score, tracks=tuple(tracks), written_length_ticks=score.length_ticks)


def _played(track: Track, velocities: Ints, shifts: Ints, length: int) -> Track:
    if not track.notes:
        return track
    table = np.array([(n.onset_ticks, n.end_ticks, n.pitch) for n in track.notes], dtype=np.int64)
    onset, end, pitch = table.T
    chords, chord = np.unique(onset, return_inverse=True)
    moved = _in_order(onset + shifts, chord, len(chords), length)
    firsts = np.full(len(chords), length, dtype=np.int64)
    np.minimum.at(firsts, chord, moved)
    ends = _ends(onset, end, moved, np.append(chords, length), np.append(firsts, length), chord)
    ends = _before_the_same_pitch(onset, end, pitch, moved, ends)
    ends = np.maximum(np.minimum(ends, length), moved + 1)
    notes = sorted(
        Note(int(a), note.pitch, int(b - a), int(v))
        for note, a, b, v in zip(track.notes, moved, ends, velocities, strict=True)
    )
    return replace(track, notes=tuple(notes), lyrics=_lyrics(track, chords, firsts))


def _in_order(wanted: Ints, chord: Ints, count: int, length: int) -> Ints:
    """Return onsets as near to what is wanted as the order of the chords allows.

    Each chord begins after all of the chord before it, the first at 0 or later, the last inside
    the piece.
    """
    room = length - count + chord  # the tick that leaves one to each chord after this one
    moved = np.minimum(np.maximum(wanted, 0), np.maximum(room, chord))
    latest = np.zeros(count, dtype=np.int64)
    np.maximum.at(latest, chord, moved)
    index = np.arange(count)
    reached = np.maximum.accumulate(latest - index) + index
    floor = np.concatenate([[0], reached[:-1] + 1])
    return np.asarray(np.maximum(moved, floor[chord]))


def _ends(onset: Ints, end: Ints, moved: Ints, chords: Ints, firsts: Ints, chord: Ints) -> Ints:
    """Return where notes end: as long as before, but not into what they did not reach before."""
    # The first chord that a note does not reach; the end of the piece, where it reaches all.
    ends = np.minimum(moved + (end - onset), firsts[np.searchsorted(chords[:-1], end)])
    return np.where(end == chords[chord + 1], firsts[chord + 1], ends)


def _before_the_same_pitch(onset: Ints, end: Ints, pitch: Ints, moved: Ints, ends: Ints) -> Ints:
    order = np.lexsort((onset, pitch))
    here, after = order[:-1], order[1:]
    apart = (pitch[here] == pitch[after]) & (end[here] <= onset[after])
    out = ends.copy()
    out[here[apart]] = np.minimum(ends[here[apart]], moved[after[apart]])
    return out


def _lyrics(track: Track, chords: Ints, firsts: Ints) -> tuple[Lyric, ...]:
    if not track.lyrics:
        return ()
    at = np.array([lyric.onset_ticks for lyric in track.lyrics])
    place = np.minimum(np.searchsorted(chords, at), len(chords) - 1)
    now = np.where(chords[place] == at, firsts[place], at)
    return tuple(
        replace(lyric, onset_ticks=int(tick)) for lyric, tick in zip(track.lyrics, now, strict=True)
    )

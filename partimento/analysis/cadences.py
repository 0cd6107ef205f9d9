"""How a piece closes: its last chord, what led to it, and how long it lasts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from partimento.music.cadences import CADENCES, Cadence, Ending, cadence_in
from partimento.music.keys import Key
from partimento.music.score import Note, Score
from partimento.music.timeline import Timeline

__all__ = ["Closing", "closing_of", "last_chord_onset"]

_LEAST_SHARE = 0.5  # of the last bar that the final chord fills at least


@dataclass(frozen=True, slots=True)
class Closing:
    """The end of a piece, in a key.

    ``kind`` is the cadence, None if there is none; ``bass`` the pitch class of the lowest note of
    the last chord; ``final_quarters`` how long that chord lasts.
    """

    kind: Ending | None
    bass: int | None
    final_quarters: float


def closing_of(score: Score, key: Key) -> Closing:
    """Return how a score closes in ``key``.

    The last chord is what sounds from the last change of sounding pitches on (struck again or
    held), and must fill at least half a bar. A cadence is authentic (plagal) if the last chord is
    the tonic triad over its root, with its third, and what sounds just before it holds no tone
    outside the dominant seventh (subdominant) chord, its root lowest. Drums are left out.
    """
    notes = [n for track in score.tracks if not track.is_drum for n in track.notes]
    if not notes:
        return Closing(None, None, 0.0)
    onset, before = _last_change(notes)
    final = {note.pitch for note in notes if note.end_ticks > onset}
    bass = min(final) % 12
    length = max(note.end_ticks for note in notes) - onset
    quarters = length / score.ticks_per_quarter
    if length < _LEAST_SHARE * Timeline(score).bars[-1].length_ticks:
        return Closing(None, bass, quarters)
    kind = next((k for k in CADENCES if _is_cadence(cadence_in(key, k), final, before)), None)
    return Closing(kind, bass, quarters)


def last_chord_onset(score: Score) -> int | None:
    """Return where the last chord starts, in ticks, drums left out; None without notes."""
    notes = [n for track in score.tracks if not track.is_drum for n in track.notes]
    return _last_change(notes)[0] if notes else None


def _is_cadence(cadence: Cadence, final: set[int], before: set[int]) -> bool:
    return cadence.is_final(final) and cadence.is_approach(before)


def _last_change(notes: list[Note]) -> tuple[int, set[int]]:
    """Return where the last chord starts, and the pitches that sound just before it."""
    onsets = sorted({note.onset_ticks for note in notes}, reverse=True)
    last = _sounding(notes, onsets[0])
    for onset, earlier in pairwise(onsets):
        before = _sounding(notes, earlier)
        if before != last:
            until = max(note.end_ticks for note in notes if note.onset_ticks < onset)
            return onset, _sounding(notes, min(onset, until) - 1)
    return onsets[-1], set()


def _sounding(notes: list[Note], tick: int) -> set[int]:
    return {note.pitch for note in notes if note.onset_ticks <= tick < note.end_ticks}

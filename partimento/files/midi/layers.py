"""Notes of one pitch that overlap: spread over layers, each of which one MIDI channel can hold.

A channel knows a key that is down or up, so it cannot hold a note that starts while the same pitch
sounds. A track with such notes is written on several channels, as many as are free.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from heapq import heappop, heappush

from partimento.music import Note, Track

__all__ = ["layers_granted", "spread"]


def layers_granted(tracks: Sequence[Track], channels: int) -> list[int]:
    """Return how many layers each track gets: one, and what it needs of the channels left free.

    ``channels`` is how many there are for all pitched tracks. Drums have one channel alone.
    """
    free = max(0, channels - sum(not track.is_drum for track in tracks))
    granted = []
    for track in tracks:
        more = 0 if track.is_drum or not free else min(free, _needed(track.notes) - 1)
        granted.append(1 + more)
        free -= more
    return granted


def _needed(notes: Iterable[Note]) -> int:
    """Return how many notes of one pitch sound at once at most; 1 without notes."""
    most = 1
    ends: dict[int, list[int]] = defaultdict(list)  # by pitch: a heap of the ends that sound
    for note in notes:
        sounding = ends[note.pitch]
        while sounding and sounding[0] <= note.onset_ticks:
            heappop(sounding)
        heappush(sounding, note.end_ticks)
        most = max(most, len(sounding))
    return most


def spread(notes: Sequence[Note], layers: int) -> list[list[Note]]:
    """Return sorted notes in so many layers, in none of which notes of one pitch overlap.

    A note goes to the first layer that is free for it. Where none is, it goes to the last, and
    there a note is cut where its pitch starts again; of two that start together the longer stays.
    Spread again, what comes out stays as it is.
    """
    made: list[list[Note]] = [[] for _ in range(layers)]
    ends: list[dict[int, int]] = [{} for _ in range(layers - 1)]
    for note in notes:
        for layer, busy in zip(made, ends, strict=False):
            if busy.get(note.pitch, 0) <= note.onset_ticks:
                busy[note.pitch] = note.end_ticks
                layer.append(note)
                break
        else:
            made[-1].append(note)
    made[-1] = _cut(made[-1])
    return made


def _cut(notes: Sequence[Note]) -> list[Note]:
    """Return sorted notes, each cut where its pitch starts again."""
    next_onset: dict[int, int] = {}
    kept: list[Note] = []
    for note in reversed(notes):
        limit = next_onset.get(note.pitch)
        if limit is not None and note.onset_ticks == limit:
            continue
        if limit is not None and note.end_ticks > limit:
            note = replace(note, duration_ticks=limit - note.onset_ticks)
        next_onset[note.pitch] = note.onset_ticks
        kept.append(note)
    return kept[::-1]

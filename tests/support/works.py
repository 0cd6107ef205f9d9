"""Pieces that are one work, and pieces that are not."""

from __future__ import annotations

import numpy as np

from partimento.music import Note, Score, Track
from partimento.seeds import generator


def tune(seed: int, bars: int = 24) -> Score:
    """Return a wandering melody over a wandering bass, in lively rhythms."""
    draw = generator(seed)
    notes, at, pitch = [], 0, 64
    while at < bars * 1920:
        length = int(draw.choice([120, 240, 360, 480]))
        pitch = int(np.clip(pitch + draw.integers(-4, 5), 60, 84))
        notes.append(Note(at, pitch, length))
        at += length
    bass = tuple(Note(i * 480, 36 + int(draw.integers(12)), 480) for i in range(4 * bars))
    return Score((Track("High", tuple(notes)), Track("Low", bass)))


def changed(score: Score, shift: int, factor: float, end_ticks: int | None = None) -> Score:
    """Return a copy in another key and at other note values, on one track, perhaps cut short."""
    notes = tuple(
        Note(round(n.onset_ticks * factor), n.pitch + shift, round(n.duration_ticks * factor))
        for n in score.notes
        if end_ticks is None or n.onset_ticks < end_ticks
    )
    return Score((Track("All", notes),))

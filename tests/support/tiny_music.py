"""Small made-up pieces for the tests of evaluation."""

from __future__ import annotations

import numpy as np

from partimento.music import Note, Score, TimeSignature, Track

QUARTER = 480
SCALE = (0, 2, 4, 5, 7, 9, 11)


def line(pitches: list[int], quarters: list[float], start: float = 0.0) -> tuple[Note, ...]:
    notes, at = [], start
    for pitch, length in zip(pitches, quarters, strict=True):
        if pitch >= 0:
            notes.append(Note(round(at * QUARTER), pitch, max(1, round(length * QUARTER))))
        at += length
    return tuple(notes)


def solo(pitches: list[int], quarters: list[float] | None = None, name: str = "Melody") -> Score:
    return Score((Track(name, line(pitches, quarters or [1.0] * len(pitches))),))


def drums(bars: int = 2) -> Score:
    notes = tuple(Note(k * QUARTER, 36 + 2 * (k % 2), 120) for k in range(4 * bars))
    return Score((Track("Drums", notes, is_drum=True),))


def random_melody(rng: np.random.Generator, notes: int = 40) -> tuple[list[int], list[float]]:
    """A wandering line with no repeated pitch; rhythm of eighths, quarters and halves."""
    moves = rng.choice([-7, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 7], size=notes - 1)
    pitches = [60]
    for move in moves.tolist():
        step = -move if not 40 <= pitches[-1] + move <= 84 else move
        pitches.append(pitches[-1] + step)
    return pitches, rng.choice([0.5, 1.0, 2.0], size=notes).tolist()


def two_part(rng: np.random.Generator, bars: int = 8, chromatic: bool = False) -> Score:
    """Melody by steps of the scale over whole-bar tonics and dominants; or by any semitones."""
    bass = [int(rng.choice([48, 43, 53])) for _ in range(bars)]
    degree, upper = 7, []
    for root in bass:
        for _ in range(4):
            degree = int(np.clip(degree + rng.choice([-1, 1, 1, -2, 2]), 0, 13))
            pitch = 60 + SCALE[degree % 7] + 12 * (degree // 7)
            upper.append(pitch + (int(rng.integers(-1, 2)) if chromatic else root * 0))
    return Score(
        (
            Track("Upper", line(upper, [1.0] * len(upper))),
            Track("Bass", line(bass, [4.0] * bars)),
        ),
        time_signatures=(TimeSignature(0, 4, 4),),
    )


def some(count: int, seed: int, chromatic: bool = False) -> dict[str, Score]:
    rng = np.random.default_rng(seed)
    return {f"{seed}-{k}": two_part(rng, chromatic=chromatic) for k in range(count)}

"""Conditions of sound: a click track heard, a score known."""

from __future__ import annotations

import numpy as np
import pytest

from partimento.music import Note, Score, Tempo, Track
from partimento.training.audio.conditions import (
    beat_times,
    conditions_of_score,
    conditions_of_sound,
)

RATE, LATENT = 8000, 400


def clicks(bpm: float, seconds: float, start: float = 0.25) -> np.ndarray:
    """Return (2, n): a short noise on every beat, a softer one halfway."""
    draw = np.random.default_rng(0)
    out = np.zeros((2, round(seconds * RATE)), dtype=np.float32)
    for index in range(int((seconds - start) * bpm / 30) - 1):
        at = round((start + index * 30 / bpm) * RATE)
        level = 0.1 if index % 2 else 0.6
        noise = level * draw.standard_normal(400) * np.exp(-np.arange(400) / 60)
        out[:, at : at + 400] += noise.astype(np.float32)
    return out


def test_the_beats_of_a_click_track_are_found() -> None:
    found = beat_times(clicks(96, 20), RATE)
    expected = 0.25 + np.arange(31) * 60 / 96
    assert len(found) >= 28
    # After the last click the tempo may go on for a beat.
    assert np.abs(found[:-1, None] - expected).min(axis=1).max() < 0.04


def test_a_click_track_is_told_as_it_is() -> None:
    conditions = conditions_of_sound(clicks(96, 20), RATE, LATENT)
    assert conditions.shape == (400, 5)
    assert conditions.dtype == np.float32
    assert np.median(conditions[:, 2]) * 120 + 60 == pytest.approx(96, abs=3)
    times = (np.arange(400) + 0.5) * LATENT / RATE
    angle = 2 * np.pi * (times - 0.25) * 96 / 60
    alike = np.cos(angle) * conditions[:, 3] + np.sin(angle) * conditions[:, 4]
    assert alike[40:-40].mean() > 0.85
    assert conditions[40:-40, 0].mean() * 8 == pytest.approx(3.2, rel=0.3)


def test_where_nothing_beats_no_beat_is_told() -> None:
    silence = conditions_of_sound(np.zeros((2, 40 * LATENT), np.float32), RATE, LATENT)
    assert not silence[:, [0, 1, 3, 4]].any()
    assert np.allclose(silence[:, 2], 0.5)


def test_level_is_the_mean_of_two_seconds() -> None:
    sound = np.zeros((2, 200 * LATENT), dtype=np.float32)
    sound[:, 100 * LATENT :] = 0.1
    conditions = conditions_of_sound(sound, RATE, LATENT)
    loudness = conditions[:, 1]
    assert loudness[-1] == pytest.approx(40 / 60, abs=1e-3)
    assert loudness[100] == pytest.approx(37 / 60, abs=0.01)
    assert loudness[70] == 0
    assert (np.diff(loudness) >= -1e-6).all()


def test_a_score_says_density_tempo_and_beat_exactly() -> None:
    chords = tuple(Note(480 * i, pitch, 480) for i in range(16) for pitch in (60, 64, 67))
    score = Score(tracks=(Track("a", chords),), tempos=(Tempo(0, 120.0), Tempo(3840, 60.0)))
    sound = np.full((2, 200 * LATENT), 0.1, dtype=np.float32)
    conditions = conditions_of_score(score, sound, RATE, LATENT)
    assert np.allclose(conditions[:80, 2], 0.5, atol=1e-3)
    assert np.allclose(conditions[81:, 2], 0.0, atol=1e-3)
    assert np.allclose(conditions[30:60, 0] * 8, 2, atol=0.51)
    assert np.allclose(conditions[120:200, 0] * 8, 1, atol=0.51)
    on_the_beat = (np.cos(2 * np.pi * 2 * (np.arange(80) + 0.5) / 20)).astype(np.float32)
    assert np.allclose(conditions[:80, 3], on_the_beat, atol=1e-4)
    assert np.allclose(np.hypot(conditions[:, 3], conditions[:, 4]), 1, atol=1e-5)

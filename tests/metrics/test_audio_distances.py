"""Measures of sound, each on sounds whose answer is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from partimento.analysis.audio import (
    chroma,
    chroma_similarity,
    loudness,
    onset_density,
    onset_f,
    onset_strength,
    onset_times,
    tempo,
)
from partimento.metrics.audio_distances import (
    frechet_distance,
    mel_distance,
    si_sdr,
    spectral_convergence,
)
from partimento.metrics.audio_seams import seam_deviations, seam_p

RATE = 44_100
F32 = npt.NDArray[np.float32]


def sine(hz: float, seconds: float = 1.0, rate: int = RATE, level: float = 0.3) -> F32:
    t = np.arange(round(seconds * rate)) / rate
    return np.stack([level * np.sin(2 * np.pi * hz * t)] * 2).astype(np.float32)


def clicks(times: npt.NDArray[np.float64], seconds: float, rate: int = RATE) -> F32:
    rng = np.random.default_rng(1)
    out = np.zeros((1, round(seconds * rate)), dtype=np.float32)
    fall = np.exp(-np.arange(rate // 10) / (rate / 50))
    for time in times:
        at = round(time * rate)
        burst = fall * rng.standard_normal(len(fall)) * 0.3
        room = out[0, at : at + len(burst)]
        room += burst[: len(room)].astype(np.float32)
    return out


def test_distances_grow_with_what_is_wrong() -> None:
    rng = np.random.default_rng(0)
    target = sine(440, 0.5)
    worse = [target + level * rng.standard_normal(target.shape) for level in (0.001, 0.01, 0.1)]
    made = [each.astype(np.float32) for each in worse]
    mel = [mel_distance(each, target) for each in made]
    convergence = [spectral_convergence(each, target) for each in made]
    ratio = [si_sdr(each, target) for each in made]
    assert mel == sorted(mel)
    assert convergence == sorted(convergence)
    assert ratio == sorted(ratio, reverse=True)
    assert ratio[1] == pytest.approx(10 * np.log10(0.045 / 1e-4), abs=0.2)
    assert mel_distance(target, target) == spectral_convergence(target, target) == 0
    assert si_sdr(target, target) == float("inf")
    assert si_sdr(0.5 * made[1], target) == pytest.approx(ratio[1], abs=1e-3)
    assert spectral_convergence(0 * target, target) == pytest.approx(1)


def test_what_cannot_be_compared_is_refused() -> None:
    x = sine(440, 0.1)
    with pytest.raises(ValueError, match="one shape"):
        mel_distance(x, x[:, :100])
    for measure in (spectral_convergence, si_sdr):
        with pytest.raises(ValueError, match="silent"):
            measure(x, 0 * x)
    with pytest.raises(ValueError, match="Frechet"):
        frechet_distance(np.zeros((1, 3)), np.zeros((5, 3)))
    with pytest.raises(ValueError, match="one shape"):
        chroma_similarity(np.zeros((3, 12), np.float32), np.zeros((4, 12), np.float32))


def test_the_frechet_distance_of_known_gaussians() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4000, 3))
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, x + 2) == pytest.approx(12, abs=1e-6)
    # Of N(0, 1) and N(0, 9) in each of three dimensions: 3 * (1 + 9 - 2 * 3).
    assert frechet_distance(x, 3 * x) == pytest.approx(12, rel=0.1)
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    y = rng.standard_normal((4000, 3)) * (1, 2, 3)
    assert frechet_distance(x @ turn, y @ turn) == pytest.approx(frechet_distance(x, y))
    assert frechet_distance(y, x) == pytest.approx(frechet_distance(x, y))


@pytest.mark.parametrize("rate", [22_050, 44_100])
def test_chroma_finds_the_pitch_class(rate: int) -> None:
    for pitch in (55, 60, 69, 83):
        found = chroma(sine(440 * 2 ** ((pitch - 69) / 12), 1.0, rate), rate)
        assert (found[8:].argmax(axis=1) == pitch % 12).all()
        assert np.allclose(np.linalg.norm(found[8:], axis=1), 1, atol=1e-5)
    assert not chroma(np.zeros((2, rate), np.float32), rate).any()


def test_chroma_similarity() -> None:
    a, c = chroma(sine(440), RATE), chroma(sine(523.25), RATE)
    silent = np.zeros_like(a)
    assert chroma_similarity(a, a) == pytest.approx(1)
    assert chroma_similarity(a, c) < 0.1
    assert chroma_similarity(a, silent) == 0
    assert chroma_similarity(silent, silent) == 1


def test_onsets_are_found_in_their_places() -> None:
    true = np.array([0.3, 0.8, 1.05, 1.9, 2.5])
    found = onset_times(clicks(true, 3), RATE)
    assert len(found) == len(true)
    assert np.abs(found - true).max() < 0.03
    soft = sine(440, 3.0)
    soft *= np.clip((np.arange(soft.shape[1]) / RATE - 1) / 0.08, 0, 1).astype(np.float32)
    assert np.abs(onset_times(soft, RATE) - 1.04).max() < 0.05
    assert len(onset_times(np.zeros((2, 0), np.float32), RATE)) == 0
    assert len(onset_times(np.zeros((2, RATE), np.float32), RATE)) == 0
    strength, rate = onset_strength(clicks(true, 3), RATE)
    assert len(strength) == pytest.approx(3 * rate, abs=1)


def test_the_onset_measure_matches_each_once() -> None:
    true = np.array([1.0, 2.0, 3.0])
    assert onset_f(true, true) == 1
    assert onset_f(true + 0.04, true) == 1
    assert onset_f(true + 0.06, true) == 0
    assert onset_f(np.array([1.0, 1.01, 1.02]), true) == pytest.approx(2 / 6)
    assert onset_f(np.array([0.96, 1.04, 2.0]), np.array([1.0, 1.08])) == pytest.approx(4 / 5)
    assert onset_f(np.zeros(0), np.zeros(0)) == 1
    assert onset_f(np.zeros(0), true) == 0


def test_density_counts_onsets_about_each_block() -> None:
    onsets = np.arange(0, 10, 0.25) + 0.01
    density = onset_density(onsets, 100, 0.1)
    assert density.shape == (100,)
    assert np.allclose(density, 4, atol=0.8)
    assert not onset_density(np.zeros(0), 7, 0.1).any()
    late = onset_density(onsets[onsets > 5], 100, 0.1)
    assert late[:30].max() == 0
    assert late[70:].min() > 3


@pytest.mark.parametrize("bpm", [83.0, 120.0, 150.0])
def test_tempo(bpm: float) -> None:
    times = np.arange(0.1, 11.5, 60 / bpm)
    assert tempo(clicks(times, 12), RATE) == pytest.approx(bpm, rel=0.01)


def test_no_tempo_in_nothing() -> None:
    assert tempo(np.zeros((2, 10 * RATE), np.float32), RATE) == 0
    assert tempo(np.zeros((2, 100), np.float32), RATE) == 0


def test_loudness_in_dbfs() -> None:
    found = loudness(sine(440, 1.0, level=1.0))
    assert found.shape == (10,)
    assert np.allclose(found, -3.01, atol=0.1)
    assert loudness(np.zeros((2, 9000), np.float32)).tolist() == [-120, -120]
    assert loudness(np.zeros((2, 0), np.float32)).shape == (0,)


def _walk(seconds: float, rng: np.random.Generator) -> F32:
    """Return tones that change every so often, as music does."""
    parts, phase, at = [], 0.0, 0
    while at < seconds * RATE:
        length = int(rng.integers(2000, 30_000))
        steps = 2 * np.pi * rng.uniform(100, 900) / RATE
        level = rng.uniform(0.1, 0.4)
        parts.append(level * np.sin(phase + steps * np.arange(length)))
        phase, at = phase + steps * length, at + length
    return np.concatenate(parts)[None, : int(seconds * RATE)].astype(np.float32)


def test_seams_are_found_where_they_are_and_only_there() -> None:
    rng = np.random.default_rng(0)
    whole = _walk(12, rng)
    borders = np.arange(1, 24) * 22_050
    assert seam_p(whole, borders, np.random.default_rng(1)) > 0.05
    parts = [np.roll(part, int(rng.integers(0, 5000)), axis=1) * rng.choice([0.5, 1])
             for part in np.split(whole, borders, axis=1)]  # fmt: skip
    cut = np.concatenate(parts, axis=1).astype(np.float32)
    assert seam_p(cut, borders, np.random.default_rng(1)) < 0.01
    assert seam_p(cut, borders + 11_000, np.random.default_rng(1)) > 0.05


def test_where_there_is_no_seam_p_is_even() -> None:
    rng = np.random.default_rng(3)
    whole = _walk(4, rng)
    chances = [
        seam_p(whole, np.sort(rng.integers(0, whole.shape[1], 6)), rng, 100) for _ in range(25)
    ]
    assert 0.3 < np.mean(chances) < 0.7
    assert np.mean(np.array(chances) < 0.1) < 0.3


def test_seams_need_room() -> None:
    with pytest.raises(ValueError, match="too few"):
        seam_deviations(np.zeros((2, 300), np.float32))
    with pytest.raises(ValueError, match="borders inside"):
        seam_p(np.zeros((2, RATE), np.float32), np.array([10**9]), np.random.default_rng(0))

"""Short-time spectra: the exact inverse, streams, causality, logarithms, Griffin-Lim."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.analysis.stft import hann, mel_matrix, short_time_spectra
from partimento.representations.spectra import (
    Framing,
    analyse,
    from_log_magnitudes,
    griffin_lim,
    left_right,
    log_magnitudes,
    mid_side,
    overlap_add,
    overlap_start,
    synthesise,
)

SMALL = Framing(64, 16)
FRAMINGS = (Framing(), SMALL, Framing(48, 16), Framing(64, 8))


def noise(length: int, channels: int = 2, seed: int = 0) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return (0.2 * rng.standard_normal((channels, length))).astype(np.float32)


@pytest.mark.parametrize("framing", FRAMINGS, ids=str)
def test_the_inverse_is_exact(framing: Framing) -> None:
    samples = noise(framing.hop * 11)
    spectra = analyse(samples, framing)
    assert spectra.shape == (2, 11 + framing.overlap - 1, framing.bins)
    assert spectra.dtype == np.complex64
    assert np.allclose(synthesise(spectra, framing), samples, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(length=st.integers(0, 200), channels=st.integers(1, 3))
def test_any_length_comes_back_with_silence_after_it(length: int, channels: int) -> None:
    samples = noise(length, channels)
    back = synthesise(analyse(samples, SMALL), SMALL)
    assert back.shape == (channels, -(-length // 16) * 16)
    assert np.allclose(back[:, :length], samples, atol=1e-6)
    assert np.allclose(back[:, length:], 0, atol=1e-6)


def test_frames_by_definition() -> None:
    samples = noise(16 * 6, 1)
    padded = np.pad(samples[0], (48, 48))
    window = np.square(np.sin(np.pi * np.arange(64) / 64))
    plain = [np.fft.rfft(padded[t * 16 : t * 16 + 64] * window) for t in range(9)]
    assert np.allclose(analyse(samples, SMALL)[0], plain, atol=1e-5)


def test_the_windows_add_up_to_the_gain() -> None:
    for framing in FRAMINGS:
        squares = hann(framing.size).reshape(-1, framing.hop) ** 2
        assert np.allclose(squares.sum(axis=0), framing.gain)
    assert Framing().gain == 1.5


def test_a_frame_knows_nothing_of_what_comes_after_it() -> None:
    samples = noise(16 * 8, 1)
    changed = samples.copy()
    changed[:, 16 * 5 :] += 1
    before, after = analyse(samples, SMALL), analyse(changed, SMALL)
    assert np.array_equal(before[:, :5], after[:, :5])
    assert not np.allclose(before[:, 5], after[:, 5])


@settings(max_examples=25, deadline=None)
@given(pieces=st.lists(st.integers(0, 9), min_size=1, max_size=8))
def test_a_stream_is_the_whole_to_the_bit(pieces: list[int]) -> None:
    total = sum(pieces)
    spectra = analyse(noise(16 * (total + 1)), SMALL)[:, : total + 3]
    tail, made, at = overlap_start(SMALL, 2), [], 0
    for count in [*pieces, 3]:
        given_tail = tail.copy()
        sound, new = overlap_add(tail, spectra[:, at : at + count])
        assert np.array_equal(tail, given_tail)
        tail, at = new, at + count
        made.append(sound)
    stream = np.concatenate(made, axis=1)[:, SMALL.lag :]
    assert np.array_equal(stream, synthesise(spectra, SMALL))


@pytest.mark.parametrize(("size", "hop"), [(64, 32), (64, 15), (64, 0), (16, 64), (45, 15)])
def test_windows_without_an_exact_sum_are_refused(size: int, hop: int) -> None:
    with pytest.raises(ValueError, match="no exact sum"):
        Framing(size, hop)


def test_logarithms_lie_about_one_and_come_back() -> None:
    loudest = np.full((1, 1, 3), 512 + 0j, dtype=np.complex64)
    assert 0.8 < log_magnitudes(loudest).max() < 1
    assert -1 < log_magnitudes(0 * loudest).min() < -0.9
    spectra = analyse(noise(2048), Framing())
    back = from_log_magnitudes(log_magnitudes(spectra))
    assert back.dtype == np.float32
    assert np.allclose(back, np.abs(spectra), rtol=1e-4, atol=1e-4)


def test_mid_and_side_come_back() -> None:
    samples = noise(100)
    assert np.allclose(left_right(mid_side(samples)), samples, atol=1e-6)
    assert not mid_side(np.repeat(samples[:1], 2, axis=0))[1].any()
    spectra = analyse(noise(100), SMALL)
    assert mid_side(spectra).dtype == np.complex64
    batch = np.stack([samples, samples])
    assert np.array_equal(mid_side(batch, axis=1)[0], mid_side(samples))


def test_griffin_lim_finds_a_sound_with_these_magnitudes() -> None:
    t = np.arange(44_100 // 4) / 44_100
    samples = np.stack([0.3 * np.sin(2 * np.pi * hz * t) for hz in (440, 660)]).astype(np.float32)
    wanted = np.abs(analyse(samples, Framing()))
    found = {
        rounds: np.abs(
            analyse(griffin_lim(wanted, Framing(), np.random.default_rng(1), rounds), Framing())
        )
        for rounds in (0, 30)
    }
    errors = {n: np.linalg.norm(x - wanted) / np.linalg.norm(wanted) for n, x in found.items()}
    assert errors[30] < 0.25
    assert errors[30] < 0.5 * errors[0]
    again = [griffin_lim(wanted, Framing(), np.random.default_rng(1), 2) for _ in range(2)]
    assert np.array_equal(*again)


def test_mel_bands_hear_every_frequency_and_none_is_deaf() -> None:
    for size, mels in ((256, 40), (2048, 128)):
        bands = mel_matrix(44_100, size, mels)
        assert bands.shape == (mels, size // 2 + 1)
        assert (bands.max(axis=1) > 0.4).all()
        hz = np.arange(size // 2 + 1) * 44_100 / size
        assert (bands.sum(axis=0)[(hz > 200) & (hz < 15_000)] > 0).all()
        assert (np.diff(bands.argmax(axis=1)) >= 0).all()
    assert mel_matrix(8_000, 256, 20)[:, -1].sum() < 1e-3
    with pytest.raises(ValueError, match="mel scale"):
        mel_matrix(44_100, 256, 0)


def test_a_full_sine_reaches_a_quarter_of_the_window() -> None:
    t = np.arange(4096)
    sine = np.sin(2 * np.pi * 32 / 1024 * t).astype(np.float32)[None]
    assert np.isclose(np.abs(short_time_spectra(sine, 1024, 256)).max(), 256, rtol=1e-3)

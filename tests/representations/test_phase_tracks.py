"""Phases summed over time: exact however a stream is cut, and true to what was heard."""

from __future__ import annotations

import numpy as np
import pytest

from partimento.representations.phase_tracks import (
    LEVEL_CAP,
    PhaseTrack,
    noise_offsets,
    noise_table,
    spectra_at,
    steps_of,
)
from partimento.representations.spectra import Framing, analyse, synthesise

FRAMING = Framing(256, 64)
BINS = FRAMING.bins


def said(frames: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    said = draw.normal(size=(frames, 4, BINS)).astype(np.float32)
    return said, draw.uniform(size=(frames, 2, 8)).astype(np.float32)


@pytest.mark.parametrize("step", [1, 5, 16])
def test_a_stream_is_the_whole_to_the_bit(step: int) -> None:
    frames, noise = said(33)
    whole, end = PhaseTrack.start(2, BINS).spectra(frames, noise)
    track, parts = PhaseTrack.start(2, BINS), []
    for at in range(0, 33, step):
        part, track = track.spectra(frames[at : at + step], noise[at : at + step])
        parts.append(part)
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)
    np.testing.assert_array_equal(track.phase, end.phase)
    assert track.frame == end.frame == 33


def test_every_bin_follows_the_loudest_within_two() -> None:
    frames, _ = said(4)
    owner = steps_of(frames).owner.reshape(4, 2, BINS)
    for (frame, channel, at), found in np.ndenumerate(owner):
        level = frames[frame, 2 * channel]
        low = max(0, at - 2)
        assert found == channel * BINS + low + int(np.argmax(level[low : at + 3]))


def test_advances_are_beyond_the_middle_of_the_owner() -> None:
    frames, _ = said(1)
    steps = steps_of(frames)
    start = PhaseTrack.start(2, BINS)
    turns, _ = start.follow(steps)
    owner = steps.owner[0]
    advance = frames[0, 1::2].reshape(-1)[owner] + (owner % BINS % 4) * np.pi / 2
    wanted = start.phase.reshape(-1)[owner] / 2.0**31 * np.pi + advance
    got = turns[0] / 2.0**31 * np.pi
    np.testing.assert_allclose(np.exp(1j * got), np.exp(1j * wanted), atol=1e-5)


def test_a_tone_that_was_heard_sounds_as_long_as_it_is_told() -> None:
    time = np.arange(64 * 80)
    tone = 0.5 * np.cos(0.3171 * time).astype(np.float32)[None].repeat(2, axis=0)
    spectra = analyse(tone, FRAMING)[:, 8:80]
    turned = np.angle(spectra[:, 1:] * spectra[:, :-1].conj())
    advance = turned - (np.arange(BINS) % 4) * np.pi / 2
    level = np.log(np.abs(spectra[:, 1:]) + 1e-3)
    frames = np.stack([level, advance], axis=1).reshape(4, -1, BINS).transpose(1, 0, 2)
    noise = np.zeros((frames.shape[0], 2, 8), dtype=np.float32)
    made, _ = PhaseTrack.start(2, BINS).spectra(frames.astype(np.float32), noise)
    sound = synthesise(made, FRAMING)[:, 256:-256]
    assert np.sqrt((sound**2).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)
    heard = np.abs(np.fft.rfft(sound[0] * np.hanning(sound.shape[1])))
    place = heard.argmax() * 2 * np.pi / sound.shape[1]
    assert place == pytest.approx(0.3171, abs=2 * np.pi / sound.shape[1])


def test_noise_turns_phases_by_what_the_table_says() -> None:
    frames, _ = said(3)
    turns, _ = PhaseTrack.start(2, BINS).follow(steps_of(frames))
    none = np.zeros((3, 2, 8), dtype=np.float32)
    plain = spectra_at(turns, frames, none, 7)
    noisy = spectra_at(turns, frames, none + 1, 7)
    table = noise_table(2, BINS)
    drawn = np.stack([table[at : at + 2 * BINS] for at in noise_offsets(7, 3)])
    turn = np.exp(1j * np.pi * drawn).reshape(3, 2, BINS).transpose(1, 0, 2)
    np.testing.assert_allclose(noisy, plain * turn, atol=1e-4)


def test_levels_are_bounded_and_silence_is_silent() -> None:
    frames, noise = said(2)
    frames[0, 0::2], frames[1, 0::2] = 1e6, -1e6
    made, _ = PhaseTrack.start(2, BINS).spectra(frames, noise)
    assert np.isfinite(made).all()
    np.testing.assert_allclose(np.abs(made[:, 0]), np.exp(LEVEL_CAP), rtol=1e-3)
    assert np.abs(made[:, 1]).max() < 1e-6


def test_what_is_given_is_not_changed() -> None:
    frames, noise = said(3)
    kept = frames.copy(), noise.copy()
    track = PhaseTrack.start(2, BINS)
    first, _ = track.spectra(frames, noise)
    again, _ = track.spectra(frames, noise)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(frames, kept[0])
    np.testing.assert_array_equal(noise, kept[1])

"""Voices and drums: the fast path against the plain sum, pitch, level, and telling them apart."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from partimento.music.instruments import DRUMS, family
from partimento.sound.bank import DRUM_KIT, Bank
from partimento.sound.drum_kit import hit_of, render_hit
from partimento.sound.programs import tone_of
from partimento.sound.tone import Envelope, Partials, Spectrum, Tone
from partimento.sound.voice import BLOCK, LAYERS, InstrumentVoice, NoiseBands, pitch_hz

RATE = 22_050
FAMILIES = {
    "piano": 0, "mallets": 12, "organ": 19, "guitar": 24, "bass": 33, "pizzicato": 45, "harp": 46,
    "strings": 48, "choir": 52, "brass": 56, "reed": 68, "flute": 73, "pad": 89,
}  # fmt: skip


@pytest.fixture(scope="module")
def bank() -> Bank:
    return Bank(RATE)


def sound(bank: Bank, program: int, pitch: int, layer: int = 5, blocks: int = 2) -> np.ndarray:
    return np.concatenate([bank.block(program, pitch, layer, i) for i in range(blocks)], axis=1)


def test_the_matrix_product_is_the_plain_sum_of_partials() -> None:
    tone = Tone(
        Partials(count=9, stiffness=0.001),
        Spectrum((-6, -6)),
        Envelope(0.003, ring_seconds=0.8),
    )
    voice = InstrumentVoice(tone, 0, 57, 4, NoiseBands(RATE), RATE)
    fast = np.concatenate([voice.block(0), voice.block(1)], axis=1)
    time = np.arange(2 * BLOCK) / RATE
    plain = np.zeros((2, 2 * BLOCK))
    for p, hz in enumerate(voice._hz):
        fall = np.exp(-voice._decay[p] * time)
        for side in range(2):
            weight = voice._weights[side, 0, p]
            plain[side] += fall * (weight * np.exp(2j * np.pi * hz * time)).real
    after = int(0.01 * RATE)  # past the attack, which the plain form leaves out
    assert np.abs(fast - plain)[:, after:].max() < 2e-3 * np.abs(plain).max()


def test_blocks_do_not_depend_on_what_was_asked_before() -> None:
    forward, backward = Bank(RATE), Bank(RATE, max_blocks=1)
    want = [forward.block(48, 60, 3, index) for index in range(3)]
    for index in (2, 0, 1):
        backward.block(52, 50, 2, 0)
        assert backward.block(48, 60, 3, index).tobytes() == want[index].tobytes()


def test_the_bank_forgets_the_oldest() -> None:
    bank = Bank(8_000, max_blocks=3)
    for pitch in range(40, 50):
        bank.block(16, pitch, 3, 0)
    assert len(bank._blocks) == 3


def test_every_program_has_a_voice_of_sensible_level(bank: Bank) -> None:
    for program in range(128):
        samples = bank.block(program, 60, 5, 0)
        assert np.isfinite(samples).all(), program
        assert 0.01 < np.abs(samples).max() < 2.0, (program, np.abs(samples).max())
        assert abs(samples.mean()) < 5e-3, program


def test_programs_of_the_same_family_ring_or_last_alike() -> None:
    lasting = {"organ", "brass", "reed", "pipe", "synth pad"}
    for program in range(128):
        rings = tone_of(program).envelope.ring_seconds > 0
        if family(program) in lasting:
            assert not rings or program in (88,), program
        if family(program) in {"piano", "chromatic percussion", "guitar"}:
            assert rings, program


@pytest.mark.parametrize("program", FAMILIES.values(), ids=FAMILIES.keys())
def test_the_fundamental_is_in_tune(bank: Bank, program: int) -> None:
    for pitch in (36, 48, 60, 72, 84):
        samples = sound(bank, program, pitch)[:, : int(1.2 * RATE)].sum(axis=0)
        size = 1 << 19
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), size))
        want = pitch_hz(pitch) * size / RATE
        low, high = int(want * 2 ** (-0.5 / 12)), int(want * 2 ** (0.5 / 12))
        found = low + int(np.argmax(spectrum[low:high]))
        assert abs(1200 * np.log2(found / want)) < 3.5, pitch


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Return (frames, 32) of log mel power; loudness is taken out."""
    mono = samples.mean(axis=0)[:RATE]
    frames = np.lib.stride_tricks.sliding_window_view(mono, 1024)[::512] * np.hanning(1024)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    mel = 2595 * np.log10(1 + np.fft.rfftfreq(1024, 1 / RATE) / 700)
    edges = np.linspace(0, mel[-1], 34)
    bands = np.maximum(0, 1 - np.abs(mel[:, None] - edges[None, 1:-1]) / (edges[1] - edges[0]))
    banded = power @ bands
    return np.log10(banded / banded.sum() * len(banded) + 1e-4)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(((a - b) ** 2).mean()))


def test_families_are_told_apart(bank: Bank) -> None:
    pictures = {name: log_mel(sound(bank, p, 60)) for name, p in FAMILIES.items()}
    within = max(
        distance(pictures[name], log_mel(sound(bank, p, 60, layer)))
        for name, p in FAMILIES.items()
        for layer in (4, 6)
    )
    between = min(distance(pictures[a], pictures[b]) for a, b in combinations(FAMILIES, 2))
    assert between > 1.5 * within


def test_the_drums_are_told_apart(bank: Bank) -> None:
    kit = (36, 37, 38, 39, 41, 42, 46, 47, 49, 50, 51, 53, 54, 56)
    pictures = {key: log_mel(sound(bank, DRUM_KIT, key)) for key in kit}
    within = max(
        distance(pictures[key], log_mel(sound(bank, DRUM_KIT, key, layer)))
        for key in kit
        for layer in (4, 6)
    )
    between = min(distance(pictures[a], pictures[b]) for a, b in combinations(kit, 2))
    assert between > 2 * within


def test_every_key_of_the_kit_has_its_own_drum() -> None:
    assert [key for key in range(128) if hit_of(key)[0] == key] == sorted(DRUMS)
    assert hit_of(0)[0] == 35
    assert hit_of(30)[0] == 37
    assert hit_of(100)[0] == 81


@pytest.mark.parametrize("key", [35, 38, 39, 42, 46, 49, 53, 58, 60, 69, 75, 79, 81])
def test_drums_are_finite_short_and_brighter_when_hit_hard(key: int) -> None:
    soft, hard = render_hit(key, 0.1, RATE), render_hit(key, 0.9, RATE)
    for samples in (soft, hard):
        assert np.isfinite(samples).all()
        assert 0.02 < np.abs(samples).max() < 1.0
        assert samples.shape[1] < 5 * RATE
        assert np.abs(samples[:, -10:]).max() < 1e-3

    def brightness(samples: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(samples[0])) ** 2
        return float((power * np.fft.rfftfreq(samples.shape[1], 1 / RATE)).sum() / power.sum())

    assert brightness(hard) > 0.95 * brightness(soft)


def test_layers_cover_all_velocities() -> None:
    assert {velocity * LAYERS // 128 for velocity in range(1, 128)} == set(range(LAYERS))

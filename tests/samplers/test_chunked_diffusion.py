"""The sampler of MeLoDy against a plain transcription of the paper, and its step schedule."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from partimento.errors import ConfigError, ModelError
from partimento.samplers.diffusion import chunked_diffusion, chunked_flow, melody_steps

F32 = npt.NDArray[np.float32]


@pytest.mark.parametrize("steps", [1, 2, 5, 10, 20, 100])
def test_the_steps_go_down_and_sum_to_a_quarter_turn(steps: int) -> None:
    widths = melody_steps(steps)
    assert len(widths) == steps
    assert sum(widths) == pytest.approx(math.pi / 2, abs=1e-12)
    assert all(a > b for a, b in pairwise(widths))
    plain = [
        math.pi / (6 * steps) + 2 * math.pi * t / (3 * steps * (steps + 1))
        for t in range(steps, 0, -1)
    ]
    assert widths == pytest.approx(plain)


def wave(state: F32, angles: F32) -> F32:
    """Return some smooth velocity that depends on the state and on the angle."""
    out: F32 = np.sin(state * 1.3 + angles[:, None]).astype(np.float32)
    return out


def test_the_sampler_is_the_published_recursion() -> None:
    noise = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
    steps, angles = 7, np.full(6, math.pi / 2, dtype=np.float32)
    *_, made = chunked_diffusion(wave, noise, angles, steps)
    z, delta = noise.astype(np.float64), math.pi / 2
    for t in range(steps, 0, -1):
        omega = math.pi / (6 * steps) + 2 * math.pi * t / (3 * steps * (steps + 1))
        v = np.sin(z * 1.3 + delta)
        z, delta = math.cos(omega) * z - math.sin(omega) * v, delta - omega
    np.testing.assert_allclose(made, z, atol=1e-5)


def test_known_chunks_stay_and_are_told_as_known() -> None:
    state = np.random.default_rng(1).standard_normal((8, 2)).astype(np.float32)
    angles = np.repeat(np.array([0, math.pi / 2], dtype=np.float32), 4)
    seen = []

    def predict(latents: F32, at: F32) -> F32:
        seen.append(at.copy())
        np.testing.assert_allclose(latents[:4], state[:4], atol=1e-6)
        return wave(latents, at)

    *_, made = chunked_diffusion(predict, state, angles, 5)
    assert len(seen) == 5
    assert all((at[:4] == 0).all() and (np.diff(at[4:]) == 0).all() for at in seen)
    np.testing.assert_allclose(made[:4], state[:4], atol=1e-6)
    assert np.abs(made[4:] - state[4:]).max() > 0.1


@pytest.mark.parametrize("sampler", [chunked_diffusion, chunked_flow])
def test_data_of_one_point_is_found_exactly(sampler: object) -> None:
    target = np.arange(8, dtype=np.float32).reshape(4, 2)
    noise = np.random.default_rng(2).standard_normal((4, 2)).astype(np.float32)

    def perfect(state: F32, angles: F32) -> F32:
        if sampler is chunked_flow:
            time = angles[:, None] / (math.pi / 2)
            return ((state - target) / np.maximum(time, 1e-6)).astype(np.float32)
        sine, cosine = np.sin(angles)[:, None], np.cos(angles)[:, None]
        noise_now = (state - cosine * target) / np.maximum(sine, 1e-6)
        return (cosine * noise_now - sine * target).astype(np.float32)

    angles = np.full(4, math.pi / 2, dtype=np.float32)
    *_, made = sampler(perfect, noise, angles, 4)  # type: ignore[operator]
    np.testing.assert_allclose(made, target, atol=1e-4)


def test_bad_numbers_are_refused() -> None:
    zeros, angles = np.zeros((2, 1), np.float32), np.ones(2, np.float32)
    with pytest.raises(ConfigError, match="1 or more"):
        melody_steps(0)
    with pytest.raises(ModelError, match="NaN"):
        list(chunked_diffusion(lambda z, a: z * np.nan, zeros, angles, 2))

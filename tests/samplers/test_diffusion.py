"""Continuous diffusion against closed forms: for Gaussian data both flows are known exactly."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from partimento.errors import ConfigError, ModelError
from partimento.samplers.diffusion import Velocity, rectified_flow, v_diffusion

Floats = npt.NDArray[np.float32]
Sampler = Callable[[Velocity, Floats, int], Iterator[Floats]]
MEAN, SPREAD = 1.5, 0.4  # of the data
NOISE = np.linspace(-2.5, 2.5, 41, dtype=np.float32)


def share(sampler: Sampler, time: float) -> tuple[float, float]:
    """Return how much of the data and how much of the noise a state holds."""
    if sampler is v_diffusion:
        return math.cos(time), math.sin(time)
    return 1 - time, time


def best_velocity(sampler: Sampler, mean: float, spread: float) -> Velocity:
    """Return the mean of v given z where x is Gaussian: what a perfect network predicts."""

    def predict(state: Floats, time: float) -> Floats:
        data, noise = share(sampler, time)
        away = (state - data * mean) / (data**2 * spread**2 + noise**2)
        x, e = mean + data * spread**2 * away, noise * away
        velocity = data * e - noise * x if sampler is v_diffusion else e - x
        return velocity.astype(np.float32)

    return predict


def last(steps: Iterator[Floats]) -> Floats:
    *_, sample = steps
    return sample


both = pytest.mark.parametrize("sampler", [v_diffusion, rectified_flow])


@both
def test_the_flow_carries_noise_to_the_data_with_order_one(sampler: Sampler) -> None:
    """The exact flow keeps quantiles: e goes to mean + spread e. Euler steps err by 1 / steps."""
    wanted = MEAN + SPREAD * NOISE
    counts = np.array([64, 128, 256])
    predict = best_velocity(sampler, MEAN, SPREAD)
    errors = [np.abs(last(sampler(predict, NOISE, int(n))) - wanted).max() for n in counts]
    order = -np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert errors[-1] < 0.02
    assert 0.8 < order < 1.3


@both
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_data_of_one_point_are_found_in_any_number_of_steps(sampler: Sampler, steps: int) -> None:
    estimates = list(sampler(best_velocity(sampler, MEAN, 0.0), NOISE, steps))
    assert len(estimates) == steps
    for estimate in estimates:
        np.testing.assert_allclose(estimate, MEAN, atol=1e-4)
        assert estimate.dtype == np.float32


@both
def test_one_step_gives_the_mean_and_the_estimates_go_on_from_it(sampler: Sampler) -> None:
    estimates = list(sampler(best_velocity(sampler, MEAN, SPREAD), NOISE, 16))
    np.testing.assert_allclose(estimates[0], MEAN, atol=1e-5)  # noise alone tells no more
    spreads = [float(estimate.std()) for estimate in estimates]
    assert spreads == sorted(spreads)


def test_a_step_is_the_rotation() -> None:
    """z_{a - w} = cos(w) z_a - sin(w) v, seen through the states that the model is given."""
    seen: list[tuple[Floats, float]] = []

    def predict(state: Floats, angle: float) -> Floats:
        seen.append((state, angle))
        return np.sin(state).astype(np.float32)

    list(v_diffusion(predict, NOISE, 3))
    for (before, a), (after, b) in pairwise(seen):
        turned = math.cos(a - b) * before - math.sin(a - b) * np.sin(before)
        np.testing.assert_allclose(after, turned, atol=1e-6)
    assert [angle for _, angle in seen] == pytest.approx([math.pi / 2, math.pi / 3, math.pi / 6])


@both
def test_what_cannot_be_sampled_is_refused(sampler: Sampler) -> None:
    with pytest.raises(ConfigError, match="1 or more"):
        list(sampler(lambda state, time: state, NOISE, 0))
    with pytest.raises(ModelError, match="NaN"):
        list(sampler(lambda state, time: state * np.float32("nan"), NOISE, 2))

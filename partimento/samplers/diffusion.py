"""Continuous diffusion as a function of a callable: from noise to a sample in a few steps.

A state z lies between the data x and Gaussian noise e of the same shape, and ``predict(z, time)``
returns the model's velocity v there.

==============================================  ====================================================
Salimans and Ho, arXiv 2202.00512, appendix D   ``v_diffusion``: z = cos(a) x + sin(a) e, dz/da = v
Liu et al., arXiv 2209.03003, eq. 1             ``rectified_flow``: z = (1 - t) x + t e, dz/dt = v
Lam et al., arXiv 2305.15719, section 4.3       ``chunked_diffusion``: parts at angles of their own,
                                                ``melody_steps``: large steps first
==============================================  ====================================================

All are deterministic: the noise is the only random draw. Each yields the estimate of x after every
step, which a performer may hand on as a draft; the last one is the sample::

    *_, x = v_diffusion(predict, rng.standard_normal(shape).astype(np.float32), steps=20)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from partimento.errors import ConfigError, ModelError

__all__ = [
    "ChunkVelocity",
    "Velocity",
    "chunked_diffusion",
    "chunked_flow",
    "melody_steps",
    "rectified_flow",
    "v_diffusion",
]

Floats = npt.NDArray[np.float32]
# (state, time) -> velocity, of the state's shape; the time is an angle or a share of noise
Velocity = Callable[[Floats, float], Floats]
# (state (L, C), angle of every frame (L,)) -> velocity (L, C)
ChunkVelocity = Callable[[Floats, Floats], Floats]


def v_diffusion(predict: Velocity, noise: Floats, steps: int) -> Iterator[Floats]:
    """Yield the estimate of x after each of ``steps`` even steps of the angle from pi / 2 to 0.

    With x = cos(a) z - sin(a) v and e = sin(a) z + cos(a) v, the state at a smaller angle is a
    rotation: z_{a - w} = cos(w) z_a - sin(w) v_a, exact where v does not change (DDIM).

    Args:
        predict: v = cos(a) e - sin(a) x at the angle a.
        noise: of a standard normal distribution.
        steps: how many times the model is called.

    Raises:
        ConfigError: if there is no step.
        ModelError: if the model gives NaN or infinity.
    """
    _check(steps)
    state, width = noise, math.pi / 2 / steps
    for step in range(steps):
        angle = math.pi / 2 * (1 - step / steps)
        velocity = _finite(predict(state, angle))
        yield np.float32(math.cos(angle)) * state - np.float32(math.sin(angle)) * velocity
        state = np.float32(math.cos(width)) * state - np.float32(math.sin(width)) * velocity


def rectified_flow(predict: Velocity, noise: Floats, steps: int) -> Iterator[Floats]:
    """Yield the estimate of x after each of ``steps`` even Euler steps of the time from 1 to 0.

    Args:
        predict: v = e - x at the time t, the share of noise.
        noise: of a standard normal distribution.
        steps: how many times the model is called.

    Raises:
        ConfigError: if there is no step.
        ModelError: if the model gives NaN or infinity.
    """
    _check(steps)
    state = noise
    for step in range(steps):
        time = 1 - step / steps
        velocity = _finite(predict(state, time))
        yield state - np.float32(time) * velocity
        state = state - np.float32(1 / steps) * velocity


def melody_steps(steps: int) -> tuple[float, ...]:
    """Return the angles w_T .. w_1 that MeLoDy's sampler goes down by, the largest first.

    ``w_t = pi / (6 T) + 2 pi t / (3 T (T + 1))``; together they are pi / 2.

    Raises:
        ConfigError: if there is no step.
    """
    _check(steps)
    even, rising = math.pi / (6 * steps), 2 * math.pi / (3 * steps * (steps + 1))
    return tuple(even + rising * t for t in range(steps, 0, -1))


def chunked_diffusion(
    predict: ChunkVelocity, state: Floats, angles: Floats, steps: int
) -> Iterator[Floats]:
    """Yield the estimate of x after each step of `melody_steps`, frames at angle 0 staying known.

    Args:
        predict: v of every frame, given the angle of every frame.
        state: (L, C): known latents where the angle is 0, Gaussian noise where it is pi / 2.
        angles: of every frame (L,), 0 or pi / 2: those of one chunk are alike.
        steps: how many times the model is called.

    Raises:
        ConfigError: if there is no step.
        ModelError: if the model gives NaN or infinity.
    """
    left = angles.astype(np.float64)
    for step in melody_steps(steps):
        width = np.minimum(left, step)[:, None]
        velocity = _finite(predict(state, left.astype(np.float32)))
        rest = left[:, None]
        yield (np.cos(rest) * state - np.sin(rest) * velocity).astype(np.float32)
        state = (np.cos(width) * state - np.sin(width) * velocity).astype(np.float32)
        left = left - width[:, 0]


def chunked_flow(
    predict: ChunkVelocity, state: Floats, angles: Floats, steps: int
) -> Iterator[Floats]:
    """Yield the estimate of x after each even Euler step; `chunked_diffusion` for rectified flow.

    The network is told the time t as the angle ``t pi / 2``.

    Raises:
        ConfigError: if there is no step.
        ModelError: if the model gives NaN or infinity.
    """
    _check(steps)
    noisy = (angles > 0).astype(np.float32)[:, None]
    for step in range(steps):
        time = np.float32(1 - step / steps)
        velocity = _finite(predict(state, (noisy[:, 0] * time * np.float32(math.pi / 2))))
        yield state - noisy * time * velocity
        state = state - noisy * np.float32(1 / steps) * velocity


def _check(steps: int) -> None:
    if steps < 1:
        raise ConfigError("steps", f"is 1 or more, not {steps}")


def _finite(velocity: Floats) -> Floats:
    if not np.isfinite(velocity).all():
        raise ModelError("the model gave NaN or infinity; export its weights again")
    return velocity

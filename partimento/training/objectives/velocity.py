"""Velocities that denoisers learn: of the trigonometric path, and of straight lines.

MeLoDy (Lam et al. 2023, arXiv 2305.15719, section 4)::

    z_d = cos(d) z + sin(d) eps         -> noised
    v   = cos(d) eps - sin(d) z         -> velocity
    each of M chunks at its own angle   -> chunk_angles

and in its place rectified flow (Liu et al. 2022, arXiv 2209.03003, Eq. 1): x_t = (1 - t) x + t eps,
v = eps - x, t in 0..1 -> ``straight``. Here t is told to the network as the angle t pi / 2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["chunk_angles", "noised", "straight", "velocity"]


def chunk_angles(
    batch: int, chunks: int, length: int, generator: torch.Generator | None = None
) -> Tensor:
    """Return (B, L) angles: each of ``chunks`` equal chunks has one, even in 0 to pi / 2.

    Raises:
        ValueError: if the chunks do not divide the length.
    """
    if length % chunks:
        raise ValueError(f"{chunks} chunks do not divide {length} frames")
    drawn = torch.rand(batch, chunks, generator=generator) * (math.pi / 2)
    return drawn.repeat_interleave(length // chunks, dim=1)


def noised(latents: Tensor, noise: Tensor, angles: Tensor) -> Tensor:
    """Return z_d (B, L, C) at angles (B, L)."""
    angles = angles[..., None]
    return torch.cos(angles) * latents + torch.sin(angles) * noise


def velocity(latents: Tensor, noise: Tensor, angles: Tensor) -> Tensor:
    """Return v (B, L, C), the derivative of z_d by d."""
    angles = angles[..., None]
    return torch.cos(angles) * noise - torch.sin(angles) * latents


def straight(latents: Tensor, noise: Tensor, angles: Tensor) -> tuple[Tensor, Tensor]:
    """Return x_t and v of rectified flow, t = angle / (pi / 2)."""
    time = (angles * (2 / math.pi))[..., None]
    return (1 - time) * latents + time * noise, noise - latents

"""Randomness: every draw in Partimento takes a generator that was made here from a seed."""

from __future__ import annotations

import secrets

import numpy as np

__all__ = ["generator", "new_seed", "spawn"]

_SEED_BITS = 32


def new_seed() -> int:
    """Return a fresh seed, small enough to be read aloud and typed again."""
    return secrets.randbits(_SEED_BITS)


def generator(seed: int, *stream: int) -> np.random.Generator:
    """Return the generator of ``seed``; ``stream`` numbers independent streams of the same seed.

    Examples: ``generator(7)`` for a piece, ``generator(7, 3)`` for the fourth of several samples.
    """
    if seed < 0:
        raise ValueError(f"a seed is a non-negative integer, not {seed}")
    return np.random.default_rng([seed, *stream] if stream else seed)


def spawn(rng: np.random.Generator, count: int) -> list[np.random.Generator]:
    """Return ``count`` independent generators drawn from ``rng``."""
    return list(rng.spawn(count))

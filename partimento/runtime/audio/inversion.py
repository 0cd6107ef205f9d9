"""Where in a generator's space a given sound may have come from.

A generator cannot be run backwards. Coordinates and a style are bred instead: many are drawn, those
whose latents are most like the given are kept and crossed, some generations long. What is compared
is the mean and the deviation of every number over the last seconds, and the latents one by one. It
is an approximation: the music goes on in a like manner, not as if it had never stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from partimento.representations.latent_coordinates import HOME, PATH, LatentCoordinates
from partimento.runtime.audio.controls import Conditioning
from partimento.runtime.audio.generator import LatentGenerator

__all__ = ["FoundPath", "find_path"]

F32 = npt.NDArray[np.float32]
_WINDOW = 32  # latents that are compared: three seconds
_DRAWN, _KEPT, _GENERATIONS = 64, 8, 6
_SPREAD = 0.35  # of a child from its parents, less in each generation
_ONE_BY_ONE = 0.3  # weight of latents at their places beside their statistics


@dataclass(frozen=True, eq=False)
class FoundPath(LatentCoordinates):
    """A path that stands at found coordinates and style up to place 0, and continues from there."""

    found: tuple[F32, F32] | None = None

    def anchor(self, stream: int, index: int, width: int) -> npt.NDArray[np.float64]:
        """Return (width,): the found coordinates up to place 0, then what the seed draws."""
        if self.found is not None and stream == PATH and index <= 0:
            return self.found[0].astype(np.float64)
        return super().anchor(stream, index, width)

    def drawn(self, stream: int, width: int) -> npt.NDArray[np.float64]:
        """Return (width,): the found coordinates or the found style."""
        if self.found is None:
            return super().drawn(stream, width)
        return self.found[0 if stream == HOME else 1].astype(np.float64)


def find_path(
    generator: LatentGenerator,
    path: LatentCoordinates,
    given: F32,
    conditioning: Conditioning,
    rng: np.random.Generator,
) -> FoundPath:
    """Return a path whose latents before place 0 are about like ``given`` (n, width).

    ``conditioning`` is what is known of the places from ``-n - margin`` to ``margin``.
    """
    given = given[-_WINDOW:]
    start, stop = -len(given) - generator.margin, generator.margin
    rest = path.inputs(start, stop, conditioning.last(stop - start).conditions)
    numbers = path.coordinate + path.style
    pool = rng.standard_normal((_DRAWN, numbers)).astype(np.float32)
    kept, best = pool[:0], np.zeros(0)
    for generation in range(_GENERATIONS + 1):
        scores = _distances(generator.latents(_inputs(pool, rest, path)), given)
        pool, scores = np.concatenate([kept, pool]), np.concatenate([best, scores])
        order = np.argsort(scores, kind="stable")[:_KEPT]
        kept, best = pool[order], scores[order]
        pool = _children(kept, _SPREAD * (1 - generation / (_GENERATIONS + 1)), rng)
    values: dict[str, Any] = {
        name: getattr(path, name) for name in LatentCoordinates.__dataclass_fields__
    }
    return FoundPath(**values, found=(kept[0, : path.coordinate], kept[0, path.coordinate :]))


def _children(kept: F32, spread: float, rng: np.random.Generator) -> F32:
    """Return three children a place kept, each of two parents, as far out as what is drawn."""
    parents = kept[rng.integers(len(kept), size=(3 * _KEPT, 2))]
    turn = rng.uniform(0, np.pi / 2, (len(parents), 1))
    child = np.cos(turn) * parents[:, 0] + np.sin(turn) * parents[:, 1]
    child /= np.sqrt(np.maximum(np.mean(child**2, axis=1, keepdims=True), 1e-6))
    child = np.sqrt(1 - spread**2) * child + spread * rng.standard_normal(child.shape)
    out: F32 = child.astype(np.float32)
    return out


def _inputs(pool: F32, rest: F32, path: LatentCoordinates) -> F32:
    """Return (B, n, F): one path standing still for each of the pool."""
    out = np.repeat(rest[None], len(pool), axis=0)
    out[..., : path.coordinate + path.style] = pool[:, None]
    return out


def _distances(made: F32, given: F32) -> npt.NDArray[np.float64]:
    """Return how unlike the given (n, width) each of (B, n, width) is."""
    apart = np.mean((made.mean(axis=1) - given.mean(axis=0)) ** 2, axis=1)
    apart += np.mean((made.std(axis=1) - given.std(axis=0)) ** 2, axis=1)
    apart += _ONE_BY_ONE * np.mean((made - given) ** 2, axis=(1, 2))
    out: npt.NDArray[np.float64] = apart.astype(np.float64)
    return out

"""How far two sets of pieces lie apart in one feature: overlapped area and KL divergence.

Yang and Lerch, "On the evaluation of generative models in music", Neural Computing and
Applications 32, 2020: the distances between all pieces *within* the reference set and those
*between* the sets are each smoothed into a density; the overlapped area (OA) of the two densities
is 1 and their Kullback-Leibler divergence (KLD) 0 when the generated pieces are scattered about
the reference pieces as these are about each other. The smoother is the Gaussian kernel of Scott's
rule, as in the authors' ``mgeval``, written here in numpy; the two densities of a pair share one
bandwidth, or one odd piece would widen one of them and part two sets that are alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from partimento.errors import MusicError

__all__ = ["Density", "Distance", "compare_values", "density", "kld", "overlap", "pair_distances"]

Floats = npt.NDArray[np.float64]
_GRID = 512
_BINS = 2048
_REACH = 4.0  # bandwidths beyond the outermost value at which a kernel has died away
_FLOOR = 1e-12


@dataclass(frozen=True, eq=False)
class Density:
    """A density on an even grid: ``at`` (points,), in units of the values; ``mass`` sums to 1."""

    at: Floats
    mass: Floats


@dataclass(frozen=True)
class Distance:
    """How far a generated set lies from a reference set in one feature.

    - ``overlap``, 0..1, 1 is best, and ``kld``, nats, 0 is best: between the densities of the
      distances inside the reference set and across the sets (Yang and Lerch).
    - ``value_overlap``, 0..1: of the densities of the values themselves; for a histogram, of the
      two mean histograms.

    Each is None where it is not defined: fewer than two pieces of a set have the feature.
    """

    overlap: float | None
    kld: float | None
    value_overlap: float | None


def _bandwidth(first: Floats, second: Floats, span: float) -> float:
    """Scott's rule, the mean of both sets; never narrower than 1/100 of the span of both."""
    scott = [x.std(ddof=1) * len(x) ** -0.2 if len(x) > 1 else 0.0 for x in (first, second)]
    return max(float(np.mean(scott)), span / 100)


def density(values: Floats, at: Floats, bandwidth: float) -> Density:
    """Return the Gaussian kernel density of ``values`` (n,) on the even grid ``at`` (points,).

    Values are first counted into 2048 bins, so that a million of them cost no more than a few.

    Raises:
        MusicError: if there are no values or the bandwidth is not positive.
    """
    if not len(values) or not bandwidth > 0:
        raise MusicError("a density needs at least one value and a positive bandwidth")
    counts, edges = np.histogram(values, bins=_BINS, range=(at[0], at[-1]))
    centres = (edges[1:] + edges[:-1]) / 2
    used = counts > 0
    apart = (at[:, None] - centres[used][None, :]) / bandwidth
    mass = np.exp(-0.5 * apart**2) @ counts[used].astype(np.float64)
    total = float(mass.sum())
    return Density(at, mass / total)


def overlap(first: Density, second: Density) -> float:
    """Return the overlapped area (0..1) of two densities on one grid."""
    return float(min(1.0, np.minimum(first.mass, second.mass).sum()))


def kld(first: Density, second: Density) -> float:
    """Return KL(first || second) in nats of two densities on one grid; it is finite always."""
    p, q = first.mass + _FLOOR, second.mass + _FLOOR
    return float(max(0.0, (p * np.log(p / q)).sum()))


def _two_densities(first: Floats, second: Floats) -> tuple[Density, Density]:
    both = np.concatenate([first, second])
    scale = max(float(np.abs(both).max()), 1.0)
    span = max(float(np.ptp(both)), 1e-6 * scale)
    width = _bandwidth(first, second, span)
    at = np.linspace(both.min() - _REACH * width, both.max() + _REACH * width, _GRID)
    return density(first, at, width), density(second, at, width)


def pair_distances(first: Floats, second: Floats | None = None) -> Floats:
    """Return the Euclidean distances between pieces, flat.

    ``first`` and ``second`` have shape (pieces, width). With ``second`` every pair across the
    sets; without, every pair inside ``first`` once.
    """
    other = first if second is None else second
    squares = (first**2).sum(1)[:, None] + (other**2).sum(1)[None, :] - 2 * first @ other.T
    distances: Floats = np.sqrt(np.maximum(squares, 0.0))
    if second is not None:
        return distances.reshape(-1)
    inside: Floats = distances[np.triu_indices(len(first), 1)]
    return inside


def _clean(values: npt.ArrayLike, name: str) -> Floats:
    table = np.asarray(values, dtype=np.float64)
    if table.ndim not in (1, 2):
        raise MusicError(f"{name} values have shape (pieces,) or (pieces, width), not {table.ndim}")
    table = table if table.ndim == 2 else table[:, None]
    return np.asarray(table[np.isfinite(table).all(axis=1)])


def compare_values(generated: npt.ArrayLike, reference: npt.ArrayLike) -> Distance:
    """Return how far two sets lie apart in one feature.

    Both have shape (pieces,) or (pieces, width); pieces whose value is not finite are left out.

    Raises:
        MusicError: if the two differ in width.
    """
    made, real = _clean(generated, "generated"), _clean(reference, "reference")
    if made.shape[1] != real.shape[1] and len(made) and len(real):
        raise MusicError(f"values of width {made.shape[1]} do not compare with {real.shape[1]}")
    if len(made) < 1 or len(real) < 2:
        return Distance(None, None, None)
    # One scale for both, so that large units do not lose their digits in the squares.
    unit = max(float(np.abs(real - real.mean(0)).max()), float(np.abs(made - real.mean(0)).max()))
    shifted = [(x - real.mean(0)) / (unit or 1.0) for x in (made, real)]
    inside, across = _two_densities(pair_distances(shifted[1]), pair_distances(*shifted))
    if made.shape[1] > 1:
        same = float(np.minimum(made.mean(0), real.mean(0)).sum())
    elif len(made) < 2:
        return Distance(overlap(inside, across), kld(inside, across), None)
    else:
        same = overlap(*_two_densities(made[:, 0], real[:, 0]))
    return Distance(overlap(inside, across), kld(inside, across), same)

"""How far two sets of performance curves lie apart: values, and how they hang together in time.

Windows are arrays (windows, steps, channels) of values, with a mask of the cells that are played.
The distance is Jensen-Shannon's (Lin 1991; the root of the divergence in bits: 0 alike, 1 apart),
between histograms; it is a metric (Endres and Schindelin 2003).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["CurveDistances", "autocorrelations", "compare_curves", "js_distance", "spread"]

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
LAGS = (1, 2, 3, 4, 8, 16)
_BINS = 32
_LEAST_PAIRS = 6


@dataclass(frozen=True)
class CurveDistances:
    """Jensen-Shannon distances, 0..1: of velocities, offsets, and their autocorrelations."""

    velocity: float
    offset: float
    velocity_autocorrelation: float
    offset_autocorrelation: float

    @property
    def total(self) -> float:
        """The mean of the four."""
        return (
            self.velocity
            + self.offset
            + self.velocity_autocorrelation
            + self.offset_autocorrelation
        ) / 4


def js_distance(
    first: npt.NDArray[np.floating], second: npt.NDArray[np.floating], low: float, high: float
) -> float:
    """Return the distance of the histograms of two samples (any shape); 1 where one is empty."""
    if not first.size or not second.size:
        return 1.0
    p, q = (
        np.histogram(np.clip(x, low, high), bins=_BINS, range=(low, high))[0] / x.size
        for x in (first, second)
    )
    middle = (p + q) / 2

    def bits(x: npt.NDArray[np.float64]) -> float:
        some = x > 0
        return float((x[some] * np.log2(x[some] / middle[some])).sum())

    return float(np.sqrt(max(0.0, (bits(p) + bits(q)) / 2)))


def autocorrelations(values: Floats, mask: Mask, lag: int) -> Floats:
    """Return one coefficient, -1..1, for each window and channel with enough played pairs.

    The mean over pairs of played cells ``lag`` steps apart of the product of their distances from
    the mean of the window, over its variance.
    """
    count = np.maximum(mask.sum(1, keepdims=True), 1)
    centred = np.where(mask, values - (values * mask).sum(1, keepdims=True) / count, 0.0)
    variance = (centred**2).sum(1) / count[:, 0]
    both = mask[:, lag:] & mask[:, :-lag]
    pairs = both.sum(1)
    products = (centred[:, lag:] * centred[:, :-lag] * both).sum(1) / np.maximum(pairs, 1)
    # What does not vary goes on as it was, which is what a coefficient of 1 says.
    found = np.where(variance > 1e-9, products / np.maximum(variance, 1e-9), 1.0)
    return np.asarray(np.clip(found[pairs >= _LEAST_PAIRS], -1.0, 1.0), dtype=np.float32)


def compare_curves(
    made: tuple[Floats, Floats, Mask], real: tuple[Floats, Floats, Mask]
) -> CurveDistances:
    """Return how far apart two sets of (velocity, offset, mask) lie."""
    mine, theirs = made[2], real[2]

    def over_time(x: Floats, y: Floats) -> float:
        lags = [lag for lag in LAGS if lag < x.shape[1]]
        pairs = [(autocorrelations(x, mine, lag), autocorrelations(y, theirs, lag)) for lag in lags]
        return float(np.mean([js_distance(a, b, -1.0, 1.0) for a, b in pairs]))

    return CurveDistances(
        js_distance(made[0][mine], real[0][theirs], 0.0, 1.0),
        js_distance(made[1][mine], real[1][theirs], -0.5, 0.5),
        over_time(made[0], real[0]),
        over_time(made[1], real[1]),
    )


def spread(values: Floats, mask: Mask) -> float:
    """Return how much windows differ: the deviation of a cell over windows, mean over cells."""
    count = mask.sum(0)
    mean = (values * mask).sum(0) / np.maximum(count, 1)
    variance = (((values - mean) ** 2) * mask).sum(0) / np.maximum(count, 1)
    often = count >= 2
    return float(np.sqrt(variance[often]).mean()) if often.any() else 0.0

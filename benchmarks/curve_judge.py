"""A judge of performances: can windows of curves be told from those of another set?

The classifier two-sample test (Lopez-Paz and Oquab, ICLR 2017) on statistics of windows, since the
judge of ``partimento evaluate`` hears pitches and rhythms, which are the same here on purpose. A
network of one hidden layer, trained apart from any discriminator; folds by piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Windows", "judge_windows", "statistics"]

Floats = npt.NDArray[np.float64]
_LAGS = (1, 2, 4, 8)
_HIDDEN, _EPOCHS, _BATCH, _RATE, _DECAY, _DROP = 32, 40, 64, 2e-3, 0.02, 0.2


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of one set: (windows, steps, channels) each, and the piece of each window."""

    velocity: npt.NDArray[np.float32]
    offset: npt.NDArray[np.float32]
    onset: npt.NDArray[np.bool_]
    piece: npt.NDArray[np.int64]

    def curves(self) -> tuple[npt.NDArray[np.float32], ...]:
        """Return what ``compare_curves`` compares."""
        return self.velocity, self.offset, self.onset  # type: ignore[return-value]


def _of_cells(values: Sequence[float], wanted: int) -> list[float]:
    x = np.asarray(values, dtype=np.float64)
    if len(x) < wanted:
        return [np.nan] * 6
    spread = [float(q) for q in np.quantile(x, (0.1, 0.5, 0.9))]
    return [float(x.mean()), float(x.std()), *spread, float(np.abs(np.diff(x)).mean())]


def statistics(windows: Windows) -> Floats:
    """Return (windows, width): what each window is like; NaN where it has too few onsets."""
    rows = []
    for loud, late, onset in zip(windows.velocity, windows.offset, windows.onset, strict=True):
        row: list[float] = []
        steps = np.arange(len(onset))
        for values in (loud, late):
            for limb in range(onset.shape[1]):
                played = onset[:, limb]
                row += _of_cells(values[played, limb], 3)
                for place in range(4):
                    there = values[played & (steps % 4 == place), limb]
                    row += [float(there.mean()) if len(there) else np.nan]
                centred = values[:, limb] - values[played, limb].mean() if played.any() else 0.0
                for lag in _LAGS:
                    both = played[lag:] & played[:-lag]
                    product = (np.zeros(1) + centred)[lag:] * (np.zeros(1) + centred)[:-lag]
                    row += [float(product[both].mean()) if both.sum() >= 3 else np.nan]
            for one, two in ((0, 1), (0, 2), (1, 2)):
                both = onset[:, one] & onset[:, two]
                apart = (values[:, one] - values[:, two])[both]
                row += [float(apart.std()) if len(apart) >= 3 else np.nan]
        rows.append(row)
    return np.array(rows, dtype=np.float64)


def _scaled(train: Floats, test: Floats) -> tuple[Floats, Floats]:
    mean, spread = np.nanmean(train, 0), np.maximum(np.nanstd(train, 0), 1e-6)
    scaled = [np.clip(np.nan_to_num((x - mean) / spread), -6, 6) for x in (train, test)]
    return scaled[0], scaled[1]


def _fit(x: Floats, label: Floats, weight: Floats, rng: np.random.Generator) -> list[Floats]:
    """Return the weights of a network with one hidden layer, by Adam with dropout."""
    width = x.shape[1]
    weights = [
        rng.standard_normal((width, _HIDDEN)) / np.sqrt(width),
        np.zeros(_HIDDEN),
        rng.standard_normal((_HIDDEN, 1)) / np.sqrt(_HIDDEN),
        np.zeros(1),
    ]
    first, second = ([np.zeros_like(w) for w in weights] for _ in range(2))
    count = 0
    for _ in range(_EPOCHS):
        order = rng.permutation(len(x))
        for start in range(0, len(x), _BATCH):
            rows = order[start : start + _BATCH]
            inputs = x[rows] * (rng.random((len(rows), width)) >= _DROP) / (1 - _DROP)
            hidden = np.maximum(inputs @ weights[0] + weights[1], 0)
            odds = (hidden @ weights[2])[:, 0] + weights[3]
            share = weight[rows] / weight[rows].mean() / len(rows)
            error = ((0.5 * (1 + np.tanh(odds / 2)) - label[rows]) * share)[:, None]
            back = (error @ weights[2].T) * (hidden > 0)
            steps = [inputs.T @ back, back.sum(0), hidden.T @ error, error.sum(0)]
            count += 1
            for w, m, v, g in zip(weights, first, second, steps, strict=True):
                m += 0.1 * (g - m)
                v += 0.001 * (g * g - v)
                move = (m / (1 - 0.9**count)) / (np.sqrt(v / (1 - 0.999**count)) + 1e-8)
                w -= _RATE * (move + (_DECAY * w if w.ndim > 1 else 0.0))
    return weights


def judge_windows(
    made: Windows, real: Windows, rng: np.random.Generator, folds: int = 5
) -> tuple[float, float]:
    """Return (accuracy, standard error over pieces) on pieces that the judge had not heard.

    Each piece weighs the same and both sets count half; 0.5 is a judge that can tell nothing.
    """
    x = np.concatenate([statistics(made), statistics(real)])
    label = np.concatenate([np.ones(len(made.piece)), np.zeros(len(real.piece))])
    piece = np.concatenate([made.piece, real.piece + made.piece.max() + 1])
    names, first = np.unique(piece, return_index=True)
    fold_of = np.zeros(int(piece.max()) + 1, dtype=np.int64)
    for value in (0.0, 1.0):
        mine = names[label[first] == value]
        fold_of[rng.permutation(mine)] = np.arange(len(mine)) % folds
    odds = np.zeros(len(x))
    for fold in range(folds):
        train, test = fold_of[piece] != fold, fold_of[piece] == fold
        known, asked = _scaled(x[train], x[test])
        weight = 1.0 / np.bincount(piece)[piece[train]]
        for value in (0.0, 1.0):
            weight[label[train] == value] *= 0.5 / weight[label[train] == value].sum()
        w = _fit(known, label[train], weight, rng)
        odds[test] = (np.maximum(asked @ w[0] + w[1], 0) @ w[2])[:, 0] + w[3]
    right = (odds > 0) == (label > 0)
    by_piece = np.bincount(piece, right)[names] / np.bincount(piece)[names]
    classes = [by_piece[label[first] == value] for value in (0.0, 1.0)]
    error = 0.5 * float(np.sqrt(sum(c.var(ddof=1) / len(c) for c in classes)))
    return float(np.mean([c.mean() for c in classes])), error

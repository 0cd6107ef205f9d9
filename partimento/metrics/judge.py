"""The classifier two-sample test: can a classifier distinguish generated from real music?

Lopez-Paz and Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017: train a classifier to
distinguish two samples and test it on held-out pieces; at 50 % it cannot, and the nearer the
accuracy to 50 %, the more alike the samples. The judge is a logistic regression and a network of
one hidden layer, both on the vectors of ``windows``, their log-odds averaged. Folds are by piece:
no piece has windows on both sides. A judge can be too weak but never unfair; so hold its figure
beside that of two halves of the real music (about 50 %) and of known bad music (near 100 %).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from partimento.errors import MusicError
from partimento.metrics.windows import window_vectors
from partimento.music import Score

__all__ = ["LEAST_PIECES", "JudgeReport", "auc", "judge"]

Floats = npt.NDArray[np.float32]
Floats64 = npt.NDArray[np.float64]
_LINEAR_STEPS = 100
_LINEAR_RATE = 0.01
_LINEAR_DECAY = 0.1
_HIDDEN = 32
_EPOCHS = 10
_BATCH = 64
_RATE = 2e-3
_DECAY = 0.05
_DROP = 0.3
LEAST_PIECES = 4


@dataclass(frozen=True)
class JudgeReport:
    """What a judge achieved on held-out pieces. Shares are 0..1; 0.5 is perfect.

    - ``accuracy``: over windows, each piece weighing the same, the mean of the accuracies on
      generated and on real; ``standard_error`` of it, over pieces.
    - ``accuracy_linear`` and ``accuracy_network``: of each half of the judge alone.
    - ``accuracy_pieces``: where the verdict averages all windows of a piece.
    - ``auc``: the chance that a generated window seems more generated than a real one.
    - ``windows``: of ``bars_per_window`` bars, (generated, real); ``pieces`` likewise.
    """

    accuracy: float
    standard_error: float
    accuracy_linear: float
    accuracy_network: float
    accuracy_pieces: float
    auc: float
    bars_per_window: int
    windows: tuple[int, int]
    pieces: tuple[int, int]


@dataclass(frozen=True, eq=False)
class _Sample:
    """All windows: vectors (windows, width), label 1 = generated, piece (windows,)."""

    hashed: Floats
    values: Floats
    label: Floats
    piece: npt.NDArray[np.int64]


def auc(scores: Floats64, labels: npt.NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve; ties count half.

    Raises:
        MusicError: if one of the classes is missing.
    """
    positive, negative = int(labels.sum()), int((~labels).sum())
    if not positive or not negative:
        raise MusicError("an AUC needs both classes")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    total = float(ranks[inverse][labels].sum())
    return (total - positive * (positive + 1) / 2) / (positive * negative)


def _sample(generated: Mapping[str, Score], real: Mapping[str, Score], bars: int) -> _Sample:
    hashed, values, label, piece = [], [], [], []
    count = 0
    for is_generated, pieces in ((1.0, generated), (0.0, real)):
        for score in pieces.values():
            windows = window_vectors(score, bars)
            if len(windows.hashed):
                hashed.append(windows.hashed)
                values.append(windows.values)
                label.append(np.full(len(windows.hashed), is_generated))
                piece.append(np.full(len(windows.hashed), count))
                count += 1
    if not hashed:
        raise MusicError("no piece has notes, so there is nothing to judge")
    return _Sample(
        np.concatenate(hashed).astype(np.float32),
        np.concatenate(values).astype(np.float32),
        np.concatenate(label).astype(np.float32),
        np.concatenate(piece),
    )


def _folds(sample: _Sample, folds: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return the fold of each window: pieces dealt out evenly, each class by itself.

    Pieces that are in both classes go together, or a judge would have heard the twin of one that
    it is tested on, with the other label.
    """
    pieces, first = np.unique(sample.piece, return_index=True)
    borders = [*first.tolist(), len(sample.piece)]
    content = [sample.hashed[a:b].tobytes() for a, b in pairwise(borders)]
    classes = [pieces[sample.label[first] == label] for label in (0.0, 1.0)]
    first_set, second_set = ({content[piece] for piece in mine.tolist()} for mine in classes)
    shared = first_set & second_set
    fold_of = np.zeros(len(pieces), dtype=np.int64)
    twins: dict[bytes, int] = {}
    for mine in classes:
        for count, piece in enumerate(rng.permutation(mine).tolist()):
            fold_of[piece] = count % folds
            if content[piece] in shared:
                fold_of[piece] = twins.setdefault(content[piece], count % folds)
    return fold_of[sample.piece]


def _design(sample: _Sample, train: npt.NDArray[np.bool_]) -> Floats:
    """Return all vectors scaled by the training windows; what occurs in few of them is dropped."""
    counts = np.sqrt(sample.hashed)
    common = (sample.hashed[train] > 0).sum(axis=0) >= 3
    both = np.concatenate([counts[:, common], sample.values], axis=1)
    mean, spread = both[train].mean(axis=0), both[train].std(axis=0)
    scaled = (both - mean) / np.maximum(spread, 1e-3)
    out: Floats = np.clip(scaled, -6, 6).astype(np.float32)
    return out


class _Adam:
    """Adam with decoupled weight decay over a list of arrays, changed in place."""

    def __init__(self, weights: list[Floats], rate: float, decay: float) -> None:
        self.weights, self.rate, self.decay = weights, rate, decay
        self.first = [np.zeros_like(w) for w in weights]
        self.second = [np.zeros_like(w) for w in weights]
        self.count = 0

    def step(self, gradients: list[Floats]) -> None:
        """Take one step."""
        self.count += 1
        for w, m, v, g in zip(self.weights, self.first, self.second, gradients, strict=True):
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            mean = m / (1 - 0.9**self.count)
            root = np.sqrt(v / (1 - 0.999**self.count)) + 1e-8
            w -= self.rate * (mean / root + (self.decay * w if w.ndim > 1 else 0.0))


def _sigmoid(x: Floats) -> Floats:
    out: Floats = (0.5 * (1 + np.tanh(0.5 * x))).astype(np.float32)
    return out


def _fit_linear(x: Floats, label: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Return (weights (width, 1), bias (1,)) of an L2-regularised logistic regression."""
    w = np.zeros((x.shape[1], 1), dtype=np.float32)
    bias = np.zeros(1, dtype=np.float32)
    adam = _Adam([w, bias], _LINEAR_RATE, 0.0)
    for _ in range(_LINEAR_STEPS):
        error = (_sigmoid((x @ w)[:, 0] + bias) - label) * weight
        adam.step([x.T @ error[:, None] + _LINEAR_DECAY * w, error.sum(keepdims=True)])
    return w, bias


def _fit_network(
    x: Floats, label: Floats, weight: Floats, rng: np.random.Generator
) -> list[Floats]:
    """Return the weights of a network with one hidden layer, trained by Adam with dropout."""
    width = x.shape[1]
    w1 = (rng.standard_normal((width, _HIDDEN)) / np.sqrt(width)).astype(np.float32)
    w2 = (rng.standard_normal((_HIDDEN, 1)) / np.sqrt(_HIDDEN)).astype(np.float32)
    weights = [w1, np.zeros(_HIDDEN, np.float32), w2, np.zeros(1, np.float32)]
    adam = _Adam(weights, _RATE, _DECAY)
    for _ in range(_EPOCHS):
        order = rng.permutation(len(x))
        for start in range(0, len(x), _BATCH):
            rows = order[start : start + _BATCH]
            keep = (rng.random((len(rows), width), dtype=np.float32) >= _DROP) / (1 - _DROP)
            inputs = x[rows] * keep.astype(np.float32)
            hidden = np.maximum(inputs @ weights[0] + weights[1], 0)
            out = (hidden @ weights[2])[:, 0] + weights[3]
            share = weight[rows] / weight[rows].sum()
            error = ((_sigmoid(out) - label[rows]) * share)[:, None]
            back = (error @ weights[2].T) * (hidden > 0)
            adam.step([inputs.T @ back, back.sum(0), hidden.T @ error, error.sum(0)])
    return weights


def _class_weights(label: Floats, piece: npt.NDArray[np.int64]) -> Floats:
    """Return weights that sum to 1, half of it to each class, within a class equal by piece."""
    weight = (1.0 / np.bincount(piece)[piece]).astype(np.float64)
    for value in (0.0, 1.0):
        mine = label == value
        weight[mine] *= 0.5 / weight[mine].sum()
    return weight.astype(np.float32)


def _held_out(sample: _Sample, folds: int, rng: np.random.Generator) -> tuple[Floats64, Floats64]:
    """Return the log-odds of each window by a judge that had not heard its piece: both halves."""
    fold = _folds(sample, folds, rng)
    linear = np.zeros(len(sample.label))
    network = np.zeros(len(sample.label))
    for held in range(folds):
        train, test = fold != held, fold == held
        if not test.any() or len(np.unique(sample.label[train])) < 2:
            continue  # nothing to learn from: undecided, which counts half
        x = _design(sample, train)
        label = sample.label[train]
        weight = _class_weights(label, sample.piece[train])
        w, bias = _fit_linear(x[train], label, weight)
        linear[test] = (x[test] @ w)[:, 0] + bias
        parts = _fit_network(x[train], label, weight, rng)
        hidden = np.maximum(x[test] @ parts[0] + parts[1], 0)
        network[test] = (hidden @ parts[2])[:, 0] + parts[3]
    return linear, network


def _accuracy(log_odds: Floats64, sample: _Sample) -> tuple[float, float]:
    """Return (balanced accuracy, standard error), each piece weighing the same; ties half."""
    right = np.where(sample.label > 0, log_odds > 0, log_odds < 0) + 0.5 * (log_odds == 0)
    pieces, first = np.unique(sample.piece, return_index=True)
    by_piece = np.bincount(sample.piece, right) / np.bincount(sample.piece)
    classes = [by_piece[pieces][sample.label[first] == value] for value in (0.0, 1.0)]
    variance = sum(float(x.var(ddof=1)) / len(x) for x in classes)
    return float(np.mean([x.mean() for x in classes])), 0.5 * variance**0.5


def judge(
    generated: Mapping[str, Score],
    real: Mapping[str, Score],
    rng: np.random.Generator,
    bars_per_window: int = 4,
    folds: int = 5,
) -> JudgeReport:
    """Return how well a judge separates ``generated`` from ``real`` held-out pieces.

    Raises:
        MusicError: if either set has fewer than four pieces with notes, or ``folds`` is below 2.
    """
    if folds < 2:
        raise MusicError(f"a judge is tested in 2 folds or more, not {folds}")
    sample = _sample(generated, real, bars_per_window)
    _, first = np.unique(sample.piece, return_index=True)
    made = int((sample.label[first] > 0).sum())
    pieces = (made, len(first) - made)
    if min(pieces) < LEAST_PIECES:
        raise MusicError(
            f"a judge needs {LEAST_PIECES} pieces with notes of each kind, not {pieces[0]} "
            f"generated and {pieces[1]} real"
        )
    folds = min(folds, *pieces)
    linear, network = _held_out(sample, folds, rng)
    both = _unit(linear) + _unit(network)
    accuracy, error = _accuracy(both, sample)
    by_piece = np.bincount(sample.piece, both) / np.bincount(sample.piece)
    whole = _Sample(
        sample.hashed[first], sample.values[first], sample.label[first], sample.piece[first]
    )
    is_generated = sample.label > 0
    return JudgeReport(
        accuracy=accuracy,
        standard_error=error,
        accuracy_linear=_accuracy(linear, sample)[0],
        accuracy_network=_accuracy(network, sample)[0],
        accuracy_pieces=_accuracy(by_piece, whole)[0],
        auc=auc(both, is_generated),
        bars_per_window=bars_per_window,
        windows=(int(is_generated.sum()), int((~is_generated).sum())),
        pieces=pieces,
    )


def _unit(log_odds: Floats64) -> Floats64:
    return log_odds / max(float(np.sqrt((log_odds**2).mean())), 1e-9)

"""Two sets of windows as points: by their principal components, and by t-SNE."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["draw", "principal", "tsne"]

Floats = npt.NDArray[np.float64]


def principal(x: Floats) -> Floats:
    """Return (n, 2): the points along their two widest directions."""
    centred = x - x.mean(0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    return np.asarray(centred @ directions[:2].T)


def _likeness(x: Floats, perplexity: float) -> Floats:
    """Return (n, n): how near each point is to each, each with so many neighbours in effect."""
    squares = ((x[:, None] - x[None]) ** 2).sum(-1)
    out = np.zeros_like(squares)
    for i, row in enumerate(squares):
        low, high, beta = 0.0, np.inf, 1.0 / max(1e-9, float(np.median(row)))
        for _ in range(60):
            p = np.exp(-beta * (row - np.delete(row, i).min()))
            p[i] = 0.0
            p /= p.sum()
            entropy = -float((p[p > 0] * np.log(p[p > 0])).sum())
            if abs(entropy - np.log(perplexity)) < 1e-5:
                break
            low, high = (beta, high) if entropy > np.log(perplexity) else (low, beta)
            beta = beta * 2 if high == np.inf else (low + high) / 2
        out[i] = p
    return np.maximum((out + out.T) / (2 * len(x)), 1e-12)


def tsne(x: Floats, perplexity: float = 30.0, steps: int = 500) -> Floats:
    """Return (n, 2) by exact t-SNE (van der Maaten and Hinton 2008), begun from the components."""
    p = _likeness(x, min(perplexity, (len(x) - 1) / 3))
    y = principal(x)
    y = 1e-4 * y / y[:, 0].std()
    speed, gains = np.zeros_like(y), np.ones_like(y)
    for step in range(steps):
        near = 1.0 / (1.0 + ((y[:, None] - y[None]) ** 2).sum(-1))
        np.fill_diagonal(near, 0.0)
        q = np.maximum(near / near.sum(), 1e-12)
        pull = ((12.0 if step < 100 else 1.0) * p - q) * near
        slope = 4 * (pull.sum(1)[:, None] * y - pull @ y)
        gains = np.maximum(np.where(slope * speed > 0, gains * 0.8, gains + 0.2), 0.01)
        speed = (0.5 if step < 100 else 0.8) * speed - len(x) / 12 * gains * slope
        y = y + speed - (y + speed).mean(0)
    return y


def draw(sets: Mapping[str, Floats], folder: Path) -> list[Path]:
    """Draw every set beside the one called ``real``, and return the files.

    Values are (windows, width); 200 windows of a set at most are drawn.
    """
    from matplotlib.figure import Figure  # the extra: pip install 'partimento[plots]'

    folder.mkdir(parents=True, exist_ok=True)
    made = [name for name in sets if name != "real"]
    real = _some(sets["real"])
    paths = []
    for kind, project in (("pca", principal), ("tsne", tsne)):
        figure = Figure(figsize=(4.2 * len(made), 4.2), layout="constrained")
        for place, name in enumerate(made, 1):
            mine = _some(sets[name])
            points = project(np.concatenate([real, mine]))
            axes = figure.add_subplot(1, len(made), place)
            axes.scatter(*points[: len(real)].T, s=7, color="#555555", label="played")
            axes.scatter(*points[len(real) :].T, s=7, color="#c0392b", alpha=0.7, label=name)
            axes.set_title(f"{name}, {kind}")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.legend(loc="upper right", fontsize=7)
        paths.append(folder / f"humanize_{kind}.png")
        figure.savefig(paths[-1], dpi=110)
    return paths


def _some(x: Floats, most: int = 200) -> Floats:
    picks = np.unique(np.linspace(0, len(x) - 1, min(most, len(x))).astype(int))
    return x[picks]

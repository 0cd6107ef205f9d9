"""The energy score of series: a proper score of draws against what was measured.

Shapes: B windows, L steps, V values.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

__all__ = ["energy_score"]

_QUARTER = 4  # sixteenths
_LAGS = (1, 2, 4, 8, 16)


def _views(values: Tensor, mask: Tensor) -> Iterator[Tensor]:
    """Yield (B, n, d) of values (B, L, V): what is held against the data.

    Each cell by itself, each quarter, each curve's mean over the window, the whole window, and how
    far cells lie from those a sixteenth, an eighth, a quarter, ... a bar before.
    """
    batch, length, _ = values.shape
    quarters = length // _QUARTER
    yield values.reshape(batch, -1, 1)
    yield values[:, : quarters * _QUARTER].reshape(batch, quarters, -1)
    yield (values.sum(1) / mask.sum(1).clamp(min=1))[..., None]
    yield values.reshape(batch, 1, -1)
    for lag in _LAGS:
        if lag < length:
            change = (values[:, lag:] - values[:, :-lag]) * mask[:, lag:] * mask[:, :-lag]
            yield change.reshape(batch, -1, 1)


def energy_score(first: Tensor, second: Tensor, real: Tensor, mask: Tensor) -> Tensor:
    """Return the energy score of two draws made for one real window, all (B, L, V).

    |x1 - x| / 2 + |x2 - x| / 2 - |x1 - x2| / 2, in the mean (Gneiting and Raftery 2007, section
    4.3): a proper score, least where the draws have the distribution of what was played.
    """
    total = torch.zeros((), device=real.device)
    seen = (_views(part, mask) for part in (first, second, real))
    for one, two, true in zip(*seen, strict=True):
        near = (_length(one - true) + _length(two - true) - _length(one - two)) / 2
        # Divided by what holds something: rests would dilute the mean.
        total = total + near.sum() / (_length(true) > 0).sum().clamp(min=1)
    return total


def _length(x: Tensor) -> Tensor:
    """Return (B, n): the norm over the last axis, with a gradient of 0 at 0."""
    squares = x.square().sum(-1)
    # The inner ``where`` keeps sqrt from 0: its infinite slope times 0 would be NaN.
    some = squares > 0
    return torch.where(some, torch.where(some, squares, 1.0).sqrt(), 0.0)

"""The quantiles of what a network says brought onto those of data, as a line with bends."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Calibration"]


class Calibration(nn.Module):
    """A line with bends for each value (V), from what a generator says to what was played.

    It is the identity until ``fit``; then it maps the quantiles of made values onto those of real
    ones, so that as many notes are so loud, or so late, as in the data. Not in the paper.
    """

    def __init__(self, values: int, bends: int = 24) -> None:
        super().__init__()
        self.knots: Tensor
        self.bends: Tensor
        self.base: Tensor
        self.keep: Tensor
        self.register_buffer("knots", torch.zeros(values, bends))
        self.register_buffer("bends", torch.zeros(values, bends))
        self.register_buffer("base", torch.zeros(values))
        self.register_buffer("keep", torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, L, V) of (B, L, V)."""
        bent = F.relu(x[..., None] - self.knots) * self.bends
        return self.keep * x + self.base + bent.sum(-1)

    @torch.no_grad()
    def reset(self) -> None:
        """Become the identity again."""
        for part in (self.knots, self.bends, self.base):
            part.zero_()
        self.keep.fill_(1)

    @torch.no_grad()
    def fit(self, value: int, made: Tensor, real: Tensor) -> None:
        """Set the line of one value from samples (n,) and (m,), the former made without it."""
        count = self.knots.shape[1]
        levels = torch.linspace(0, 1, count, dtype=torch.float64)
        x = torch.quantile(made.double(), levels)
        # Knots a little apart, or where many values are equal the line would be a cliff.
        gap = max(float(x[-1] - x[0]), 1e-2) * 2e-3
        for at in range(1, count):
            x[at] = max(x[at], x[at - 1] + gap)
        y = torch.quantile(real.double(), levels)
        slopes = torch.diff(y) / torch.diff(x)
        still = torch.zeros(1, dtype=torch.float64)  # before the first knot and after the last
        self.knots[value] = x.float()
        self.bends[value] = torch.diff(torch.cat([still, slopes, still])).float()
        self.base[value] = float(y[0])
        self.keep.zero_()

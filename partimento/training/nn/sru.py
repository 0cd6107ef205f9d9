"""Simple recurrent units (Lei et al. 2018, arXiv 1709.02755), two layers, in both directions.

Only element-wise steps are sequential; all products are taken for every step at once::

    Eq. 1   f_t = sigmoid(W_f x_t + v_f * c_{t-1} + b_f)       -> SimpleRecurrence.forward
    Eq. 2   c_t = f_t * c_{t-1} + (1 - f_t) * (W x_t)          -> SimpleRecurrence.forward
    Eq. 3   r_t = sigmoid(W_r x_t + v_r * c_{t-1} + b_r)       -> SimpleRecurrence.forward
    Eq. 4   h_t = r_t * c_t + (1 - r_t) * x_t                  -> SimpleRecurrence.forward

Where input and state differ in width, x_t in Eq. 4 is a projection of it. ``BidirectionalGRU`` is
the sibling with the gates of Cho et al. 2014 in its place.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["BidirectionalGRU", "BidirectionalSRU", "SimpleRecurrence"]


class SimpleRecurrence(nn.Module):
    """One layer in both directions: (B, T, W) to (B, T, 2 H)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        # For each direction W, W_f, W_r and the projection of the input.
        self.products = nn.Linear(width, 2 * 4 * hidden)
        self.peepholes = nn.Parameter(torch.zeros(2, 2, hidden))  # v_f, v_r of each direction
        with torch.no_grad():
            self.products.bias.zero_()
            self.products.bias.view(2, 4, hidden)[:, 2] = -1.0  # at first the input passes

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, T, 2 H): those of the past, then those of the future."""
        batch, steps, _ = x.shape
        parts = self.products(x).view(batch, steps, 2, 4, self.hidden)
        # The second direction is read from the end: one loop serves both.
        parts = torch.stack([parts[:, :, 0], parts[:, :, 1].flip(1)], dim=2)
        # A step's parts are taken apart once: a slice's gradient would fill the whole each time.
        each = [part.unbind(1) for part in parts.unbind(3)]
        forward, highway = self.peepholes.to(parts).unbind(1)  # each (2, H)
        state = torch.zeros_like(each[0][0])  # (B, 2, H)
        out = []
        for made, forget, reset, straight in zip(*each, strict=True):
            keep = torch.sigmoid(forget + forward * state)  # Eq. 1
            through = torch.sigmoid(reset + highway * state)  # Eq. 3
            state = made + keep * (state - made)  # Eq. 2
            out.append(straight + through * (state - straight))  # Eq. 4
        both = torch.stack(out, dim=1)
        return torch.cat([both[:, :, 0], both[:, :, 1].flip(1)], dim=-1)


class BidirectionalSRU(nn.Module):
    """Two layers of simple recurrent units, H a direction: (B, T, W) to (B, T, W)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        sizes = (width, 2 * hidden)
        self.layers = nn.ModuleList(SimpleRecurrence(size, hidden) for size in sizes)
        self.leave = _projection(2 * hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, T, W)."""
        for layer in self.layers:
            x = layer(x)
        out: Tensor = self.leave(x)
        return out


class BidirectionalGRU(nn.Module):
    """Two layers of gated recurrent units, H a direction: (B, T, W) to (B, T, W)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.GRU(width, hidden, 2, batch_first=True, bidirectional=True)
        self.leave = _projection(2 * hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, T, W)."""
        out: Tensor = self.leave(self.layers(x)[0])
        return out


def _projection(before: int, after: int) -> nn.Module:
    return nn.Identity() if before == after else nn.Linear(before, after)

"""Causal ConvNeXt blocks (Liu et al. 2022) whose left context is an explicit state.

Arrays are (B, T, W). A stream that carries the states gives what the whole gives.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["CausalBlock", "CausalStack"]

_FIRST_SCALE = 0.3


class CausalBlock(nn.Module):
    """x + scale * down(gelu(up(norm(depthwise(x))))); it sees ``kernel - 1`` steps back."""

    def __init__(self, width: int, kernel: int = 7, expansion: int = 3) -> None:
        super().__init__()
        self.width, self.kernel = width, kernel
        self.depthwise = nn.Conv1d(width, width, kernel, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, expansion * width)
        self.down = nn.Linear(expansion * width, width)
        self.scale = nn.Parameter(torch.full((width,), _FIRST_SCALE))

    def start(self, batch: int) -> Tensor:
        """Return the state (B, kernel - 1, W) before the first step: nothing."""
        return self.scale.new_zeros(batch, self.kernel - 1, self.width)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, T, W) and the state after it."""
        seen = torch.cat([state.to(x.dtype), x], dim=1)
        y = self.depthwise(seen.transpose(1, 2)).transpose(1, 2)
        y = self.down(F.gelu(self.up(self.norm(y))))
        return x + self.scale * y, seen[:, seen.shape[1] - self.kernel + 1 :]


class CausalStack(nn.Module):
    """Blocks of one width, one after another."""

    def __init__(self, width: int, count: int, kernel: int, expansion: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(CausalBlock(width, kernel, expansion) for _ in range(count))

    def start(self, batch: int) -> list[Tensor]:
        """Return the states before the first step, one a block."""
        return [block.start(batch) for block in self.blocks if isinstance(block, CausalBlock)]

    def forward(self, x: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return (B, T, W) and the states after it."""
        after = []
        for block, state in zip(self.blocks, states, strict=True):
            x, new = block(x, state)
            after.append(new)
        return x, after

"""ConvNeXt blocks (Liu et al. 2022) that see as many steps to either side."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["CentredBlock", "CentredStack"]

_FIRST_SCALE = 0.3


class CentredBlock(nn.Module):
    """x + scale * down(gelu(up(norm(depthwise(x))))) of (B, T, W); beyond the ends is nothing."""

    def __init__(self, width: int, kernel: int = 7, expansion: int = 3) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, expansion * width)
        self.down = nn.Linear(expansion * width, width)
        self.scale = nn.Parameter(torch.full((width,), _FIRST_SCALE))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, T, W)."""
        y = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        y = self.down(F.gelu(self.up(self.norm(y))))
        out: Tensor = x + self.scale * y
        return out


class CentredStack(nn.Sequential):
    """Blocks of one width, one after another."""

    def __init__(self, width: int, count: int, kernel: int, expansion: int) -> None:
        super().__init__(*(CentredBlock(width, kernel, expansion) for _ in range(count)))

"""Encoder blocks: attention of all places to all, as in a Transformer's encoder.

Shapes: B windows, L places, W width, H heads.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["EncoderAttention", "EncoderBlock"]

_EXPANSION = 4


class EncoderAttention(nn.Module):
    """Attention of all places to all: softmax(QK^T / sqrt(W / H)) V."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, L, W) of (B, L, W)."""
        batch, length, width = x.shape

        def split(y: Tensor) -> Tensor:
            return y.view(batch, length, self.heads, -1).transpose(1, 2)  # (B, H, L, W / H)

        q, k, v = split(self.query(x)), split(self.key(x)), split(self.value(x))
        logits = q @ k.transpose(-1, -2) / math.sqrt(width / self.heads)
        mixed = self.dropout(torch.softmax(logits, dim=-1)) @ v
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return out


class EncoderBlock(nn.Module):
    """Attention and a feed-forward network, each behind a norm and beside a skip."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = EncoderAttention(width, heads, dropout)
        self.up, self.down = (
            nn.Linear(width, _EXPANSION * width),
            nn.Linear(_EXPANSION * width, width),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, L, W) of (B, L, W)."""
        x = x + self.dropout(self.attention(self.norm1(x)))
        inner = self.dropout(F.gelu(self.up(self.norm2(x))))
        out: Tensor = x + self.dropout(self.down(inner))
        return out

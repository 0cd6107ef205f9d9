"""Transformer encoders: every position attends to all. The causal sibling is ``nn/transformer.py``.

- `RotaryEncoder`: rotary positions (RoFormer, Su et al. 2021, arXiv 2104.09864), ReLU, no biases in
  attention, dropout on the residual branches.
- `EncoderBlock`: positions are added by the caller (as in ViT, Dosovitskiy et al. 2021), GELU,
  dropout on the attention weights.

Shapes: B batch, H heads, L length, W width, D = W / H head width.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from partimento.training.nn.attention import apply_rotary, rotary_tables

__all__ = [
    "EncoderAttention",
    "EncoderBlock",
    "EncoderConfig",
    "RotaryEncoder",
    "RotaryEncoderLayer",
]

_EXPANSION = 4  # of the feed-forward layer of an `EncoderBlock`


class EncoderConfig(Protocol):
    """The sizes of an encoder."""

    @property
    def layers(self) -> int:
        """How many layers."""
        ...

    @property
    def width(self) -> int:
        """Of a place."""
        ...

    @property
    def heads(self) -> int:
        """Of the attention."""
        ...

    @property
    def feedforward(self) -> int:
        """Of the inner layer."""
        ...

    @property
    def dropout(self) -> float:
        """Share of what is left out in training."""
        ...


class RotaryEncoderLayer(nn.Module):
    """Attention to every place and a feed-forward network, each behind a norm, beside a skip."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up, self.down = (
            nn.Linear(width, config.feedforward),
            nn.Linear(config.feedforward, width),
        )
        self.dropout = nn.Dropout(config.dropout)
        for last in (self.out, self.down):
            nn.init.normal_(last.weight, std=0.02 / math.sqrt(2 * config.layers))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Return (B, L, width) of (B, L, width); cos and sin are the rotary tables (L, D/2)."""
        batch, length, width = x.shape
        y = self.norm1(x)
        q, k, v = (
            part(y).view(batch, length, self.heads, -1).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        q, k = apply_rotary(q, cos.to(q), sin.to(q)), apply_rotary(k, cos.to(k), sin.to(k))
        mixed = F.scaled_dot_product_attention(q, k, v)  # (B, H, L, D)
        x = x + self.dropout(self.out(mixed.transpose(1, 2).reshape(batch, length, width)))
        out: Tensor = x + self.dropout(self.down(F.relu(self.up(self.norm2(x)))))
        return out


class RotaryEncoder(nn.Module):
    """Layers over (B, L, width), and a last norm."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.head_width = config.width // config.heads
        self.dropout = nn.Dropout(config.dropout / 2)
        self.layers = nn.ModuleList(RotaryEncoderLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, L, width)."""
        x = self.dropout(x)
        cos, sin = rotary_tables(x.shape[1], self.head_width)
        cos, sin = cos.to(x.device), sin.to(x.device)
        for layer in self.layers:
            x = layer(x, cos, sin)
        out: Tensor = self.norm(x)
        return out


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

"""A pre-norm, decoder-only Transformer over token columns; the kind of attention is a choice."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from partimento.runtime.presets import TransformerConfig
from partimento.training.nn.attention import (
    PlainAttention,
    RelativeAttention,
    RotaryAttention,
    SlidingAttention,
)
from partimento.training.nn.embedding import ColumnEmbedding, sinusoids
from partimento.training.nn.relative_pitch import IntervalEmbedding, RelativeHead, VoicePitches

__all__ = ["Block", "CausalTransformer"]

_Kinds = type[RelativeAttention] | type[RotaryAttention] | type[PlainAttention]
_ATTENTION: dict[str, _Kinds] = {
    "relative": RelativeAttention,
    "sliding": SlidingAttention,
    "rotary": RotaryAttention,
    "absolute": PlainAttention,
}


class Block(nn.Module):
    """Attention and a two-layer feed-forward network, each behind a norm and beside a skip."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.width
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = _ATTENTION[config.attention](
            width,
            config.heads,
            config.kv_heads,
            config.max_distance,
            config.attention_dropout,
            config.attention_width,
        )
        self.up = nn.Linear(width, config.feedforward)
        self.down = nn.Linear(config.feedforward, width)
        self.dropout = nn.Dropout(config.dropout)
        for last in (self.attention.out, self.down):
            nn.init.normal_(last.weight, std=0.02 / math.sqrt(2 * config.layers))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, L, width) of (B, L, width)."""
        x = x + self.dropout(self.attention(self.norm1(x)))
        inner = F.relu(self.up(self.norm2(x)))
        out: Tensor = x + self.dropout(self.down(inner))
        return out


class CausalTransformer(nn.Module):
    """Logits (B, L, V) of the token at each place, from columns (B, L, C) known before it.

    ``pitches`` are needed where the config asks for relative pitch (``nn/relative_pitch.py``).
    """

    def __init__(
        self,
        config: TransformerConfig,
        vocabulary: int,
        feature_sizes: tuple[int, ...],
        pitches: VoicePitches | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.embedding = ColumnEmbedding(
            vocabulary, feature_sizes, config.width, config.local_width, config.token_width
        )
        self.dropout = nn.Dropout(config.dropout / 2)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, vocabulary)
        self.intervals: IntervalEmbedding | None = None
        self.relative_head: RelativeHead | None = None
        if config.relative_inputs or config.relative_outputs:
            if pitches is None:
                raise ValueError("relative pitch needs to know which tokens are pitches")
            if config.relative_inputs:
                self.intervals = IntervalEmbedding(
                    pitches, vocabulary, config.width, config.local_width, config.token_width
                )
            if config.relative_outputs:
                self.relative_head = RelativeHead(
                    pitches, vocabulary, config.width, config.relative_outputs
                )

    def embedded(self, columns: Tensor) -> Tensor:
        """Return (..., width) of columns (..., C), without positions."""
        x: Tensor = self.embedding(columns)
        if self.intervals is not None:
            x = x + self.intervals(columns[..., : self.config.local_width])
        return x

    def logits(self, x: Tensor, columns: Tensor) -> Tensor:
        """Return (..., V) of the last block's (..., width)."""
        x = self.norm(x)
        logits: Tensor = self.head(x)
        if self.relative_head is not None:
            logits = logits + self.relative_head(x, columns[..., : self.config.local_width])
        return logits

    def forward(self, columns: Tensor) -> Tensor:
        """Return logits; L is at most ``max_distance`` for absolute positions."""
        x = self.embedded(columns)
        if self.config.attention == "absolute":
            x = x + sinusoids(x.shape[1], x.shape[2]).to(x)
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x)
        return self.logits(x, columns)

    @torch.no_grad()
    def parameter_count(self) -> int:
        """Return how many weights there are."""
        return sum(weight.numel() for weight in self.parameters())

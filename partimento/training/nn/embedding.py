"""Inputs of token models: the last few tokens and known features, as one vector a place."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["ColumnEmbedding", "sinusoids"]


def sinusoids(length: int, width: int) -> Tensor:
    """Return (L, width) of absolute positions (Vaswani et al. 2017, section 3.5)."""
    at = torch.arange(length, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(10000.0) / width))
    return torch.stack([(at * rate).sin(), (at * rate).cos()], dim=-1).reshape(length, width)


class ColumnEmbedding(nn.Module):
    """Embeds (B, L, local_width + features) integers as (B, L, width).

    The first ``local_width`` columns are the tokens 1, 2, ... places back: their embeddings are
    joined and projected, which is a causal convolution over the token sequence. The network thus
    sees the last few tokens before any attention: on the chorales it reaches in five minutes what
    takes an hour without. Each feature column adds the row of a table of its own.
    """

    def __init__(
        self,
        vocabulary: int,
        feature_sizes: tuple[int, ...],
        width: int,
        local_width: int,
        token_width: int,
    ) -> None:
        super().__init__()
        self.local_width = local_width
        self.token = nn.Embedding(vocabulary, token_width)
        self.local = nn.Linear(local_width * token_width, width, bias=False)
        self.features = nn.ModuleList(nn.Embedding(size, width) for size in feature_sizes)
        nn.init.normal_(self.token.weight, std=1.0)
        nn.init.normal_(self.local.weight, std=0.1 / math.sqrt(local_width * token_width))
        for table in self.features:
            assert isinstance(table, nn.Embedding)
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, columns: Tensor) -> Tensor:
        """Return (B, L, width) of integers (B, L, columns)."""
        recent = self.token(columns[..., : self.local_width])  # (B, L, w, token_width)
        x: Tensor = self.local(recent.flatten(-2))  # (B, L, width)
        for index, table in enumerate(self.features):
            x = x + table(columns[..., self.local_width + index])
        return x

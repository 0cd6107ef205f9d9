"""Causal self-attention: relative (Music Transformer), rotary, and plain.

Shapes: B batch, H query heads, G key/value heads (G divides H), L length, D head width,
M the largest relative distance.

Equations of Huang et al. 2018 (arXiv 1809.04281)::

    Eq. 3          -> RelativeAttention.forward
    section 3.4.1  -> relative_logits_skew        (the skewing procedure, O(LD) memory)
                      relative_logits_strided     (the same without a copy)
                      relative_logits_loop        (the definition, as a double loop)

On a CPU in float32 Eq. 3 is computed block by block (nn/blocked_attention.py).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from partimento.training.nn.blocked_attention import BlockedRelativeAttention

__all__ = [
    "PlainAttention",
    "RelativeAttention",
    "RotaryAttention",
    "SlidingAttention",
    "apply_rotary",
    "relative_logits_loop",
    "relative_logits_skew",
    "relative_logits_strided",
    "rotary_tables",
]

ROTARY_BASE = 10000.0


def relative_logits_loop(q: Tensor, table: Tensor) -> Tensor:
    """Return q_i . e_(j-i) by definition; entries j > i are zero.

    q is (B, H, L, D); table is (H, M, D), its last row being distance 0 and row M-1-d distance d;
    distances beyond M-1 use the first row. Returns (B, H, L, L).
    """
    batch, heads, length, _ = q.shape
    rows = table.shape[1]
    out = q.new_zeros(batch, heads, length, length)
    for i in range(length):
        for j in range(i + 1):
            row = max(0, rows - 1 - (i - j))
            out[:, :, i, j] = (q[:, :, i] * table[:, row]).sum(-1)
    return out


def _rows_for(table: Tensor, length: int) -> Tensor:
    """Return (H, L, D): the table's last L rows, its first row repeated where L > M."""
    missing = length - table.shape[1]
    if missing > 0:
        return torch.cat([table[:, :1].expand(-1, missing, -1), table], dim=1)
    return table[:, -length:]


def relative_logits_skew(q: Tensor, table: Tensor) -> Tensor:
    """Return the same as ``relative_logits_loop`` by skewing; entries j > i are arbitrary."""
    batch, heads, length, _ = q.shape
    by_distance = q @ _rows_for(table, length).transpose(-1, -2)  # (B, H, L, L)
    padded = F.pad(by_distance, (1, 0))  # (B, H, L, L+1)
    return padded.view(batch, heads, length + 1, length)[:, :, 1:]  # (B, H, L, L)


def relative_logits_strided(q: Tensor, table: Tensor) -> Tensor:
    """Return the same as ``relative_logits_skew`` as a view of Q E^T, without a copy."""
    batch, heads, length, _ = q.shape
    by_distance = (q @ _rows_for(table, length).transpose(-1, -2)).contiguous()
    whole = length * length
    return by_distance.as_strided(
        (batch, heads, length, length),
        (heads * whole, whole, max(1, length - 1), 1),
        by_distance.storage_offset() + length - 1,
    )


def rotary_tables(length: int, head_width: int) -> tuple[Tensor, Tensor]:
    """Return cos and sin, each (L, D/2), of the rotary position embedding (arXiv 2104.09864)."""
    exponent = torch.arange(0, head_width, 2, dtype=torch.float32) / head_width
    angle = torch.arange(length, dtype=torch.float32)[:, None] * ROTARY_BASE**-exponent
    return angle.cos(), angle.sin()


def apply_rotary(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate (B, H, L, D) by position; first and second half of D are the pair."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


class _Attention(nn.Module, ABC):
    """Projections to queries, keys, values and back; the kinds of attention fill ``mix``."""

    def __init__(
        self,
        width: int,
        heads: int,
        kv_heads: int,
        max_distance: int,
        dropout: float = 0.0,
        attention_width: int | None = None,
    ) -> None:
        super().__init__()
        inner = attention_width or width  # of all heads together: H D
        if inner % heads or heads % kv_heads:
            raise ValueError(
                f"{heads} heads must divide {inner}, and {kv_heads} must divide {heads}"
            )
        self.heads, self.kv_heads, self.head_width = heads, kv_heads, inner // heads
        self.max_distance = max_distance
        self.dropout = nn.Dropout(dropout)  # of the weights of attention
        self.query = nn.Linear(width, inner, bias=False)
        self.key = nn.Linear(width, kv_heads * self.head_width, bias=False)
        self.value = nn.Linear(width, kv_heads * self.head_width, bias=False)
        self.out = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return attention over (B, L, width), each place seeing itself and the past."""
        batch, length, _ = x.shape
        q = self.query(x).view(batch, length, self.heads, -1).transpose(1, 2)  # (B, H, L, D)
        k = self.key(x).view(batch, length, self.kv_heads, -1).transpose(1, 2)  # (B, G, L, D)
        v = self.value(x).view(batch, length, self.kv_heads, -1).transpose(1, 2)
        mixed = self.mix(q, k, v)  # (B, H, L, D)
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, length, -1))
        return out

    @property
    def dropped(self) -> float:
        """The share of the weights that is dropped now: none but in training."""
        return self.dropout.p if self.dropout.training else 0.0

    @abstractmethod
    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return the weighted values (B, H, L, D)."""

    def grouped(self, x: Tensor) -> Tensor:
        """Return (B, H, L, D): each key or value head repeated for its group of queries."""
        return x.repeat_interleave(self.heads // self.kv_heads, dim=1)


class PlainAttention(_Attention):
    """Attention without positions of its own; the embedding carries absolute ones."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return softmax(QK^T / sqrt(D)) V, causal."""
        return F.scaled_dot_product_attention(
            q, self.grouped(k), self.grouped(v), dropout_p=self.dropped, is_causal=True
        )


class RotaryAttention(_Attention):
    """Attention with rotary positions."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return softmax(R(Q) R(K)^T / sqrt(D)) V, causal."""
        cos, sin = rotary_tables(q.shape[2], self.head_width)
        cos, sin = cos.to(q), sin.to(q)
        q, k = apply_rotary(q, cos, sin), apply_rotary(k, cos, sin)
        return F.scaled_dot_product_attention(
            q, self.grouped(k), self.grouped(v), dropout_p=self.dropped, is_causal=True
        )


class RelativeAttention(_Attention):
    """Relative global attention: softmax((QK^T + Skew(QE^T)) / sqrt(D)) V."""

    def __init__(
        self,
        width: int,
        heads: int,
        kv_heads: int,
        max_distance: int,
        dropout: float = 0.0,
        attention_width: int | None = None,
    ) -> None:
        super().__init__(width, heads, kv_heads, max_distance, dropout, attention_width)
        self.distance = nn.Parameter(torch.randn(heads, max_distance, self.head_width) * 0.02)

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return the weighted values (B, H, L, D), causal; the faster form of the two."""
        if q.device.type != "cpu" or q.dtype != torch.float32:
            return self.plain(q, k, v)
        rows = _rows_for(self.distance, q.shape[2])
        mixed: Tensor = BlockedRelativeAttention.apply(  # type: ignore[no-untyped-call]
            q, self.grouped(k), self.grouped(v), rows, self.dropped
        )
        return mixed

    def plain(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:  # Eq. 3
        """Return the weighted values (B, H, L, D), causal."""
        batch, heads, length, depth = q.shape
        relative = relative_logits_skew(q, self.distance.to(q.dtype)).reshape(-1, length, length)
        scale = 1.0 / math.sqrt(depth)
        logits = torch.baddbmm(
            relative,
            q.reshape(-1, length, depth),
            self.grouped(k).reshape(-1, length, depth).transpose(1, 2),
            beta=scale,
            alpha=scale,
        )  # (B H, L, L)
        hidden = self.hidden(length, q.device)
        weights: Tensor = torch.softmax(logits.masked_fill_(hidden, float("-inf")), dim=-1)
        weights = self.dropout(weights)
        return (weights.to(v.dtype).view(batch, heads, length, length)) @ self.grouped(v)

    def hidden(self, length: int, device: torch.device) -> Tensor:
        """Return (L, L): whether place j (a column) is kept from place i (a row): the future."""
        return torch.ones(length, length, dtype=torch.bool, device=device).triu(1)


class SlidingAttention(RelativeAttention):
    """Relative attention to the last M places alone, M = ``max_distance`` (Beltagy et al. 2020).

    Each distance has its own embedding, and what lies farther back does not exist; so a cache of
    M places serves a stream without an end exactly (arXiv 2004.05150, section 3.1).
    """

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return the weighted values (B, H, L, D); the blocked form masks the future alone."""
        return self.plain(q, k, v)

    def hidden(self, length: int, device: torch.device) -> Tensor:
        """Return (L, L): the future, and what lies M places back or more."""
        far = torch.ones(length, length, dtype=torch.bool, device=device).tril(-self.max_distance)
        return super().hidden(length, device) | far

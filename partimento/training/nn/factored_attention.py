"""Factored attention over a window of codes laid out in rows: row, column, previous row.

Each layer sees a part of what came before, in a pattern that cycles; after three layers every
earlier place is reached (Child et al. 2019, arXiv 1904.10509, Section 4.2; Dhariwal et al. 2020,
Section 3.2 and Figure 11).

::

    row           the places of the same row up to the query's own            -> row_mask
    column        the places of the same column up to the query's own row     -> column_mask
    previous row  all places of the row before; in the first row nothing      -> previous_row_mask

The masks are the plain form. `Row`, `Column` and `PreviousRow` compute the same in blocks, n * row
or n * rows products instead of n * n. Where there is nothing to see, what is seen is zero.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "MASKS",
    "PATTERNS",
    "FactoredLayer",
    "column_attention",
    "column_mask",
    "masked_attention",
    "previous_row_attention",
    "previous_row_mask",
    "row_attention",
    "row_mask",
]

PATTERNS = ("row", "column", "previous_row")


def row_mask(length: int, row: int) -> Tensor:
    """Return (length, length): which place (second) a query (first) sees in its row."""
    at = torch.arange(length)
    return (at[:, None] // row == at // row) & (at <= at[:, None])


def column_mask(length: int, row: int) -> Tensor:
    """Return (length, length): which places of its column a query sees."""
    at = torch.arange(length)
    return (at[:, None] % row == at % row) & (at <= at[:, None])


def previous_row_mask(length: int, row: int) -> Tensor:
    """Return (length, length): the row before that of the query."""
    at = torch.arange(length)
    return at[:, None] // row == at // row + 1


MASKS: dict[str, Callable[[int, int], Tensor]] = {
    "row": row_mask,
    "column": column_mask,
    "previous_row": previous_row_mask,
}


def masked_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Return attention (B, H, L, D) over what a mask (L, L) shows: the plain form."""
    logits = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    weights = torch.softmax(logits.masked_fill(~mask, -1e9), dim=-1)
    return (weights * mask) @ v


def _rows(x: Tensor, row: int) -> Tensor:
    """Return (B, H, R, row, D) of (B, H, R * row, D)."""
    return x.reshape(*x.shape[:2], x.shape[2] // row, row, x.shape[3])


def row_attention(q: Tensor, k: Tensor, v: Tensor, row: int) -> Tensor:
    """Return (B, H, L, D), L whole rows; see `row_mask`."""
    q, k, v = (_rows(x, row) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, is_causal=True).flatten(2, 3)


def column_attention(q: Tensor, k: Tensor, v: Tensor, row: int) -> Tensor:
    """Return (B, H, L, D), L whole rows; see `column_mask`."""
    q, k, v = (_rows(x, row).transpose(2, 3) for x in (q, k, v))
    seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return seen.transpose(2, 3).flatten(2, 3)


def previous_row_attention(q: Tensor, k: Tensor, v: Tensor, row: int) -> Tensor:
    """Return (B, H, L, D), L whole rows; see `previous_row_mask`."""
    k, v = (F.pad(_rows(x, row)[:, :, :-1], (0, 0, 0, 0, 1, 0)) for x in (k, v))
    return F.scaled_dot_product_attention(_rows(q, row), k, v).flatten(2, 3)


_FAST: dict[str, Callable[[Tensor, Tensor, Tensor, int], Tensor]] = {
    "row": row_attention,
    "column": column_attention,
    "previous_row": previous_row_attention,
}


class FactoredLayer(nn.Module):
    """Attention of one pattern, then a feed-forward network, each added to what it reads."""

    def __init__(
        self, pattern: str, row: int, width: int, heads: int, attention_width: int, feedforward: int
    ) -> None:
        super().__init__()
        self.pattern, self.row, self.heads = pattern, row, heads
        self.norm = nn.LayerNorm(width)
        self.attend = nn.Linear(width, 3 * attention_width)
        self.merge = nn.Linear(attention_width, width)
        self.norm_2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, feedforward)
        self.down = nn.Linear(feedforward, width)
        self.dropout = nn.Identity()

    def keys(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values (B, S, attention_width) of (B, S, W)."""
        q, k, v = self.attend(self.norm(x)).chunk(3, dim=-1)
        return q, k, v

    def split(self, x: Tensor) -> Tensor:
        """Return (B, H, S, D) of (B, S, attention_width)."""
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def rest(self, x: Tensor, seen: Tensor) -> Tensor:
        """Return the layer's output (B, S, W), given what was seen (B, S, attention_width)."""
        x = x + self.dropout(self.merge(seen))
        out: Tensor = x + self.dropout(self.down(F.gelu(self.up(self.norm_2(x)))))
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, L, W) of a window of whole rows (B, L, W)."""
        q, k, v = (self.split(each) for each in self.keys(x))
        seen = _FAST[self.pattern](q, k, v, self.row)
        return self.rest(x, seen.transpose(1, 2).flatten(2))

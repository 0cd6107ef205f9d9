"""Causal relative attention on a CPU, block of queries by block, with its gradient by hand.

The plain form is ``RelativeAttention.plain`` (nn/attention.py). It holds several arrays of
(B, H, L, L) and computes the future only to mask it. Here a block of queries meets only the keys
up to its end, and what is computed for it fits the processor's cache.

Shapes: B batch, L length, D head width; for a block n queries, e keys (those up to its end).

Skewing (section 3.4.1 of arXiv 1809.04281) of a block: Q E^T gives logits by distance (n, e), in
which column c of row i belongs to key c - (n - 1 - i). Read with a row stride of e - 1 from place
n - 1, the same memory is (n, e) by key; entries of the future are arbitrary and are masked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["BlockedRelativeAttention"]

_BLOCK = 96  # queries; shorter blocks skip more of the future and have more overhead


def _blocks(length: int) -> Iterator[tuple[int, int]]:
    for start in range(0, length, _BLOCK):
        yield start, min(length, start + _BLOCK)


def _by_key(by_distance: Tensor) -> Tensor:
    """Return logits by distance (B, n, e), contiguous, as a view by key (B, n, e)."""
    batch, n, e = by_distance.shape
    return by_distance.as_strided((batch, n, e), (n * e, max(1, e - 1), 1), n - 1)


def _by_distance(by_key: Tensor) -> Tensor:
    """Return the gradient by distance (B, n, e) of one by key whose future is zero."""
    batch, n, e = by_key.shape
    flat = by_key.new_empty(batch, n * e)
    flat[:, : n - 1] = 0
    # In the skewed view the last key of a row is the first of the next row: it is future, and
    # left out, but for the last row.
    flat[:, n - 1 : (n - 1) * e].view(batch, n - 1, e - 1).copy_(by_key[:, : n - 1, : e - 1])
    flat[:, (n - 1) * e :] = by_key[:, n - 1]
    return flat.view(batch, n, e)


class BlockedRelativeAttention(torch.autograd.Function):
    """softmax((Q K^T + Skew(Q E^T)) / sqrt(D)) V, causal (Eq. 3); float32, differentiable once."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, rows: Tensor, dropout: float = 0.0
    ) -> Tensor:
        """Return (B, H, L, D) of q, k, v (B, H, L, D) and the table's rows (H, L, D).

        ``dropout`` is the share of the weights that is dropped, by torch's generator.
        """
        heads, length, depth = q.shape[1:]
        scale = 1.0 / math.sqrt(depth)
        out = torch.empty_like(q)
        kept, masks = [], []
        future = q.new_full((length, length), float("-inf")).triu_(1)
        for head in range(heads):
            keys, values = k[:, head], v[:, head]
            for start, end in _blocks(length):
                queries = q[:, head, start:end]  # (B, n, D)
                by_distance = queries @ rows[head, length - end :].T  # (B, n, e)
                logits = _by_key(by_distance) + future[start:end, :end]
                logits.baddbmm_(queries, keys[:, :end].transpose(1, 2), beta=scale, alpha=scale)
                weights = torch.softmax(logits, dim=-1)
                kept.append(weights)
                if dropout:
                    masks.append(torch.empty_like(weights).bernoulli_(1 - dropout))
                    weights = weights * masks[-1].div_(1 - dropout)
                torch.bmm(weights, values[:, :end], out=out[:, head, start:end])
        ctx.save_for_backward(q, k, v, rows, *kept, *masks)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of q, k, v and rows."""
        q, k, v, rows, *kept = ctx.saved_tensors
        heads, length, depth = q.shape[1:]
        scale = 1.0 / math.sqrt(depth)
        of_q, of_k, of_v = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        of_rows = torch.zeros_like(rows)
        count = heads * len(list(_blocks(length)))
        blocks, masks = iter(kept[:count]), iter(kept[count:])
        for head in range(heads):
            for start, end in _blocks(length):
                weights, upper = next(blocks), gradient[:, head, start:end]
                queries, keys = q[:, head, start:end], k[:, head, :end]
                of_weights = upper @ v[:, head, :end].transpose(1, 2)
                mask = next(masks, None)  # None without dropout
                used = weights if mask is None else weights * mask
                of_v[:, head, :end].baddbmm_(used.transpose(1, 2), upper)
                if mask is not None:
                    of_weights *= mask
                of_logits = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
                of_logits *= scale
                of_k[:, head, :end].baddbmm_(of_logits.transpose(1, 2), queries)
                by_distance = _by_distance(of_logits)
                table = rows[head, length - end :]
                torch.bmm(of_logits, keys, out=of_q[:, head, start:end])
                of_q[:, head, start:end] += by_distance @ table
                of_rows[head, length - end :].addmm_(
                    by_distance.flatten(0, 1).T, queries.reshape(-1, depth)
                )
        return of_q, of_k, of_v, of_rows, None

"""Relative attention by blocks is the plain form, and so are its gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from partimento.training.nn import blocked_attention
from partimento.training.nn.attention import RelativeAttention


def found(form: str, length: int, rows: int, kv_heads: int) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return the output and the gradients of queries, keys, values and table."""
    draw = torch.Generator().manual_seed(length)
    layer = RelativeAttention(16, 4, kv_heads, rows)
    with torch.no_grad():
        layer.distance.copy_(torch.randn(layer.distance.shape, generator=draw))
    q, k, v = (
        torch.randn(2, heads, length, 4, generator=draw, requires_grad=True)
        for heads in (4, kv_heads, kv_heads)
    )
    out = getattr(layer, form)(q, k, v)
    upper = torch.randn(out.shape, generator=draw)
    return out, torch.autograd.grad(out, (q, k, v, layer.distance), upper)


@pytest.mark.parametrize("kv_heads", [4, 2])
@pytest.mark.parametrize(("length", "rows"), [(1, 1), (2, 5), (9, 9), (11, 4), (12, 30)])
def test_blocks_are_the_plain_form(
    length: int, rows: int, kv_heads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocked_attention, "_BLOCK", 4)
    out, gradients = found("mix", length, rows, kv_heads)
    wanted, plain = found("plain", length, rows, kv_heads)
    torch.testing.assert_close(out, wanted, atol=1e-5, rtol=1e-5)
    for fast, slow in zip(gradients, plain, strict=True):
        torch.testing.assert_close(fast, slow, atol=1e-5, rtol=1e-4)

"""Relative attention by blocks is the plain form, and so are its gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from partimento.training.nn import blocked_attention
from partimento.training.nn.attention import RelativeAttention
from partimento.training.nn.blocked_attention import BlockedRelativeAttention


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


@pytest.mark.parametrize("form", ["mix", "plain"])
def test_dropout_of_weights(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its output is right on average, and its gradient is that of the weights that were kept."""
    monkeypatch.setattr(blocked_attention, "_BLOCK", 4)
    torch.manual_seed(0)
    layer = RelativeAttention(8, 2, 2, 6, 0.4).double()
    q, k, v = (torch.randn(1, 2, 6, 4).double().requires_grad_() for _ in range(3))
    apply = BlockedRelativeAttention.apply if form == "mix" else None

    def attend(q: Tensor, k: Tensor, v: Tensor, table: Tensor) -> Tensor:
        torch.manual_seed(3)  # the same weights are dropped each time
        if apply is not None:
            made: Tensor = apply(q, k, v, table, 0.4)  # type: ignore[no-untyped-call]
            return made
        return layer.plain(q, k, v)

    assert torch.autograd.gradcheck(attend, (q, k, v, layer.distance))
    assert not torch.allclose(attend(q, k, v, layer.distance), layer.eval().plain(q, k, v))
    layer.train().float()
    q, k, v = (x.detach().float() for x in (q, k, v))
    torch.manual_seed(4)
    mean = torch.stack([getattr(layer, form)(q, k, v) for _ in range(4000)]).mean(0)
    torch.testing.assert_close(mean, getattr(layer.eval(), form)(q, k, v), atol=0.1, rtol=0)

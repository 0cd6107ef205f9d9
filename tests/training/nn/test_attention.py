"""The fast forms of attention against the plain ones."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from partimento.training.nn.attention import (
    PlainAttention,
    RelativeAttention,
    RotaryAttention,
    apply_rotary,
    relative_logits_loop,
    relative_logits_skew,
    relative_logits_strided,
    rotary_tables,
)

SIZES = [(1, 1), (1, 4), (2, 1), (3, 3), (5, 8), (7, 3), (8, 5)]  # (L, M), L > M among them


def queries(length: int, rows: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(length * 100 + rows)
    q = torch.randn(2, 3, length, 4, generator=draw, requires_grad=True)
    table = torch.randn(3, rows, 4, generator=draw, requires_grad=True)
    return q, table


def past(logits: Tensor) -> Tensor:
    """Return the entries that attention may use: j <= i."""
    return logits.tril()


@pytest.mark.parametrize(("length", "rows"), SIZES)
def test_skewing_is_the_double_loop(length: int, rows: int) -> None:
    q, table = queries(length, rows)
    plain = past(relative_logits_loop(q, table))
    torch.testing.assert_close(past(relative_logits_skew(q, table)), plain)
    torch.testing.assert_close(past(relative_logits_strided(q, table)), plain)


@pytest.mark.parametrize(("length", "rows"), SIZES)
def test_gradients_of_skewing_are_those_of_the_double_loop(length: int, rows: int) -> None:
    q, table = queries(length, rows)
    weight = torch.randn(2, 3, length, length, generator=torch.Generator().manual_seed(0))
    found = []
    for form in (relative_logits_loop, relative_logits_skew):
        loss = (past(form(q, table)) * weight).sum()
        found.append(torch.autograd.grad(loss, (q, table)))
    for plain, fast in zip(*found, strict=True):
        torch.testing.assert_close(fast, plain)


def test_rows_of_the_table_are_distances() -> None:
    q = torch.ones(1, 1, 4, 1)
    table = torch.tensor([[[30.0], [20.0], [10.0]]])  # distances 2 and more, 1, 0
    wanted = [[10, 0, 0, 0], [20, 10, 0, 0], [30, 20, 10, 0], [30, 30, 20, 10]]
    assert relative_logits_loop(q, table)[0, 0].tolist() == wanted


def naive(q: Tensor, k: Tensor, v: Tensor, extra: Tensor | None = None) -> Tensor:
    """Return causal softmax attention of (B, H, L, D), place by place."""
    batch, heads, length, depth = q.shape
    out = torch.zeros_like(q)
    for b in range(batch):
        for h in range(heads):
            for i in range(length):
                scores = [float(q[b, h, i] @ k[b, h, j]) for j in range(i + 1)]
                if extra is not None:
                    scores = [s + float(extra[b, h, i, j]) for j, s in enumerate(scores)]
                powers = [math.exp(score / math.sqrt(depth)) for score in scores]
                for j, power in enumerate(powers):
                    out[b, h, i] += power / sum(powers) * v[b, h, j]
    return out


def projected(layer: PlainAttention | RelativeAttention | RotaryAttention, x: Tensor) -> Tensor:
    """Return (3, B, H, L, D): queries, keys and values, each kv head repeated for its group."""
    batch, length, _ = x.shape
    group = layer.heads // layer.kv_heads
    parts = []
    for linear, repeat in ((layer.query, 1), (layer.key, group), (layer.value, group)):
        heads = linear(x).view(batch, length, -1, layer.head_width).transpose(1, 2)
        parts.append(torch.stack([heads[:, h // repeat] for h in range(layer.heads)], dim=1))
    return torch.stack(parts)


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
@pytest.mark.parametrize("kind", [PlainAttention, RelativeAttention, RotaryAttention])
def test_attention_is_softmax_over_the_past(
    kind: type[PlainAttention | RelativeAttention | RotaryAttention], kv_heads: int
) -> None:
    layer = kind(16, 4, kv_heads, 5)
    x = torch.randn(2, 7, 16, generator=torch.Generator().manual_seed(3)) * 2
    with torch.no_grad():
        q, k, v = projected(layer, x)
        extra = None
        if isinstance(layer, RelativeAttention):
            layer.distance.mul_(50)
            extra = relative_logits_loop(q, layer.distance)
        if isinstance(layer, RotaryAttention):
            q, k = complex_rotary(q), complex_rotary(k)
        mixed = naive(q, k, v, extra)
        wanted = layer.out(mixed.transpose(1, 2).reshape(2, 7, 16))
        torch.testing.assert_close(layer(x), wanted, atol=1e-5, rtol=1e-4)


def complex_rotary(x: Tensor) -> Tensor:
    """Turn each pair (x[d], x[d + D/2]), as a complex number, by place / 10000^(2d/D)."""
    half = x.shape[-1] // 2
    number = torch.complex(x[..., :half], x[..., half:])
    rate = 10000.0 ** (-torch.arange(half) * 2.0 / x.shape[-1])
    turned = number * torch.exp(1j * torch.arange(x.shape[2])[:, None] * rate)
    return torch.cat([turned.real, turned.imag], dim=-1)


def test_rotary_is_a_turn_of_complex_numbers() -> None:
    x = torch.randn(2, 3, 9, 8, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(apply_rotary(x, *rotary_tables(9, 8)), complex_rotary(x))


def test_rotary_products_depend_on_distance_alone() -> None:
    q, k = torch.randn(2, 1, 1, 1, 8, generator=torch.Generator().manual_seed(6))
    cos, sin = rotary_tables(12, 8)
    turned_q = apply_rotary(q.expand(-1, -1, 12, -1), cos, sin)
    turned_k = apply_rotary(k.expand(-1, -1, 12, -1), cos, sin)
    products = (turned_q @ turned_k.transpose(-1, -2))[0, 0]
    for distance in range(12):
        line = products.diagonal(-distance)
        torch.testing.assert_close(line, line[:1].expand_as(line), atol=1e-5, rtol=1e-4)


def test_heads_must_divide() -> None:
    with pytest.raises(ValueError, match="3 heads must divide 16"):
        PlainAttention(16, 3, 1, 4)
    with pytest.raises(ValueError, match="and 3 must divide 4"):
        PlainAttention(16, 4, 3, 4)

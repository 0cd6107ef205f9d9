"""Dual-path diffusion and its recurrences against plain transcriptions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from partimento.runtime.audio.diffusion_presets import DiffusionConfig
from partimento.training.nn.dual_path import AngleEmbedding, dual_path, overlap_add, segments
from partimento.training.nn.sru import BidirectionalGRU, BidirectionalSRU, SimpleRecurrence
from partimento.training.objectives.velocity import chunk_angles, noised, straight, velocity

SMALL = DiffusionConfig(
    width=32, blocks=2, heads=2, segment=4, length=16, chunks=4, angle_width=8, style=4, guide=6
)


def given(config: DiffusionConfig, batch: int = 2, tokens: int | None = None) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    count = tokens or config.length
    return [
        torch.randn(batch, config.length, 3, generator=draw),
        torch.rand(batch, config.length, generator=draw),
        torch.randint(0, 9, (batch, count), generator=draw),
        torch.randn(batch, count, config.guide, generator=draw),
        torch.randn(batch, config.style, generator=draw),
        torch.ones(batch),
    ]


def network(config: DiffusionConfig = SMALL) -> torch.nn.Module:
    torch.manual_seed(1)
    made = dual_path(config, 3, 9)
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.1 * torch.randn(weight.shape))
    return made.eval()


def test_a_recurrence_is_its_equations_in_both_directions() -> None:
    torch.manual_seed(0)
    layer = SimpleRecurrence(5, 4)
    with torch.no_grad():
        layer.peepholes.normal_()
    x = torch.randn(1, 6, 5)
    made = layer(x)[0].detach().numpy()
    products = layer.products(x)[0].detach().numpy().reshape(6, 2, 4, 4)
    for side in (0, 1):
        forward, highway = layer.peepholes[side].detach().numpy()
        c = np.zeros(4)
        for t in range(6) if side == 0 else reversed(range(6)):
            wx, wf, wr, straight_on = products[t, side]
            f = 1 / (1 + np.exp(-(wf + forward * c)))
            r = 1 / (1 + np.exp(-(wr + highway * c)))
            c = f * c + (1 - f) * wx
            h = r * c + (1 - r) * straight_on
            np.testing.assert_allclose(made[t, 4 * side : 4 * side + 4], h, atol=1e-5)


def test_two_layers_keep_the_width() -> None:
    for kind in (BidirectionalSRU, BidirectionalGRU):
        for hidden in (4, 6):
            assert kind(8, hidden)(torch.randn(3, 4, 8)).shape == (3, 4, 8)


def test_segments_half_overlap_and_add_up_again() -> None:
    x = torch.arange(32, dtype=torch.float32).reshape(1, 16, 2)
    parts = segments(x, 4)
    assert parts.shape == (1, 9, 4, 2)
    torch.testing.assert_close(parts[0, 1], x[0, 0:4])
    torch.testing.assert_close(parts[0, 2], x[0, 2:6])
    assert not parts[0, 0, :2].any()
    torch.testing.assert_close(overlap_add(parts), x)


def test_angles_lie_on_the_arc_between_two_vectors() -> None:
    embedding = AngleEmbedding(16)
    made = embedding(torch.tensor([[0.0, math.pi / 4, math.pi / 2]]))[0].detach()
    torch.testing.assert_close(made.norm(dim=1), torch.full((3,), 4.0))
    ends = torch.nn.functional.normalize(embedding.ends.detach(), dim=1) * 4
    torch.testing.assert_close(made[0], ends[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(made[2], ends[1], atol=1e-5, rtol=1e-5)
    halfway = torch.nn.functional.normalize(ends.sum(0), dim=0) * 4
    torch.testing.assert_close(made[1], halfway, atol=1e-5, rtol=1e-5)


def test_every_chunk_has_one_angle() -> None:
    angles = chunk_angles(64, 4, 32, torch.Generator().manual_seed(0))
    parts = angles.view(64, 4, 8)
    assert (parts == parts[..., :1]).all()
    assert 0 <= angles.min() < 0.1
    assert math.pi / 2 - 0.1 < angles.max() <= math.pi / 2
    assert parts[:, :, 0].std(1).min() > 0
    with pytest.raises(ValueError, match="divide"):
        chunk_angles(1, 3, 32)


def test_the_velocity_turns_noisy_latents_back() -> None:
    z, eps = torch.randn(2, 8, 3), torch.randn(2, 8, 3)
    angles = torch.rand(2, 8) * math.pi / 2
    noisy, v = noised(z, eps, angles), velocity(z, eps, angles)
    cos, sin = angles.cos()[..., None], angles.sin()[..., None]
    torch.testing.assert_close(cos * noisy - sin * v, z)
    torch.testing.assert_close(sin * noisy + cos * v, eps)
    state, way = straight(z, eps, angles)
    torch.testing.assert_close(state - (angles / (math.pi / 2))[..., None] * way, z)


@pytest.mark.parametrize("kind", ["published", "aligned"])
def test_what_leads_matters_only_where_it_is_given(kind: str) -> None:
    net = network(SMALL.model_copy(update={"kind": kind}))
    inputs = given(SMALL)
    for at in (2, 3, 4):
        other = list(inputs)
        other[at] = torch.flip(inputs[at], [0])
        led = (net(*inputs) - net(*other)).abs().max()
        assert led > 1e-3, at
        nothing = torch.zeros(2)
        free = (net(*inputs[:5], nothing) - net(*other[:5], nothing)).abs().max()
        assert free == 0, at


def test_rows_do_not_see_each_other_and_frames_do() -> None:
    net, inputs = network(), given(SMALL)
    inputs[0].requires_grad_()
    net(*inputs)[0, 0].sum().backward()
    assert inputs[0].grad is not None
    assert not inputs[0].grad[1].any()
    assert inputs[0].grad[0].abs().sum(dim=1).min() > 0


def test_the_published_form_takes_fewer_tokens_than_latents() -> None:
    config = SMALL.model_copy(update={"kind": "published", "guide": 0, "style": 0})
    assert network(config)(*given(config, tokens=8)).shape == (2, 16, 3)


def test_the_published_size_is_near_the_published_count() -> None:
    from partimento.systems.melody.card import PRESETS

    preset = PRESETS["paper"]
    with torch.device("meta"):
        net = dual_path(preset.diffusion, preset.codec.latent_width, preset.tokens)
    count = sum(weight.numel() for weight in net.parameters())
    assert abs(count / 296.6e6 - 1) < 0.05

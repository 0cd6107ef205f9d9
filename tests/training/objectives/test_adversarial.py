"""Losses of the latent game against what they are by definition."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from partimento.training.objectives.adversarial import (
    Moments,
    adapted_share,
    adapted_weight,
    certainty,
    discriminator_hinge,
    feature_distance,
    generator_hinge,
    gradient_penalty,
)


def heads(*values: list[float]) -> list[Tensor]:
    return [torch.tensor([each]).T for each in values]


def test_hinge_counts_what_is_on_the_wrong_side() -> None:
    real, made = heads([2.0, 0.0]), heads([-3.0, 0.5])
    # real: 0 and 1; made: 0 and 1.5
    assert float(discriminator_hinge(real, made)) == pytest.approx((0.5 + 0.75) / 2)
    assert float(generator_hinge(made)) == pytest.approx(1.25)


def test_heads_count_alike_however_many_places_they_judge() -> None:
    narrow, wide = torch.full((2, 1), 3.0), torch.full((2, 50), -1.0)
    assert float(generator_hinge([narrow, wide])) == pytest.approx(-1.0)


def test_gradient_penalty_of_a_line_is_its_slope() -> None:
    slope = torch.randn(6)
    x = torch.randn(4, 2, 3, requires_grad=True)
    verdict = (x.flatten(1) * slope).sum(dim=1, keepdim=True)
    assert float(gradient_penalty([verdict], x)) == pytest.approx(float(slope.square().sum()))


def test_gradient_penalty_can_be_descended() -> None:
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(6, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1))
    x = torch.randn(4, 2, 3, requires_grad=True)
    gradient_penalty([discriminator(x)], x).backward()
    assert discriminator[1].weight.grad is not None
    assert float(discriminator[1].weight.grad.abs().sum()) > 0


def test_certainty_is_between_nothing_and_all() -> None:
    assert float(certainty(heads([5.0]), heads([-5.0]))) == 1
    assert float(certainty(heads([-1.0]), heads([1.0]))) == 0
    assert float(certainty(heads([0.5]), heads([-0.5]))) == pytest.approx(0.5)


def test_the_penalty_grows_while_the_discriminator_is_certain() -> None:
    weight = torch.tensor(5.0)
    assert float(adapted_weight(weight, torch.tensor(0.95), 0.1, 10.0)) == pytest.approx(5.1)
    assert float(adapted_weight(weight, torch.tensor(0.5), 0.1, 10.0)) == pytest.approx(4.9)
    assert float(adapted_weight(torch.tensor(10.0), torch.tensor(1.0), 0.1, 10.0)) == 10
    assert float(adapted_weight(torch.tensor(0.0), torch.tensor(0.0), 0.1, 10.0)) == 0


def test_the_penalty_of_the_flowing_game_moves_by_shares() -> None:
    weight = torch.tensor(5.0)
    assert float(adapted_share(weight, torch.tensor(0.9), 0.1)) == pytest.approx(5.5)
    assert float(adapted_share(weight, torch.tensor(0.1), 0.1)) == pytest.approx(5 / 1.1)
    assert float(adapted_share(torch.tensor(0.0), torch.tensor(0.0), 0.1)) > 0


def test_features_of_equal_means_do_not_differ() -> None:
    x = torch.randn(4, 3, 20)
    assert float(feature_distance([x], [x.flip(0)])) == pytest.approx(0, abs=1e-9)
    assert float(feature_distance([x], [x + 1])) > 0.5


def test_moments_are_those_of_the_definition() -> None:
    x = torch.randn(5, 12, 3)
    found = Moments(3, (0, 2)).moments(x)
    late = sum(torch.outer(x[b, t], x[b, t - 2]) for b in range(5) for t in range(2, 12)) / 50
    assert torch.allclose(found["mean"][0], x.mean(dim=(0, 1)), atol=1e-6)
    assert torch.allclose(found["products"][1], torch.as_tensor(late), atol=1e-6)
    means = x.mean(dim=1)
    assert torch.allclose(found["between"][0], means.T @ means / 5, atol=1e-6)


def test_moments_do_not_reward_varying_less() -> None:
    """On average nothing is gained by shrinking what is right already, in batches however small."""
    torch.manual_seed(1)
    moments = Moments(4, (0, 1))
    moments.settle(torch.randn(2000, 8, 4))
    scale = torch.ones((), requires_grad=True)
    total = 0.0
    for step in range(200):
        value = moments(torch.randn(4, 8, 4) * scale, 4)
        (slope,) = torch.autograd.grad(value, scale)
        total += float(slope) if step >= 20 else 0.0
    assert abs(total / 180) < 0.15


def test_moments_tell_what_to_mend() -> None:
    torch.manual_seed(2)
    moments = Moments(4, (0, 1))
    moments.settle(torch.randn(2000, 4, 4) + torch.tensor([1.0, 0.0, -1.0, 0.5]))
    place = torch.zeros(4, requires_grad=True)
    for _ in range(60):
        loss = moments(torch.randn(64, 4, 4) + place, 4)
        (slope,) = torch.autograd.grad(loss, place)
        with torch.no_grad():
            place -= 0.05 * slope
    assert torch.allclose(place.detach(), torch.tensor([1.0, 0.0, -1.0, 0.5]), atol=0.25)

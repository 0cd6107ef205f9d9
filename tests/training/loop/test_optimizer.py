"""Schedules, clipping, decay and the averaged weights, each against a computation by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from partimento.runtime.presets import TrainingConfig
from partimento.training.contract import Loss, Player
from partimento.training.loop.optimizer import PlayerOptimizer, learning_rate_at


def rates(total: int = 100, **changes: object) -> list[float]:
    training = TrainingConfig.model_validate({"learning_rate": 2.0, "warmup_steps": 10, **changes})
    return [learning_rate_at(training, step, total) for step in range(total)]


def test_constant() -> None:
    found = rates(schedule="constant")
    assert found[:10] == pytest.approx([0.2 * at for at in range(1, 11)])
    assert set(found[10:]) == {2.0}


def test_cosine() -> None:
    found = rates(schedule="cosine", warmup_steps=0)
    assert found[0] == 2.0
    assert found[50] == pytest.approx(1.0)
    assert found[25] == pytest.approx(1 + math.cos(math.pi / 4))
    assert 0 < found[99] < 0.001
    assert found == sorted(found, reverse=True)
    assert learning_rate_at(TrainingConfig(learning_rate=2.0), 1000, 100) == pytest.approx(0)


def test_inverse_square_root_as_in_the_transformer() -> None:
    """Vaswani et al. 2017, Eq. 3, scaled so that its peak is the learning rate."""
    found = rates(schedule="inverse_sqrt")
    for step, rate in enumerate(found, 1):
        wanted = min(step**-0.5, step * 10**-1.5)
        assert rate == pytest.approx(2.0 * wanted / 10**-0.5)


def test_no_warmup() -> None:
    assert rates(schedule="inverse_sqrt", warmup_steps=0)[3] == pytest.approx(1.0)


def player(network: nn.Module) -> Player:
    return Player("one", (network,), lambda batch: Loss(torch.zeros(())))


def loss_of(network: nn.Linear) -> Loss:
    return Loss((network.weight * 3.0).sum() + (network.bias * 4.0).sum())


def test_gradients_are_clipped_by_their_common_norm() -> None:
    network = nn.Linear(1, 1)
    optimizer = PlayerOptimizer(player(network), TrainingConfig(clip=1.0))
    assert optimizer.update(loss_of(network), 0, 10) == pytest.approx(5.0)
    assert network.weight.grad is not None
    assert network.bias.grad is not None
    assert float(network.weight.grad) == pytest.approx(0.6)
    assert float(network.bias.grad) == pytest.approx(0.8)


def test_vectors_do_not_decay() -> None:
    network = nn.Linear(2, 2)
    optimizer = PlayerOptimizer(
        player(network), TrainingConfig(weight_decay=0.5, learning_rate=0.1)
    )
    decays = {
        id(weight): group["weight_decay"]
        for group in optimizer.adam.param_groups
        for weight in group["params"]
    }
    assert decays == {id(network.weight): 0.5, id(network.bias): 0.0}


def test_the_average_follows_with_its_decay_and_swaps_twice() -> None:
    network = nn.Linear(1, 1)
    training = TrainingConfig(ema=0.7, learning_rate=0.1, warmup_steps=0)
    optimizer = PlayerOptimizer(player(network), training)
    wanted = float(network.weight.detach())
    for step in range(30):
        optimizer.update(loss_of(network), step, 100)
        decay = min(0.7, (step + 1) / (step + 10))
        wanted = decay * wanted + (1 - decay) * float(network.weight.detach())
    raw = float(network.weight.detach())
    optimizer.swap_average()
    assert float(network.weight.detach()) == pytest.approx(wanted)
    optimizer.swap_average()
    assert float(network.weight.detach()) == raw


def test_a_gradient_that_is_not_finite_moves_nothing() -> None:
    network = nn.Linear(1, 1)
    before = float(network.weight.detach())
    optimizer = PlayerOptimizer(player(network), TrainingConfig())
    loss = loss_of(network)
    norm = optimizer.update(Loss(loss.total * float("inf")), 0, 10)
    assert not math.isfinite(norm)
    assert float(network.weight.detach()) == before


def test_state_is_given_and_taken_back() -> None:
    torch.manual_seed(0)
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    giving = PlayerOptimizer(player(first), TrainingConfig(learning_rate=0.1))
    for step in range(3):
        giving.update(loss_of(first), step, 10)
    second.load_state_dict(first.state_dict())
    taking = PlayerOptimizer(player(second), TrainingConfig(learning_rate=0.1))
    taking.load(dict(giving.tensors()))
    for optimizer, network in ((giving, first), (taking, second)):
        optimizer.update(loss_of(network), 3, 10)
    assert torch.equal(first.weight, second.weight)
    assert {k: v.tolist() for k, v in giving.tensors()} == {
        k: v.tolist() for k, v in taking.tensors()
    }

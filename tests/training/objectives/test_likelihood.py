"""The likelihood objective against a computation by hand."""

from __future__ import annotations

import math

import torch

from partimento.training.objectives.likelihood import next_token_loss


def test_loss_is_the_mean_of_the_negative_logarithms() -> None:
    logits = torch.tensor([[[0.0, math.log(3.0)], [math.log(4.0), 0.0], [5.0, 9.0]]])
    targets = torch.tensor([[1, 1, 0]])
    mask = torch.tensor([[True, True, False]])
    loss = next_token_loss(logits, targets, mask)
    wanted = (-math.log(3 / 4) - math.log(1 / 5)) / 2
    torch.testing.assert_close(loss.total, torch.tensor(wanted))
    torch.testing.assert_close(loss.parts["nll"], loss.total)
    assert not loss.parts["nll"].requires_grad


def test_masked_places_give_no_gradient() -> None:
    logits = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    mask = torch.tensor([[True, False, True], [False, False, True]])
    next_token_loss(logits, torch.zeros(2, 3, dtype=torch.long), mask).total.backward()
    assert logits.grad is not None
    assert (logits.grad[~mask] == 0).all()
    assert (logits.grad[mask].abs().sum(-1) > 0).all()


def test_an_empty_mask_costs_nothing() -> None:
    logits = torch.randn(1, 2, 3)
    loss = next_token_loss(logits, torch.zeros(1, 2, dtype=torch.long), torch.zeros(1, 2) > 0)
    assert float(loss.total) == 0.0

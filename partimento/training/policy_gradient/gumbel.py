"""Straight-through Gumbel-softmax: a gradient through sampled tokens, in place of REINFORCE.

Jang et al. 2016 (arXiv 1611.01144); the schedule is that of Muhamed et al. 2021 (Transformer-GANs).
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["gumbel_given", "gumbel_temperature", "perturbed", "straight_through"]

_TINY = 1e-20


def gumbel_temperature(step: int, steps: int, highest: float = 100.0) -> float:
    """Return tau = 1 / beta, beta = highest^(step / steps): 1 at first, 1 / highest at last."""
    return float(highest ** -(min(step, steps) / max(1, steps)))


def _gumbel(like: Tensor) -> Tensor:
    exponential = -torch.log(torch.rand_like(like).clamp(min=_TINY))
    return -torch.log(exponential.clamp(min=_TINY))


def perturbed(log_probabilities: Tensor) -> Tensor:
    """Return (..., V) with Gumbel noise added: their largest is a sample."""
    return log_probabilities + _gumbel(log_probabilities)


def gumbel_given(log_probabilities: Tensor, tokens: Tensor) -> Tensor:
    """Return what ``perturbed`` gives, under the condition that ``tokens`` (...) are the largest.

    So sequences may be drawn from cached states, without gradient, and the noise that would have
    drawn them put in afterwards, in one pass (Maddison et al. 2014, "A* sampling").
    """
    logs = log_probabilities.detach()
    top = _gumbel(logs[..., :1])  # the largest of all: the distributions sum to one
    free = logs + _gumbel(logs)
    # The others are Gumbel draws cut off at the top one: -log(exp(-top) + exp(-free)) <= top.
    below = -torch.logaddexp(-top, -free)
    index = tokens[..., None]
    placed = below.scatter(-1, index, top)
    noise = torch.where(torch.isfinite(logs), placed - logs, torch.zeros_like(logs))
    return log_probabilities + noise


def straight_through(noisy: Tensor, temperature: float) -> Tensor:
    """Return one-hot (..., V) of the largest, with the gradient of softmax(noisy / temperature)."""
    soft = torch.softmax(noisy / temperature, dim=-1)
    hard = torch.zeros_like(soft).scatter(-1, noisy.argmax(-1, keepdim=True), 1.0)
    # Forward the sum is ``hard``; backward only ``soft`` has a gradient.
    return hard + (soft - soft.detach())

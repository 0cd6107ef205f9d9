"""The toy's networks: three small perceptrons."""

from __future__ import annotations

from torch import nn

__all__ = ["CONDITION", "perceptron"]

CONDITION = 4  # width of the condition


def perceptron(inputs: int, width: int, outputs: int) -> nn.Sequential:
    """Return a network of two hidden layers."""
    return nn.Sequential(
        nn.Linear(inputs, width),
        nn.Tanh(),
        nn.Linear(width, width),
        nn.Tanh(),
        nn.Linear(width, outputs),
    )

"""Training of Performance RNN: one likelihood stage."""

from __future__ import annotations

from partimento.runtime.presets import TokenPreset
from partimento.systems.performance_rnn.networks import network
from partimento.training.tokens.task import TokenTask

__all__ = ["training_task"]


def training_task(preset: TokenPreset) -> TokenTask:
    """Return the training task of a preset."""
    return TokenTask("performance_rnn", preset, network)

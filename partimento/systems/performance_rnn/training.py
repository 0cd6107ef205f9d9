"""Training of Performance RNN: one likelihood stage."""

from __future__ import annotations

from partimento.runtime.presets import TokenPreset
from partimento.systems.performance_rnn.networks import network
from partimento.training.tokens.task import TokenTrainee

__all__ = ["trainee"]


def trainee(preset: TokenPreset) -> TokenTrainee:
    """Return the trainee of a preset."""
    return TokenTrainee("performance_rnn", preset, network)

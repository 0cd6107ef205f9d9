"""Training of Music Transformer: one likelihood stage."""

from __future__ import annotations

from partimento.runtime.presets import TokenPreset
from partimento.systems.music_transformer.networks import network
from partimento.training.tokens.task import TokenTrainee

__all__ = ["trainee"]


def trainee(preset: TokenPreset) -> TokenTrainee:
    """Return the trainee of a preset."""
    return TokenTrainee("music_transformer", preset, network)

"""Training of Music Transformer: one likelihood stage."""

from __future__ import annotations

from partimento.runtime.presets import TokenPreset
from partimento.systems.music_transformer.networks import network
from partimento.training.tokens.task import TokenTask

__all__ = ["training_task"]


def training_task(preset: TokenPreset) -> TokenTask:
    """Return the training task of a preset."""
    return TokenTask("music_transformer", preset, network)

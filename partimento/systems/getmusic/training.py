"""Training of GETMusic: one stage of absorbing diffusion; see ``training/grids/task.py``."""

from __future__ import annotations

from partimento.runtime.presets import GridPreset
from partimento.systems.getmusic.networks import network
from partimento.training.grids.task import GridTask

__all__ = ["training_task"]


def training_task(preset: GridPreset) -> GridTask:
    """Return the training task of a preset."""
    return GridTask("getmusic", preset, network)

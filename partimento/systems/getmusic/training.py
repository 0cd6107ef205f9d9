"""Training of GETMusic: one stage of absorbing diffusion; see ``training/grids/task.py``."""

from __future__ import annotations

from partimento.runtime.presets import GridPreset
from partimento.systems.getmusic.networks import network
from partimento.training.grids.task import GridTrainee

__all__ = ["trainee"]


def trainee(preset: GridPreset) -> GridTrainee:
    """Return the trainee of a preset."""
    return GridTrainee("getmusic", preset, network)

"""The toy's card.

Each quarter of a piano piece is a column of a multi-hot roll, encoded as a point in a small latent
space; a denoiser conditioned on a style and on the density of notes draws new points. So it can
generate and continue (with drafts), interpolate between two pieces, and transfer one to the style
of another. It hands out its latents as codes.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from partimento.runtime.conditions import LabelsCondition, StyleCondition
from partimento.runtime.contract import Card, Controls, Paper, Task
from partimento.runtime.presets import Preset, TrainingConfig
from partimento.systems.toy.inference import ToyPerformer

__all__ = ["CARD", "ToyControls", "ToyPreset"]


class ToyControls(Controls):
    """How many steps the diffusion takes."""

    steps: int = Field(6, ge=1, le=100, description="calls of the denoiser")


class ToyPreset(Preset):
    """One preset."""

    representation: dict[str, Any] = Field(
        default_factory=lambda: {
            "name": "multi_hot_roll",
            "tracks": [{"name": "Piano"}],
            "lowest": 36,
            "highest": 84,
            "steps_per_quarter": 1,
        }
    )
    latent: int = 4
    width: int = 32
    training: TrainingConfig = TrainingConfig(
        steps=150, batch_size=16, learning_rate=1e-2, warmup_steps=2, validate_every=100, ema=0.9
    )


CARD = Card(
    name="toy",
    paper=Paper("On Toys", "A. Bee", 2002, "https://example.org/toy"),
    summary="draws quarters by diffusion",
    tasks=frozenset({Task.GENERATE, Task.CONTINUE, Task.INTERPOLATE, Task.TRANSFER}),
    controls=ToyControls,
    presets={"default": ToyPreset(), "tiny": ToyPreset()},
    load=ToyPerformer.load,
    conditions=frozenset({LabelsCondition, StyleCondition}),
)

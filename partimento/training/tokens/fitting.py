"""Sizes of network, batch and crop that suit the minutes, the music and this machine.

A large network learns more in the end and less in the first minutes. ``python -m
benchmarks.small_training`` holds what is chosen for 3 minutes and 40 pieces against counting.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from partimento.runtime.presets import TokenPreset
from partimento.training.contract import Stage
from partimento.training.device import best_device
from partimento.training.loop.timing import step_seconds

__all__ = ["SizedTask", "fitted"]

_ENOUGH_STEPS = 600  # that a size must get in the minutes, or a smaller one is taken
_FEWEST_STEPS = 150  # below these the smallest network does not beat counting for certain
_VALIDATIONS = 12


class SizedTask(Protocol):
    """What fitting asks of a training task."""

    preset: TokenPreset

    def of_preset(self, preset: TokenPreset) -> SizedTask:
        """Return a task of another preset on the same data."""
        ...

    def stages(self) -> tuple[Stage, ...]:
        """Return the stages in order."""
        ...


@dataclass(frozen=True)
class _Size:
    """A step of the ladder: options of the network and of training, and the tokens it asks for."""

    network: Mapping[str, Any]
    training: Mapping[str, Any]
    tokens: int


# Smaller sizes than the preset's own, the smallest first.
_SMALLER = (
    _Size(
        {"layers": 2, "width": 128, "heads": 4, "kv_heads": 4, "feedforward": 512,
         "local_width": 8, "token_width": 32},
        {"batch_size": 8, "length": 128, "learning_rate": 3e-3, "warmup_steps": 30},
        0,
    ),
    _Size(
        {"layers": 3, "width": 192, "heads": 6, "kv_heads": 6, "feedforward": 768,
         "local_width": 12, "token_width": 48},
        {"batch_size": 8, "length": 256, "learning_rate": 1.5e-3, "warmup_steps": 60},
        30_000,
    ),
)  # fmt: skip
_OWN_TOKENS = 100_000  # that the preset's own size asks for


def fitted(task: SizedTask, tokens: int, say: Callable[[str], None]) -> TokenPreset:
    """Return the preset with the largest size that gets enough steps in its minutes.

    ``tokens`` are those to learn from. Says what was taken, and where the minutes are too few.
    """
    preset = task.preset.model_copy(update={"fit": False})
    minutes = preset.training.minutes
    if minutes is None or best_device().type != "cpu":
        return preset
    sizes = [(_sized(preset, size), size.tokens) for size in _SMALLER] + [(preset, _OWN_TOKENS)]
    chosen, steps = sizes[0][0], 0
    for candidate, needed in sizes:
        if needed > tokens:
            break
        seconds = step_seconds(task.of_preset(candidate).stages()[0])
        taken = int(minutes * 60 / seconds)
        if steps and taken < _ENOUGH_STEPS:
            break
        chosen, steps = candidate, taken
    network, training = chosen.network, chosen.training
    say(
        f"fitted to {minutes:g} min and {tokens:,} tokens: {network.layers} layers of "
        f"{network.width}, {training.batch_size} x {training.length} tokens a step, "
        f"about {steps:,} steps"
    )
    if steps < _FEWEST_STEPS:
        more = minutes * _FEWEST_STEPS / max(1, steps)
        say(
            f"this is too short to learn more than an n-gram model; give --minutes "
            f"{math.ceil(more)} or more"
        )
    every = min(250, max(10, steps // _VALIDATIONS))
    update = {"validate_every": every}
    return chosen.model_copy(update={"training": training.model_copy(update=update)})


def _sized(preset: TokenPreset, size: _Size) -> TokenPreset:
    return preset.model_copy(
        update={
            "network": preset.network.model_copy(update=dict(size.network)),
            "training": preset.training.model_copy(update=dict(size.training)),
        }
    )

"""What a system hands to the workshop: stages, players, losses.

One loop serves likelihood (one player), GANs (several players, each with its own number of
updates), and cascades (several stages).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor, nn

from partimento.runtime.presets import Recipe

__all__ = ["Batch", "Loss", "Player", "Stage"]

Batch = Mapping[str, Tensor]


@dataclass(frozen=True)
class Loss:
    """A scalar to descend, and the parts that it is made of for the log."""

    total: Tensor
    parts: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Player:
    """One side of a game: the modules it updates and the loss it descends."""

    name: str
    modules: tuple[nn.Module, ...]
    loss: Callable[[Batch], Loss]
    updates: int = 1


@dataclass(frozen=True)
class Stage:
    """One stage of training.

    ``batches`` draws a batch from a generator; ``validate`` returns figures of which the one
    called ``"loss"`` decides which weights are best (lower is better).
    """

    name: str
    players: tuple[Player, ...]
    recipe: Recipe
    batches: Callable[[np.random.Generator], Batch]
    validate: Callable[[], Mapping[str, float]] | None = None
    freezes: tuple[nn.Module, ...] = ()

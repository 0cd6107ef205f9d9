"""What a system hands to training: networks, stages, players, losses.

One loop serves likelihood (one player), GANs (several players, each with its own number of
updates), and cascades (several stages).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from torch import Tensor, nn

from partimento.files.corpora.corpus import Corpus
from partimento.runtime.model_folder import ModelFolder
from partimento.runtime.presets import TrainingConfig

__all__ = ["Batch", "Loss", "Player", "Stage", "TrainingTask"]

Batch = Mapping[str, Tensor]


@dataclass(frozen=True)
class Loss:
    """A scalar to descend, and the parts that it is made of for the log."""

    total: Tensor
    parts: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Player:
    """One side of a game: the modules it updates and the loss it descends.

    ``training`` is for a player who learns otherwise than its stage: rate, decay, clipping.
    """

    name: str
    modules: tuple[nn.Module, ...]
    loss: Callable[[Batch], Loss]
    updates: int = 1
    training: TrainingConfig | None = None


@dataclass(frozen=True)
class Stage:
    """One stage of training.

    ``batches`` draws a batch from a generator; ``validate`` returns figures of which the one
    called ``"loss"`` decides which weights are best (lower is better).
    """

    name: str
    players: tuple[Player, ...]
    training: TrainingConfig
    batches: Callable[[np.random.Generator], Batch]
    validate: Callable[[], Mapping[str, float]] | None = None
    freezes: tuple[nn.Module, ...] = ()


class TrainingTask(Protocol):
    """A model in training; what ``training.loop.run`` requires of every system's ``training.py``.

    ``networks`` are the named parts of what will be played, the main one first: an encoder and a
    decoder, a codec and a prior. The best weights of all of them are kept, whether or not a player
    updates them, and ``export`` writes them. ``network`` is the main one. ``facts`` is what is
    known of the data, for the model folder.
    """

    system: str
    preset: Any
    facts: dict[str, Any]

    @property
    def network(self) -> nn.Module:
        """The main network: the first of ``networks``."""
        ...

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """The networks that will be played, by the names of their parts."""
        ...

    def fresh(self) -> Self:
        """Return another training task of the same preset with newly drawn weights."""
        ...

    def prepare(self, corpora: Sequence[Corpus], folder: Path, say: Callable[[str], None]) -> None:
        """Read and encode the corpora, or take what an earlier run in ``folder`` encoded.

        Raises:
            TrainingError: if there is nothing to learn from.
        """
        ...

    def recall(self, folder: Path) -> None:
        """Take the data that a run in ``folder`` encoded, where it is still there."""
        ...

    def stages(self) -> tuple[Stage, ...]:
        """Return the stages in order; the modules in them are the same at every call."""
        ...

    def finish(self) -> dict[str, float]:
        """Change the best weights for playing (temperature, level); return figures of that."""
        ...

    def export(
        self,
        out: Path,
        facts: Mapping[str, Any],
        precisions: tuple[str, ...] = ("int8",),
        run: Path | None = None,
    ) -> ModelFolder:
        """Write the network as a model folder; ``run`` is the run's folder where not ``out``."""
        ...

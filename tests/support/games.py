"""Stages of small players: what the trainer's tests train."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from partimento.runtime.presets import TrainingConfig
from partimento.training.contract import Batch, Loss, Player, Stage
from partimento.training.loop.progress import Progress
from partimento.training.loop.trainer import Trainer

RECIPE = TrainingConfig(
    steps=12, batch_size=4, learning_rate=0.05, warmup_steps=3, validate_every=4, ema=0.8
)


class Regression:
    """One player that fits a line through dropout, which draws from torch's own generator."""

    def __init__(self, training: TrainingConfig = RECIPE, name: str = "fit") -> None:
        torch.manual_seed(5)
        self.network = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.3), nn.Tanh(), nn.Linear(8, 1))
        self.training, self.name = training, name
        self.losses = 0

    def batches(self, draw: np.random.Generator) -> Batch:
        x = torch.from_numpy(draw.normal(size=(4, 3)).astype(np.float32))
        return {"x": x, "y": x.sum(1, keepdim=True)}

    def loss(self, batch: Batch) -> Loss:
        self.losses += 1
        return Loss((self.network(batch["x"]).float() - batch["y"]).square().mean())

    def validate(self) -> Mapping[str, float]:
        batch = self.batches(np.random.default_rng(0))
        return {"loss": float(self.loss(batch).total)}

    def stage(self, **changes: Any) -> Stage:
        player = Player("line", (self.network,), self.loss)
        values: dict[str, Any] = {"validate": self.validate, **changes}
        return Stage(self.name, (player,), self.training, self.batches, **values)


def trainer(folder: Path, *stages: Stage, seed: int = 3, **changes: Any) -> Trainer:
    """Return a quiet trainer that saves after every step."""
    values: dict[str, Any] = {"progress": Progress(quiet=True), "save_seconds": 0.0, **changes}
    return Trainer(stages, folder, seed, **values)

"""Training of Coconet: one stage of order-agnostic likelihood; see ``objectives/orderless.py``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from partimento.runtime.grids.rolls import HIDDEN, SILENT, pitches_of
from partimento.runtime.model_folder import ModelFolder
from partimento.runtime.presets import RollPreset
from partimento.systems.coconet.networks import network
from partimento.training.contract import Batch, Loss, Player, Stage
from partimento.training.export.modules import export_module
from partimento.training.export.writer import write_model
from partimento.training.grids.data import GridSet
from partimento.training.grids.learner import GridLearner
from partimento.training.objectives.orderless import hidden_cells, orderless_loss

__all__ = ["CoconetTask", "training_task"]

_VALID_BATCHES, _VALID_SIZE = 6, 8


class CoconetTask(GridLearner[RollPreset]):
    """A network over rolls in training."""

    def stages(self) -> tuple[Stage, ...]:
        """Return the one stage."""
        player = Player("model", (self.network,), self._loss)
        return (Stage("orderless", (player,), self.preset.training, self._batch, self._validate),)

    def _batch(self, draw: np.random.Generator) -> Batch:
        return self._examples(self.sets["train"], draw, self.preset.training.batch_size)

    def _examples(self, grids: GridSet, draw: np.random.Generator, size: int) -> Batch:
        made = [self._example(grids, draw) for _ in range(size)]
        return {key: torch.from_numpy(np.stack([each[key] for each in made])) for key in made[0]}

    def _example(self, grids: GridSet, draw: np.random.Generator) -> dict[str, Any]:
        """Return ``pitches`` and ``hidden``, each (V, T), of one crop.

        The padding of bars is left out, so that the columns are even in time as they are when the
        model plays; what lies beyond the piece, and pitches outside the range, are SILENT.
        """
        length, config = self.preset.training.length, self.preset.network
        cells, features, _ = grids.crop(draw, length)
        is_padding = (features[:, 1] > 0) & (features[:, 0] >= (features[:, 1] - 1) % 64 + 1)
        found = pitches_of(cells[: self.grid.chord_slot, ~is_padding])
        found[(found < config.lowest) | (found > config.highest)] = SILENT
        pitches = np.full((len(found), length), SILENT, dtype=np.int64)
        pitches[:, : found.shape[1]] = found
        return {"pitches": pitches, "hidden": hidden_cells(pitches >= 0, draw)}

    def _terms(self, batch: Batch) -> Tensor:
        """Return (B,): the mean surprise of the hidden cells of each example."""
        pitches, hidden = batch["pitches"], batch["hidden"]
        logits = self.network(torch.where(hidden, HIDDEN, pitches))
        return orderless_loss(logits, pitches - self.preset.network.lowest, hidden)

    def _loss(self, batch: Batch) -> Loss:
        total = self._terms(batch).mean()
        return Loss(total, {"nll": total.detach()})

    def _validate(self) -> Mapping[str, float]:
        """Return the loss over a fixed choice of crops and hidden sets."""
        draw = np.random.default_rng(0)
        device = next(self.network.parameters()).device
        terms = []
        for _ in range(_VALID_BATCHES):
            batch = self._examples(self.sets["valid"], draw, _VALID_SIZE)
            terms.append(self._terms({key: value.to(device) for key, value in batch.items()}))
        return {"loss": float(torch.cat(terms).mean())}

    def export(
        self,
        out: Path,
        facts: Mapping[str, Any],
        precisions: tuple[str, ...] = ("fp32",),
        run: Path | None = None,
    ) -> ModelFolder:
        """Write the network as a model folder: fp32, its convolutions are not worth rounding."""
        network = self.preset.network
        config = {
            "system": self.system,
            "representation": self.grid.spec(),
            "network": {
                "kind": "roll",
                "window": network.window,
                "lowest": network.lowest,
                "highest": network.highest,
                "ensembles": list(network.ensembles),
            },
            "defaults": self.preset.defaults,
            "tracks": [{"name": t.name, "program": t.program} for t in self.grid.tracks],
        }
        example = torch.zeros((2, self.grid.slots - 1, 32), dtype=torch.int64)
        graph = export_module(
            self.network, {"pitches": example}, ["logits"], {"pitches": {0: "B", 2: "T"}}
        )
        return write_model(out, config, graph, self, facts, ("fp32",), run)


def training_task(preset: RollPreset) -> CoconetTask:
    """Return the training task of a preset."""
    return CoconetTask("coconet", preset, network)

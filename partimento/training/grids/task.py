"""Training of grid models: random conditions, random masks, one stage of absorbing diffusion.

As published (GETMusic, arXiv 2305.10841, section 4.1): random tracks are given and random tracks
are to be written, the chords are mostly hidden, times are drawn by importance. Added here:
regions inside tracks, and endings, since infilling and continuing are what such models are for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from partimento.representations.track_grid import EMPTY, MASK, TrackGrid, sounding
from partimento.runtime.model_folder import ModelFolder
from partimento.runtime.presets import GridPreset
from partimento.samplers.unmasking import TIMES
from partimento.training.contract import Batch, Loss, Player, Stage
from partimento.training.export.grid_graph import grid_graph
from partimento.training.export.writer import write_model
from partimento.training.grids.data import GridSet
from partimento.training.grids.learner import GridLearner
from partimento.training.objectives.absorbing import (
    PUBLISHED_UNIFORM,
    Times,
    cell_weights,
    importance_loss,
    linear_schedule,
    masked_terms_of,
    q_sample,
    variational_terms,
)

__all__ = ["GridNetwork", "GridTask", "draw_task", "known"]

_VALID_BATCHES = 6
_VALID_SIZE = 8
_LENGTH_SHARE = 0.5  # what a note's length counts beside what it is
_VALUES = (129, 65)  # of what starts, of how long it lasts; without MASK
_UNUSED, _WRITTEN, _GIVEN = 0, 1, 2


class GridNetwork(Protocol):
    """What the training of a grid model asks of its network; see ``systems/getmusic``."""

    def described(
        self, cells: Tensor, sounding: Tensor, features: Tensor, given: Tensor, context: Tensor
    ) -> Tensor:
        """Return (2, B, S, T, head_width): what is known of each half of each cell."""
        ...

    def what_at(self, described: Tensor, slots: Tensor) -> Tensor:
        """Return logits (n, 129) of what starts in some cells."""
        ...

    def length_at(self, described: Tensor, slots: Tensor) -> Tensor:
        """Return logits (n, 65) of how long what starts lasts."""
        ...


class GridTask(GridLearner[GridPreset]):
    """A grid model in training: one stage of absorbing diffusion."""

    def __init__(
        self, system: str, preset: GridPreset, factory: Callable[[GridPreset, TrackGrid], nn.Module]
    ) -> None:
        super().__init__(system, preset, factory)
        self.times = Times(TIMES)
        published = preset.loss == "published"
        self.schedule = linear_schedule(TIMES, PUBLISHED_UNIFORM if published else 0.0)
        self._of_length = 1.0 if published else _LENGTH_SHARE

    def stages(self) -> tuple[Stage, ...]:
        """Return the one stage: the variational bound of absorbing diffusion."""
        player = Player("model", (self.network, self.times), self._loss)
        return (Stage("diffusion", (player,), self.preset.training, self._batch, self._validate),)

    def _batch(self, draw: np.random.Generator) -> Batch:
        training = self.preset.training
        return self._examples(self.sets["train"], draw, training.batch_size)

    def _examples(self, grids: GridSet, draw: np.random.Generator, size: int) -> Batch:
        made = [self._example(grids, draw) for _ in range(size)]
        return {key: torch.from_numpy(np.stack([each[key] for each in made])) for key in made[0]}

    def _example(
        self, grids: GridSet, draw: np.random.Generator
    ) -> dict[str, npt.NDArray[np.generic]]:
        """Return one crop, which of its cells are to be found, and the noise that masks them."""
        cells, features, ensemble = grids.crop(draw, self.preset.training.length)
        if ensemble == 0:
            voices = [slots[:1] for slots in self.grid.slots_of]
        else:
            voices = [slots[:] for slots in self.grid.slots_of]
        wanted = draw_task(draw, [bool(cells[v[0], :, 0].any()) for v in voices], len(features))
        target = np.zeros(cells.shape[:2], dtype=bool)
        given = np.full(self.grid.slots, _UNUSED, dtype=np.int64)
        for slots, columns in zip(voices, wanted, strict=True):
            if columns is None:  # a track that is not there at all
                cells[slots.start : slots.stop] = EMPTY
                continue
            for slot in slots:
                target[slot] = columns
                given[slot] = _WRITTEN if columns.any() else _GIVEN
        for slots, used in zip(self.grid.slots_of, voices, strict=True):
            cells[used.stop : slots.stop] = EMPTY
        chord = self.grid.chord_slot
        kind = draw.random()
        if kind < 0.75:
            cells[chord] = EMPTY
        else:
            target[chord] = kind > 0.95
            given[chord] = _WRITTEN if kind > 0.95 else _GIVEN
        target &= (features[:, 1] > 0) & (features[:, 0] < (features[:, 1] - 1) % 64 + 1)
        noise = draw.random((2, *target.shape), dtype=np.float32)
        if draw.random() < 0.9:
            noise[1] = noise[0]  # both halves of a cell are masked together
        return {
            "cells": cells,
            "features": features,
            "given": given,
            "target": target,
            "noise": noise,
            "ensemble": np.array(ensemble),
        }

    def _terms(self, batch: Batch, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return the terms (B,) of the bound at times t: of what starts, of how long it lasts."""
        x0, target = batch["cells"], batch["target"]
        what, length = (
            q_sample(x0[..., half], t, self.schedule, values, target, batch["noise"][:, half])
            for half, values in enumerate(_VALUES)
        )
        seen = known(torch.stack([what, length], dim=-1), batch["features"])
        context = torch.stack([t, batch["ensemble"]], dim=1)
        if self.preset.loss == "published":
            x_t, logits = (what, length), self.network(*seen, *self._sides(batch), context)
            return self._published_terms(batch, t, x_t, logits)
        network = cast("GridNetwork", self.network)
        described = network.described(*seen, *self._sides(batch), context)
        slots = torch.arange(self.grid.slots, device=t.device)[:, None].expand_as(target)
        flat = described.flatten(1, 3), slots.flatten()

        def what_of(cells: Tensor) -> Tensor:
            return network.what_at(flat[0][0].index_select(0, cells), flat[1][cells])

        def length_of(cells: Tensor) -> Tensor:
            return network.length_at(flat[0][1].index_select(0, cells), flat[1][cells])

        weight = target.float()
        sounds = weight * (x0[..., 1] > EMPTY)  # the length of nothing goes without saying
        return (
            masked_terms_of(what_of, x0[..., 0], what, t, weight, self.schedule),
            masked_terms_of(length_of, x0[..., 1], length, t, sounds, self.schedule),
        )

    def _sides(self, batch: Batch) -> tuple[Tensor, Tensor]:
        return batch["features"], batch["given"]

    def _published_terms(
        self, batch: Batch, t: Tensor, x_t: Sequence[Tensor], logits: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return the terms (B,) of the loss as published: every cell by its posterior.

        Targets count 1, cells that are given 0.5, parts that are not there nothing.
        """
        features = batch["features"]
        inside = (features[..., 1] > 0) & (features[..., 0] < (features[..., 1] - 1) % 64 + 1)
        condition = (batch["given"] == _GIVEN)[..., None] & inside[:, None]
        weight = cell_weights(batch["target"], condition)
        what, length = (
            variational_terms(made, batch["cells"][..., half], seen, t, weight, self.schedule)
            for half, (made, seen) in enumerate(zip(logits, x_t, strict=True))
        )
        return what, length

    def _loss(self, batch: Batch) -> Loss:
        t, probability = self.times.draw(len(batch["cells"]))
        what, length = self._terms(batch, t)
        terms = what + self._of_length * length
        self.times.record(t, terms)
        return importance_loss(terms, probability)

    def _validate(self) -> Mapping[str, float]:
        """Return the bound over a fixed choice of crops, masks and evenly spread times."""
        draw = np.random.default_rng(0)
        device = next(self.network.parameters()).device
        sums = np.zeros(2)
        for index in range(_VALID_BATCHES):
            batch = self._examples(self.sets["valid"], draw, _VALID_SIZE)
            there = {key: value.to(device) for key, value in batch.items()}
            at = (np.arange(_VALID_SIZE) + (index + 0.5) / _VALID_BATCHES) / _VALID_SIZE
            t = torch.from_numpy((at * TIMES).astype(np.int64) + 1).to(device)
            sums += [float(part.mean()) for part in self._terms(there, t)]
        what, length = (sums / _VALID_BATCHES * TIMES).tolist()
        return {"loss": what + self._of_length * length, "what": what, "length": length}

    def export(
        self,
        out: Path,
        facts: Mapping[str, Any],
        precisions: tuple[str, ...] = ("int8",),
        run: Path | None = None,
    ) -> ModelFolder:
        """Write the network as a model folder."""
        network = self.preset.network
        config = {
            "system": self.system,
            "representation": self.grid.spec(),
            "network": {
                "kind": "grid",
                "window": network.window,
                "ensembles": list(network.ensembles),
            },
            "defaults": self.preset.defaults,
            "tracks": [{"name": t.name, "program": t.program} for t in self.grid.tracks],
        }
        weights = {
            name: value.detach().float().cpu().numpy()
            for name, value in self.network.state_dict().items()
        }
        graph = grid_graph(network, self.grid, weights)
        return write_model(out, config, graph, self, facts, precisions, run)


def known(cells: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the network reads of cells (B, S, T, 2) with MASK: cells, what sounds."""
    padding = (features[..., 1] == 0) | (features[..., 0] >= (features[..., 1] - 1) % 64 + 1)
    learnt = sounding(cells[:, :-1].cpu().numpy(), padding.cpu().numpy())
    masks = torch.tensor([129, 65], device=cells.device)
    shown = torch.where(cells == MASK, masks, cells)
    return shown, torch.from_numpy(learnt).to(cells.device)


def draw_task(
    draw: np.random.Generator, sounding_tracks: Sequence[bool], columns: int
) -> list[npt.NDArray[np.bool_] | None]:
    """Return for each track the columns to be written, or None for a track that is left out.

    Accompany (some tracks wholly), infill (a span of some tracks), continue (the end of all) or
    generate (all of it). A track without a note is left out unless it is asked for.
    """
    count = len(sounding_tracks)
    kind = draw.random()
    if kind < 0.5:  # accompany
        number = int(draw.choice([1, 2, 3, 4], p=[0.2, 0.2, 0.45, 0.15]))
        chosen = set(draw.permutation(count)[: min(number, count)].tolist())
        if count > 1 and number == count - 1 and draw.random() < 0.7:
            chosen = set(range(1, count))  # the melody is given: the commonest request
        where = np.ones(columns, dtype=bool)
    elif kind < 0.75:  # infill
        number = count if draw.random() < 0.35 else int(draw.integers(1, count + 1))
        chosen = set(draw.permutation(count)[:number].tolist())
        blocks = columns // 16
        span = int(draw.integers(1, max(2, blocks)))
        first = int(draw.integers(0, blocks - span + 1))
        where = np.zeros(columns, dtype=bool)
        where[16 * first : 16 * (first + span)] = True
    else:  # continue, or generate
        chosen = set(range(count))
        cut = 16 * int(draw.integers(1, max(2, columns // 16))) if kind < 0.9 else 0
        where = np.arange(columns) >= cut
    left_out = int(draw.integers(count)) if draw.random() < 0.15 and count > 2 else -1
    wanted: list[npt.NDArray[np.bool_] | None] = []
    for track, sounds in enumerate(sounding_tracks):
        if track == left_out or not (sounds or track in chosen):
            wanted.append(None)
        else:
            wanted.append(where if track in chosen else np.zeros(columns, dtype=bool))
    return wanted

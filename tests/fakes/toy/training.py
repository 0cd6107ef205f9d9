"""Training of the toy: an autoencoder of quarters, then a denoiser of its latents."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto
from torch import Tensor, nn

from partimento.errors import TrainingError
from partimento.music import Score
from partimento.representations import make_representation
from partimento.runtime.model_folder import ModelFolder, write_model_folder
from partimento.systems.toy.card import ToyPreset
from partimento.systems.toy.inference import PARTS, STYLES, condition_of
from partimento.systems.toy.networks import CONDITION, perceptron
from partimento.training.contract import Batch, Loss, Player, Stage
from partimento.training.export.graph_builder import Graph
from partimento.training.export.int8_weights import rounded

__all__ = ["ToyTask", "training_task"]


class ToyTask:
    """Three networks in training."""

    system = "toy"

    def __init__(self, preset: ToyPreset) -> None:
        self.preset = preset
        self.roll: Any = make_representation(preset.representation)
        latent, width, cells = preset.latent, preset.width, 2 * self.roll.pitches
        self.denoiser = perceptron(latent + 2 + CONDITION, width, latent)
        self.encoder = perceptron(cells, width, latent)
        self.decoder = perceptron(latent, width, cells)
        self.facts: dict[str, Any] = {}
        self.sets: dict[str, tuple[Tensor, Tensor]] = {}
        self.styles: dict[str, list[float]] = {}

    @property
    def network(self) -> nn.Module:
        """The denoiser."""
        return self.denoiser

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The denoiser, the encoder and the decoder."""
        return {part: getattr(self, part) for part in PARTS}

    def fresh(self) -> ToyTask:
        """Return another training task of the same preset with newly drawn weights."""
        return ToyTask(self.preset)

    def prepare(self, corpora: Sequence[Any], folder: Path, say: Callable[[str], None]) -> None:
        """Encode the corpora."""
        for split in ("train", "valid"):
            found = [piece for corpus in corpora for _, piece in corpus.pieces(split)]
            scores = [piece for piece in found if isinstance(piece, Score)]
            if not scores:
                raise TrainingError(f"no piece to learn from ({split})")
            self.sets[split] = self._encoded(scores)
        self.facts = {"corpora": sorted(corpus.name for corpus in corpora)}
        say(f"{len(self.sets['train'][0])} quarters to learn from")

    def _encoded(self, scores: list[Score]) -> tuple[Tensor, Tensor]:
        """Return rolls (N, 2P) and conditions (N, 4) of all quarters that are not silent."""
        rolls, conditions = [], []
        for score in scores:
            roll = np.moveaxis(self.roll.encode(score), 2, 0)
            for quarter in roll[roll.any(axis=(1, 2, 3))]:
                pitches = np.flatnonzero(quarter[1].any(axis=0)) + self.roll.lowest
                style = STYLES[int(pitches.mean() < 57)]
                rolls.append(quarter.ravel())
                conditions.append(condition_of(style, len(pitches) / 10))
        return torch.from_numpy(np.stack(rolls)), torch.from_numpy(np.stack(conditions))

    def recall(self, folder: Path) -> None:
        """Nothing is kept of the data."""

    def stages(self) -> tuple[Stage, ...]:
        """Return the autoencoder's stage, then the denoiser's."""
        both = (self.encoder, self.decoder)
        first = Player("autoencoder", both, self._reconstruct)
        second = Player("denoiser", (self.denoiser,), self._denoise)
        training = self.preset.training
        return (
            Stage("autoencoder", (first,), training, self._batch, self._valid(self._reconstruct)),
            Stage(
                "diffusion",
                (second,),
                training,
                self._batch,
                self._valid(self._denoise),
                freezes=both,
            ),
        )

    def _batch(self, draw: np.random.Generator) -> Batch:
        return self._rows("train", draw, self.preset.training.batch_size)

    def _rows(self, split: str, draw: np.random.Generator, size: int) -> Batch:
        rolls, conditions = self.sets[split]
        rows = torch.from_numpy(draw.integers(len(rolls), size=size))
        shape = (size, self.preset.latent)
        noise = torch.from_numpy(draw.standard_normal(shape).astype(np.float32))
        angle = torch.from_numpy(draw.uniform(0, math.pi / 2, (size, 1)).astype(np.float32))
        return {"roll": rolls[rows], "condition": conditions[rows], "noise": noise, "angle": angle}

    def _valid(self, loss: Callable[[Batch], Loss]) -> Callable[[], Mapping[str, float]]:
        def validate() -> dict[str, float]:
            batch = self._rows("valid", np.random.default_rng(0), 64)
            return {"loss": float(loss(batch).total)}

        return validate

    def _reconstruct(self, batch: Batch) -> Loss:
        """Return the cross entropy of the roll, and a pull of the latents to unit variance."""
        latents = self.encoder(batch["roll"])
        logits = self.decoder(latents)
        fit = nn.functional.binary_cross_entropy_with_logits(
            logits,
            batch["roll"],
            pos_weight=torch.tensor(8.0),  # most cells are silent
        )
        return Loss(fit + 0.01 * (latents.square().mean() - 1).square(), {"fit": fit.detach()})

    def _denoise(self, batch: Batch) -> Loss:
        """Return the error of v = cos(a) e - sin(a) x at the angle a."""
        with torch.no_grad():
            x = self.encoder(batch["roll"])
        e, cos, sin = batch["noise"], batch["angle"].cos(), batch["angle"].sin()
        inputs = torch.cat([cos * x + sin * e, cos, sin, batch["condition"]], dim=1)
        return Loss((self.denoiser(inputs) - (cos * e - sin * x)).square().mean())

    def finish(self) -> dict[str, float]:
        """Measure the mean latent of each style, which transfers go to."""
        rolls, conditions = self.sets["train"]
        with torch.no_grad():
            latents = self.encoder(rolls)
        for index, style in enumerate(STYLES):
            of_style = latents[conditions[:, index] > 0]
            if len(of_style):
                self.styles[style] = [round(float(value), 5) for value in of_style.mean(dim=0)]
        return {}

    def export(
        self,
        out: Path,
        facts: Mapping[str, Any],
        precisions: tuple[str, ...] = ("int8",),
        run: Path | None = None,
    ) -> ModelFolder:
        """Write one graph a network."""
        graphs = {part: graph_of(module) for part, module in self.networks.items()}
        files = {
            f"{part}.{precision}.onnx": (
                rounded(graph) if precision == "int8" else graph
            ).SerializeToString()
            for part, graph in graphs.items()
            for precision in precisions
        }
        config = {
            "name": out.name,
            "system": self.system,
            "representation": self.roll.spec(),
            "network": {"kind": "toy", "latent": self.preset.latent, "styles": self.styles},
            "graphs": {precision: f"{PARTS[0]}.{precision}.onnx" for precision in precisions},
            "defaults": {"bars": 2},
            "parameters": sum(
                w.numel() for net in self.networks.values() for w in net.parameters()
            ),
            "trained": dict(facts),
        }
        return write_model_folder(out, config, files, "---\nlicense: CC0-1.0\n---\n# A toy\n")


def graph_of(network: nn.Module) -> onnx.ModelProto:
    """Return a perceptron as a graph from ``x`` (N, inputs) to ``y`` (N, outputs)."""
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    graph = Graph(weights)
    last = max(int(name.partition(".")[0]) for name in weights)
    graph.input("x", TensorProto.FLOAT, ["N", weights["0.weight"].shape[1]])
    x = "x"
    for index in range(0, last + 1, 2):
        x = graph.linear(x, str(index))
        x = graph.op("Tanh", x) if index < last else x
    graph.output("y", x, TensorProto.FLOAT, ["N", weights[f"{last}.weight"].shape[0]])
    return graph.model()


def training_task(preset: ToyPreset) -> ToyTask:
    """Return the training task of a preset."""
    return ToyTask(preset)

"""From a trained codec and generator to a model folder: three graphs and what is known of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from partimento import __version__
from partimento.config import Config
from partimento.runtime.model_folder import ModelFolder, write_model_folder
from partimento.training.export.int8_weights import rounded
from partimento.training.export.static_int8 import quantise
from partimento.training.export.writer import plain_card, quantized

__all__ = ["F32", "ExportedPart", "write_audio_model"]

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ExportedPart:
    """A graph in fp32 and real values (1, T, W) of its first input, as many as there are.

    ``feeds`` are real values of all inputs, in their place. ``is_live`` quantises activations as
    they come, for graphs with a cache; ``is_exact`` keeps the weights as they are.
    """

    graph: onnx.ModelProto
    samples: Sequence[F32] = ()
    feeds: Sequence[Mapping[str, npt.NDArray[Any]]] = ()
    is_live: bool = False
    is_exact: bool = False

    def small(self) -> onnx.ModelProto:
        """Return the graph that computes in int8.

        Without real values to show the range of activations, only its weights are kept in int8.
        """
        if self.is_exact:
            return self.graph
        if self.is_live:
            return quantized(self.graph)
        if self.feeds:
            return rounded(quantise(self.graph, self.feeds))
        if not self.samples:
            return rounded(self.graph)
        first, *states = self.graph.graph.input
        still = {each.name: np.zeros(_shape_of_one(each), dtype=np.float32) for each in states}
        return quantise(self.graph, [{first.name: values, **still} for values in self.samples])


def _shape_of_one(entry: onnx.ValueInfoProto) -> tuple[int, ...]:
    """Return the shape of an input for a batch of one."""
    return (1, *(axis.dim_value for axis in entry.type.tensor_type.shape.dim[1:]))


def write_audio_model(
    out: Path,
    config: Mapping[str, Any],
    parts: Mapping[str, ExportedPart],
    preset: Config,
    facts: Mapping[str, Any],
    precisions: tuple[str, ...],
) -> ModelFolder:
    """Write a model folder of several graphs; a part's file is ``PART.PRECISION.onnx``.

    ``config`` is what the performer must know; ``facts`` is what is known of the training.
    """
    files = {
        f"{name}.{kind}.onnx": (part.small() if kind == "int8" else part.graph).SerializeToString()
        for kind in precisions
        for name, part in parts.items()
    }
    whole: dict[str, Any] = {
        "name": out.name,
        **config,
        "parts": {name: {kind: f"{name}.{kind}.onnx" for kind in precisions} for name in parts},
        "preset": preset.model_dump(mode="json"),
        "trained": {key: value for key, value in facts.items() if key != "defaults"},
        "partimento": __version__,
    }
    learnt = f"({facts.get('minutes', 0):,} minutes of sound)"
    card = plain_card(whole, learnt, "Frechet distance of latents")
    return write_model_folder(out, whole, files, card)

"""From a trained network to a model folder."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import nn

from partimento import __version__
from partimento.config import Config
from partimento.errors import TrainingError
from partimento.representations.base import TokenRepresentation
from partimento.runtime.model_folder import MAIN_PART, ModelFolder, write_model_folder
from partimento.runtime.presets import RecurrentConfig, TokenPreset, TransformerConfig
from partimento.training.export.graph_builder import recurrent_graph, transformer_graph
from partimento.training.export.int8_weights import rounded, with_own_weights
from partimento.training.nn.relative_pitch import voice_pitches

__all__ = [
    "COPIES",
    "TokenModel",
    "export_token_model",
    "plain_card",
    "quantized",
    "token_graph",
    "write_model",
]

COPIES = "copies.index"  # the copy index of a run, under its ``training`` folder

_WINDOWS_OF_TRAINING = 2  # how much longer the cache is than the longest distance learnt


class TokenModel(Protocol):
    """What the export of a token network must know of it."""

    system: str
    network: nn.Module
    representation: TokenRepresentation
    vocabulary: int

    @property
    def preset(self) -> TokenPreset:
        """Its preset, of this class or one below."""
        ...

    @property
    def instruments(self) -> list[int]:
        """The instruments that the model may be asked to play; [] where it has none."""
        ...


def quantized(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph with the weights of its products in int8, activations quantised live."""
    with tempfile.TemporaryDirectory() as folder:
        full, small = Path(folder) / "full.onnx", Path(folder) / "small.onnx"
        onnx.save(model, full)
        with _quiet():
            quantize_dynamic(
                full,
                small,
                weight_type=QuantType.QInt8,
                per_channel=True,
                op_types_to_quantize=["MatMul", "LSTM"],
                nodes_to_exclude=_relative_products(model),
                extra_options={
                    "MatMulConstBOnly": True,
                    "DefaultTensorType": onnx.TensorProto.FLOAT,
                },
            )
        return with_own_weights(rounded(onnx.load(small)))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantiser's advice to pre-process the graph off the terminal."""
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.root.setLevel(level)


def _relative_products(model: onnx.ModelProto) -> list[str]:
    """Return the products with distance embeddings: they are batched by head, and stay fp32."""
    return [
        node.name
        for node in model.graph.node
        if node.op_type == "MatMul" and node.input[1].endswith(".distance")
    ]


class _Recorded(Mapping[str, npt.NDArray[np.float32]]):
    """Weights by name that know which of them were looked at."""

    def __init__(self, weights: Mapping[str, npt.NDArray[np.float32]]) -> None:
        self._weights, self.read = weights, set[str]()

    def __getitem__(self, name: str) -> npt.NDArray[np.float32]:
        self.read.add(name)
        return self._weights[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._weights)

    def __len__(self) -> int:
        return len(self._weights)


def token_graph(training_task: TokenModel) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """Return the fp32 graph of a token network and what the runtime must know of it.

    Raises:
        TrainingError: if the network has weights that the graph does not read: it would play
            another network than the one that was trained.
    """
    weights = _Recorded(
        {
            name: value.detach().float().cpu().numpy()
            for name, value in training_task.network.state_dict().items()
        }
    )
    graph, facts = _graph_and_facts(training_task, weights)
    learnt = {name for name, _ in training_task.network.named_parameters()}
    unread = sorted(learnt - weights.read)
    if unread:
        raise TrainingError(
            f"the graph of {training_task.system} does not read the weights {', '.join(unread[:3])}"
            "; a network of another shape needs its graph in training/export"
        )
    return graph, facts


def _graph_and_facts(
    training_task: TokenModel, weights: Mapping[str, npt.NDArray[np.float32]]
) -> tuple[onnx.ModelProto, dict[str, Any]]:
    config = training_task.preset.network
    features = len(training_task.representation.feature_sizes)
    facts: dict[str, Any] = {
        "vocabulary": training_task.vocabulary,
        "local_width": config.local_width,
    }
    if isinstance(config, RecurrentConfig):
        facts |= {"kind": "recurrent", "layers": config.layers, "width": config.width}
        return recurrent_graph(config, weights, features), facts
    assert isinstance(config, TransformerConfig)
    # By distances alone the cache may be longer than what was learnt at once.
    by_distance = config.attention in ("relative", "sliding")
    window = config.max_distance * (_WINDOWS_OF_TRAINING if by_distance else 1)
    if config.attention == "sliding":
        facts |= {"kind": "sliding", "span": config.max_distance}
    else:
        facts["kind"] = "transformer"
    facts |= {
        "layers": config.layers,
        "kv_heads": config.kv_heads,
        "head_width": config.head_width,
        "window": window,
    }
    pitches = voice_pitches(training_task.representation, config)
    return transformer_graph(config, weights, features, window, pitches), facts


def export_token_model(
    training_task: TokenModel,
    out: Path,
    facts: Mapping[str, Any],
    precisions: tuple[str, ...] = ("int8",),
    run: Path | None = None,
) -> ModelFolder:
    """Write the model folder of a token network; see ``write_model``."""
    full, network = token_graph(training_task)
    config: dict[str, Any] = {
        "system": training_task.system,
        "representation": training_task.representation.spec(),
        "network": network,
        "defaults": {**training_task.preset.defaults, **facts.get("defaults", {})},
    }
    if training_task.instruments:
        config["instruments"] = training_task.instruments
    return write_model(out, config, full, training_task, facts, precisions, run)


class _Trained(Protocol):
    network: nn.Module

    @property
    def preset(self) -> Any: ...


def write_model(
    out: Path,
    config: Mapping[str, Any],
    graph: onnx.ModelProto,
    training_task: _Trained,
    facts: Mapping[str, Any],
    precisions: tuple[str, ...],
    run: Path | None,
) -> ModelFolder:
    """Write a model folder with the precisions of a graph asked for; returns it opened.

    ``config`` is what the performer must know: system, representation, network, defaults.
    ``facts`` is what is known of the training: corpora, seed, steps, figures. ``run`` is the
    run's folder where that is not ``out``; its copy index goes along.
    """
    graphs = {"fp32": graph, "int8": quantized(graph)} if "int8" in precisions else {"fp32": graph}
    files = {f"{MAIN_PART}.{kind}.onnx": graphs[kind].SerializeToString() for kind in precisions}
    index = (run or out) / "training" / COPIES
    if index.exists():
        files[COPIES] = index.read_bytes()
    assert isinstance(training_task.preset, Config)
    whole: dict[str, Any] = {
        "name": out.name,
        **config,
        "parts": {MAIN_PART: {kind: f"{MAIN_PART}.{kind}.onnx" for kind in precisions}},
        "parameters": sum(weight.numel() for weight in training_task.network.parameters()),
        "preset": training_task.preset.model_dump(mode="json"),
        "trained": {key: value for key, value in facts.items() if key != "defaults"},
        "partimento": __version__,
    }
    if COPIES in files:
        whole["copy_index"] = COPIES
    card = plain_card(whole, f"for {facts.get('steps', 0):,} steps")
    return write_model_folder(out, whole, files, card)


def plain_card(config: Mapping[str, Any], learnt: str, validation: str = "loss") -> str:
    """Return the card of a model that a user trained.

    ``learnt`` says what it learnt and for how long, after ``trained on CORPORA``; ``validation``
    is what the figure of its validation measures.
    """
    trained = config["trained"]
    corpora = ", ".join(trained.get("corpora", [])) or "not recorded"
    return (
        f"---\nname: {config['name']}\nsystem: {config['system']}\n"
        f"licence: yours to choose\n---\n\n# {config['name']}\n\n"
        f"A {config['system']} model of {config['parameters']:,} parameters, "
        f"trained on {corpora} {learnt}.\n\n"
        f"- validation {validation}: {trained.get('valid_loss')}\n"
        "- data licences: those of the music it was trained on\n"
    )

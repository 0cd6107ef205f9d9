"""Generators of series as ONNX graphs, built node by node.

Inputs: ``noise`` (B, Z) and, for a scored generator, ``grain`` (B, L, N) and ``condition``
(B, L, F). Output: ``values`` (B, L, V).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto

from partimento.runtime.curves.generator import SeriesNetwork
from partimento.training.export.graph_builder import Graph

__all__ = ["generator_graph"]

Weights = Mapping[str, npt.NDArray[np.float32]]


def generator_graph(config: SeriesNetwork, weights: Weights) -> onnx.ModelProto:
    """Return the graph of a generator, free or scored."""
    graph = Graph(weights)
    steps = weights["places"].shape[0]
    graph.input("noise", TensorProto.FLOAT, ["B", config.latent])
    x = graph.linear("noise", "latent")  # (B, L W) if free, (B, W) if scored
    if config.kind == "free":
        x = graph.op("Reshape", x, graph.ints(-1, steps, config.width))
    else:
        features = weights["score.weight"].shape[1]
        graph.input("grain", TensorProto.FLOAT, ["B", steps, config.grain])
        graph.input("condition", TensorProto.FLOAT, ["B", steps, features])
        x = graph.op("Unsqueeze", x, graph.ints(1))  # (B, 1, W): the same at every step
        for name in ("grain", "condition"):
            layer = "score" if name == "condition" else name
            x = graph.op("Add", x, graph.linear(name, layer, bias=False))
    x = graph.op("Add", x, graph.weight("places"))
    for index in range(config.layers):
        name = f"blocks.{index}"
        x = graph.op("Add", x, _attention(graph, graph.norm(x, f"{name}.norm1"), name, config))
        inner = graph.linear(graph.norm(x, f"{name}.norm2"), f"{name}.up")
        x = graph.op("Add", x, graph.linear(graph.op("Gelu", inner), f"{name}.down"))
    if config.kind == "scored":
        x = graph.op("Tanh", graph.linear(graph.norm(x, "norm"), "head"))
    else:
        x = graph.linear(x, "head")
    graph.output(
        "values",
        _calibrated(graph, x),
        TensorProto.FLOAT,
        ["B", steps, weights["head.weight"].shape[0]],
    )
    return graph.model()


def _calibrated(graph: Graph, x: str) -> str:
    """Return (B, L, V): x through a line with bends for each value."""
    part = graph.op("Sub", graph.op("Unsqueeze", x, graph.ints(-1)), _calibration(graph, "knots"))
    bent = graph.op("Mul", graph.op("Relu", part), _calibration(graph, "bends"))
    total = graph.op("ReduceSum", bent, graph.ints(-1), keepdims=0)
    kept = graph.op("Mul", x, _calibration(graph, "keep"))
    return graph.op("Add", graph.op("Add", kept, _calibration(graph, "base")), total)


def _calibration(graph: Graph, name: str) -> str:
    return graph.weight(f"calibration.{name}")


def _attention(graph: Graph, x: str, block: str, config: SeriesNetwork) -> str:
    """Return (B, L, W): attention of all places to all."""
    depth = config.width // config.heads

    def split(part: str, order: list[int]) -> str:
        y = graph.linear(x, f"{block}.attention.{part}")
        y = graph.op("Reshape", y, graph.ints(0, 0, config.heads, depth))
        return graph.op("Transpose", y, perm=order)

    scale = graph.constant("scale", np.array(1.0 / np.sqrt(depth), dtype=np.float32))
    q = graph.op("Mul", split("query", [0, 2, 1, 3]), scale)  # (B, H, L, D)
    logits = graph.op("MatMul", q, split("key", [0, 2, 3, 1]))  # (B, H, L, L)
    mixed = graph.op("MatMul", graph.op("Softmax", logits, axis=-1), split("value", [0, 2, 1, 3]))
    joined = graph.op("Transpose", mixed, perm=[0, 2, 1, 3])
    joined = graph.op("Reshape", joined, graph.ints(0, 0, config.width))
    return graph.linear(joined, f"{block}.attention.out")

"""The network of a grid model as an ONNX graph; see ``systems/getmusic/networks.py``.

Inputs, int64: ``cells`` (B, S, T, 2), ``sounding`` (B, 3 (S - 1), T), ``features`` (B, T, 2),
``given`` (B, S), ``context`` (B, 2). Outputs: ``what`` (B, S, T, 129), ``length`` (B, S, T, 65).
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from partimento.representations.track_grid import LONGEST, UNKNOWN, TrackGrid
from partimento.runtime.presets import GridConfig
from partimento.training.export.graph_builder import MICROSOFT, Graph, Weights
from partimento.training.nn.attention import ROTARY_BASE

__all__ = ["grid_graph"]

_FLAGS = 3


def grid_graph(config: GridConfig, grid: TrackGrid, weights: Weights) -> onnx.ModelProto:
    """Return the graph of a ``GridTransformer``."""
    graph = Graph(weights)
    slots = grid.slots
    graph.input("cells", TensorProto.INT64, ["B", slots, "T", 2])
    graph.input("sounding", TensorProto.INT64, ["B", 3 * (slots - 1), "T"])
    graph.input("features", TensorProto.INT64, ["B", "T", 2])
    graph.input("given", TensorProto.INT64, ["B", slots])
    graph.input("context", TensorProto.INT64, ["B", 2])
    x = _columns(graph, config, slots)
    places = _rotary_tables(graph, config)
    for index in range(config.layers):
        x = _layer(graph, config, x, f"encoder.layers.{index}", places)
    x = graph.norm(x, "encoder.norm")
    cells = graph.linear(x, "cells")  # (B, T, 2 S E)
    split = graph.op("Reshape", cells, graph.ints(0, 0, 2, slots, config.head_width))
    split = graph.op("Transpose", graph.norm(split, "cell_norm"), perm=[2, 0, 3, 1, 4])
    for index, (half, size) in enumerate((("what", UNKNOWN), ("length", 1 + LONGEST))):
        part = graph.op("Gather", split, _number(graph, index), axis=0)  # (B, S, T, head_width)
        bias = graph.constant(f"{half}_bias", weights[f"{half}_bias"][:, None])
        logits = graph.op("Add", graph.linear(part, f"say_{half}", bias=False), bias)
        if half == "what":
            # Tied weights: likeness to a value's input embedding adds to its logit.
            alike = graph.linear(part, "alike", bias=False)
            rows = graph.constant("what.rows", weights["what.weight"][:UNKNOWN].T)
            logits = graph.op("Add", logits, graph.op("MatMul", alike, rows))
        graph.output(half, logits, TensorProto.FLOAT, ["B", slots, "T", size])
    return graph.model()


def _number(graph: Graph, value: int) -> str:
    return graph.constant(f"number_{value}", np.array(value, dtype=np.int64))


def _rows(graph: Graph, table: str, index: str) -> str:
    return graph.op("Gather", graph.weight(f"{table}.weight"), index, axis=0)


def _columns(graph: Graph, config: GridConfig, slots: int) -> str:
    """Return (B, T, D): the embedding of every column."""
    what = graph.op("Gather", "cells", _number(graph, 0), axis=3)  # (B, S, T)
    length = graph.op("Gather", "cells", _number(graph, 1), axis=3)
    parts = []
    for half, table, last in ((what, "what", "root"), (length, "length", "quality")):
        tracks = graph.op("Slice", half, graph.ints(0), graph.ints(slots - 1), graph.ints(1))
        chords = graph.op("Slice", half, graph.ints(slots - 1), graph.ints(slots), graph.ints(1))
        parts += [_rows(graph, table, tracks), _rows(graph, last, chords)]
    every = graph.op("Concat", *parts, _rows(graph, "what", "sounding"), axis=1)
    every = graph.op("Transpose", every, perm=[0, 2, 1, 3])  # (B, T, 5S - 3, E)
    joined = graph.op("Reshape", every, graph.ints(0, 0, (5 * slots - 3) * config.cell_width))
    near = graph.op("Transpose", graph.linear(joined, "near", bias=False), perm=[0, 2, 1])
    nearby = graph.op(
        "Conv", near, graph.weight("nearby.weight"), pads=[config.reach, config.reach]
    )
    x = graph.op(
        "Add",
        graph.linear(joined, "join", bias=False),
        graph.op("Transpose", nearby, perm=[0, 2, 1]),
    )
    for index, table in enumerate(("place", "bar")):
        feature = graph.op("Gather", "features", _number(graph, index), axis=2)
        x = graph.op("Add", x, _rows(graph, table, feature))
    offsets = graph.constant("slot_flags", np.arange(slots, dtype=np.int64) * _FLAGS)
    flags = _rows(graph, "flags", graph.op("Add", "given", offsets))  # (B, S, D)
    whole = graph.op("ReduceSum", flags, graph.ints(1), keepdims=0)
    for index, table in enumerate(("time", "ensemble")):
        about = graph.op("Gather", "context", _number(graph, index), axis=1)
        whole = graph.op("Add", whole, _rows(graph, table, about))
    return graph.op("Add", x, graph.op("Unsqueeze", whole, graph.ints(1)))


def _rotary_tables(graph: Graph, config: GridConfig) -> tuple[str, str, str]:
    """Return the places (1, T) and the tables of cosines and sines (window, D/2)."""
    width = config.width // config.heads
    exponent = np.arange(0, width, 2, dtype=np.float32) / width
    angle = np.arange(config.window, dtype=np.float32)[:, None] * ROTARY_BASE**-exponent
    cos = graph.constant("cosines", np.cos(angle).astype(np.float32))
    sin = graph.constant("sines", np.sin(angle).astype(np.float32))
    first = graph.constant("first_place", np.zeros(1, dtype=np.int64))
    return first, cos, sin


def _layer(
    graph: Graph, config: GridConfig, x: str, name: str, places: tuple[str, str, str]
) -> str:
    """Return one encoder layer over x (B, T, D)."""
    y = graph.norm(x, f"{name}.norm1")
    turned = [
        graph.op(
            "RotaryEmbedding", graph.linear(y, f"{name}.{part}", bias=False), *places,
            domain=MICROSOFT, num_heads=config.heads, rotary_embedding_dim=0,
        )
        for part in ("query", "key")
    ]  # fmt: skip
    value = graph.linear(y, f"{name}.value", bias=False)
    mixed = graph.op("MultiHeadAttention", *turned, value, domain=MICROSOFT, num_heads=config.heads)
    x = graph.op("Add", x, graph.linear(mixed, f"{name}.out", bias=False))
    inner = graph.op("Relu", graph.linear(graph.norm(x, f"{name}.norm2"), f"{name}.up"))
    return graph.op("Add", x, graph.linear(inner, f"{name}.down"))

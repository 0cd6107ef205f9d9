"""Token networks as ONNX graphs, built node by node so that the cache is updated in place.

``torch.onnx.export`` cannot say "attention over a cache that is also the output": here one
``GroupQueryAttention`` a layer does it, with no copy of the cache and one call a layer, which at
one place a step costs more than its arithmetic.

Shapes: B streams, S places in this call, T = ``total`` places in the cache after it, C columns, V
tokens, H query heads, G key and value heads, D head width, M ``max_distance`` rows of distance
embeddings.

Inputs: ``columns`` (B, S, C) int64, the last S places; ``past`` (B,) int32, the tokens in the cache
after this call less one; ``total`` (1,) int32, the tokens in the cache after this call; and the
state: for attention ``key_i``, ``value_i`` (B, G, window, D), for an LSTM ``h_i``, ``c_i``
(1, B, width). Outputs: ``logits`` (B, S, V) and the new state under ``new_`` names; key and value
outputs may be bound to the memory of their inputs.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from partimento.runtime.presets import RecurrentConfig, TransformerConfig
from partimento.training.nn.relative_pitch import VoicePitches

__all__ = ["MICROSOFT", "Graph", "Weights", "recurrent_graph", "transformer_graph"]

Weights = Mapping[str, npt.NDArray[np.float32]]
MICROSOFT = "com.microsoft"
_ROTARY_BASE = 10000.0


class Graph:
    """Collects nodes and constants; every method returns the name of what it made."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self._count = 0

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: object) -> str:
        """Add a node of one output and return its name."""
        return self.ops(kind, 1, *inputs, domain=domain, **attributes)[0]

    def ops(
        self, kind: str, outputs: int, *inputs: str, domain: str = "", **attributes: object
    ) -> list[str]:
        """Add a node and return the names of its outputs."""
        self._count += 1
        names = [f"{kind}_{self._count}_{index}" for index in range(outputs)]
        self.nodes.append(
            helper.make_node(
                kind, list(inputs), names, name=f"{kind}_{self._count}", domain=domain, **attributes
            )
        )
        return names

    def constant(self, name: str, value: npt.NDArray[np.generic]) -> str:
        """Return the name of a constant, added once."""
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.asarray(value, order="C"), name)
        return name

    def ints(self, *values: int) -> str:
        """Return the name of a constant of integers (n,)."""
        text = "_".join(str(value) for value in values)
        return self.constant(f"ints_{text}", np.array(values, dtype=np.int64))

    def weight(self, name: str, transpose: bool = False) -> str:
        """Return the name of a weight, transposed for a product from the left."""
        value = self.weights[name]
        return self.constant(name, value.T if transpose else value)

    def linear(self, x: str, name: str, bias: bool = True) -> str:
        """Return x W^T + b, as ``nn.Linear`` has it."""
        y = self.op("MatMul", x, self.weight(f"{name}.weight", transpose=True))
        return self.op("Add", y, self.weight(f"{name}.bias")) if bias else y

    def norm(self, x: str, name: str) -> str:
        """Return the layer norm over the last axis."""
        return self.op(
            "LayerNormalization",
            x,
            self.weight(f"{name}.weight"),
            self.weight(f"{name}.bias"),
            axis=-1,
            epsilon=1e-5,
        )

    def input(self, name: str, kind: int, shape: list[str | int]) -> None:
        """Declare an input of the graph."""
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))

    def output(self, name: str, source: str, kind: int, shape: list[str | int]) -> None:
        """Declare ``source`` as an output called ``name``."""
        for node in self.nodes:
            for index, made in enumerate(node.output):
                if made == source:
                    node.output[index] = name
        self.outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def embedding(self, local_width: int, features: int) -> str:
        """Return (B, S, width); see ``training/nn/embedding.py``."""
        recent = self.op("Slice", "columns", self.ints(0), self.ints(local_width), self.ints(2))
        rows = self.op("Gather", self.weight("embedding.token.weight"), recent, axis=0)
        joined = self.op("Reshape", rows, self.ints(0, 0, -1))
        x = self.linear(joined, "embedding.local", bias=False)
        for index in range(features):
            at = self.constant(f"column_{index}", np.array(local_width + index, dtype=np.int64))
            column = self.op("Gather", "columns", at, axis=2)
            table = self.weight(f"embedding.features.{index}.weight")
            x = self.op("Add", x, self.op("Gather", table, column, axis=0))
        return x

    def intervals(self, local_width: int, pitches: VoicePitches, vocabulary: int) -> str:
        """Return (B, S, width); see ``IntervalEmbedding`` (``training/nn/relative_pitch.py``)."""
        recent = self.op("Slice", "columns", self.ints(0), self.ints(local_width), self.ints(2))
        own = self.op("Gather", "columns", self.ints(pitches.voices - 1), axis=2)  # (B, S, 1)
        # Row and column of the table of intervals as one index: a Gather has one.
        pair = self.op("Add", self.op("Mul", own, self.ints(vocabulary)), recent)
        flat = self.constant("interval_pairs", pitches.intervals(vocabulary).reshape(-1))
        places = self.constant("interval_places", np.arange(local_width) * pitches.rows)
        rows = self.op("Add", self.op("Gather", flat, pair, axis=0), places)
        found = self.op("Gather", self.weight("intervals.table.weight"), rows, axis=0)
        joined = self.op("Reshape", found, self.ints(0, 0, -1))
        return self.linear(joined, "intervals.local", bias=False)

    def relative_head(self, x: str, references: int, pitches: VoicePitches, vocabulary: int) -> str:
        """Return (B, S, V); see ``RelativeHead`` (``training/nn/relative_pitch.py``)."""
        scores = self.linear(x, "relative_head.linear")
        scores = self.op("Reshape", scores, self.ints(0, 0, references, pitches.rows))
        columns = self.ints(*pitches.references(references))
        tokens = self.op("Gather", "columns", columns, axis=2)  # (B, S, R)
        table = self.constant("intervals", pitches.intervals(vocabulary))
        rows = self.op("Gather", table, tokens, axis=0)  # (B, S, R, V)
        each = self.op("GatherElements", scores, rows, axis=3)
        return self.op("ReduceSum", each, self.ints(2), keepdims=0)

    def model(self) -> onnx.ModelProto:
        """Return the whole as a model."""
        graph = helper.make_graph(
            self.nodes, "partimento", self.inputs, self.outputs, list(self.constants.values())
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid(MICROSOFT, 1)],
            producer_name="partimento",
        )
        model.ir_version = 10
        return model


class _Attention:
    """The attention of one layer over the in-place cache, by ``GroupQueryAttention``."""

    def __init__(self, graph: Graph, config: TransformerConfig, window: int) -> None:
        self.graph, self.config, self.window = graph, config, window
        self.head_width = config.head_width
        self.step: str = ""  # S, as (1,) int64
        self.total: str = ""  # T, as (1,) int64

    def places(self) -> None:
        """Make S and T as tensors; once for all layers.

        A graph has no Python integers of sizes that are free: they are tensors of one number.
        """
        graph = self.graph
        self.step = graph.op("Shape", "columns", start=1, end=2)
        self.total = graph.op("Cast", "total", to=TensorProto.INT64)

    def absolute(self, x: str) -> str:
        """Return x with the sinusoid of each place added: rows T - S to T of the table."""
        graph, config = self.graph, self.config
        at = np.arange(self.window, dtype=np.float32)[:, None]
        rate = np.exp(np.arange(0, config.width, 2) * (-np.log(10000.0) / config.width))
        table = np.stack([np.sin(at * rate), np.cos(at * rate)], axis=-1)
        rows = graph.constant("sinusoids", table.reshape(self.window, -1).astype(np.float32))
        first = graph.op("Sub", self.total, self.step)
        return graph.op("Add", x, graph.op("Slice", rows, first, self.total, graph.ints(0)))

    def relative_bias(self, q: str, name: str) -> str:
        """Return (B, H, S, T): q_i . e_(j-i) / sqrt(D), by skewing (Music Transformer 3.4.1).

        Row i of the S new places is place T - S + i of the cache. Of ``by_distance`` (S, T), whose
        last column is distance 0, entry (i, j) is wanted where column T - 1 - (place - j) stands:
        each row is shifted left by S - 1 - i. One column of zeros in front makes rows T + 1 long;
        cut after the first S numbers of the flat whole and folded to rows of T again, every row
        has moved one place further left than the row below it. What comes in from the right is
        the future (j > place), which the kernel hides.
        """
        graph, heads, depth = self.graph, self.config.heads, self.head_width
        split = graph.op("Reshape", q, graph.ints(0, 0, heads, depth))
        split = graph.op("Transpose", split, perm=[0, 2, 1, 3])  # (B, H, S, D)
        # The kernel adds the bias to logits that are scaled already.
        scaled = self.graph.weights[f"{name}.distance"] / np.sqrt(np.float32(depth))
        table = graph.constant(f"{name}.distance", scaled.transpose(0, 2, 1))  # (H, D, M)
        by_distance = graph.op("MatMul", split, table)  # (B, H, S, M)
        rows = self.config.max_distance
        if "distance_rows" not in graph.constants:
            # Row of each of the last ``window`` distances; the farthest row serves all beyond it.
            index = np.maximum(0, np.arange(self.window, dtype=np.int64) + rows - self.window)
            graph.constant("distance_rows", index)
        first = graph.op("Sub", graph.ints(self.window), self.total)
        wanted = graph.op("Slice", "distance_rows", first, graph.ints(self.window), graph.ints(0))
        chosen = graph.op("Gather", by_distance, wanted, axis=3)  # (B, H, S, T)
        # (B, H, S, T + 1) -> (B, H, S (T + 1)) -> without the first S -> (B, H, S, T)
        padded = graph.op("Pad", chosen, graph.ints(0, 0, 0, 1, 0, 0, 0, 0))
        flat = graph.op("Reshape", padded, graph.ints(0, heads, -1))
        end = graph.ints(2**62)
        shifted = graph.op("Slice", flat, self.step, end, graph.ints(2))
        shape = graph.op("Concat", graph.ints(0, heads), self.step, self.total, axis=0)
        return graph.op("Reshape", shifted, shape)

    def layer(self, x: str, index: int) -> str:
        """Return the attention of layer ``index`` over x (B, S, width), before the skip."""
        graph, config = self.graph, self.config
        name = f"blocks.{index}.attention"
        # One product for all three: a call costs more than its arithmetic at one place a step.
        parts = [graph.weights[f"{name}.{part}.weight"] for part in ("query", "key", "value")]
        packed = graph.op("MatMul", x, graph.constant(f"{name}.qkv", np.concatenate(parts).T))
        cache: list[str | int] = ["B", config.kv_heads, self.window, self.head_width]
        for part in ("key", "value"):
            graph.input(f"{part}_{index}", TensorProto.FLOAT, cache)
        cos = sin = bias = ""
        rotary = config.attention == "rotary"
        if rotary:  # the kernel turns queries and keys itself, by tables over the whole window
            rate = _ROTARY_BASE ** -(np.arange(0, self.head_width, 2) / self.head_width)
            angle = np.arange(self.window)[:, None] * rate
            cos = graph.constant("cos", np.cos(angle).astype(np.float32))
            sin = graph.constant("sin", np.sin(angle).astype(np.float32))
        elif config.attention in ("relative", "sliding"):
            end = graph.ints(config.query_width)
            q = graph.op("Slice", packed, graph.ints(0), end, graph.ints(2))
            bias = self.relative_bias(q, name)
        # Inputs in order: packed q k v, two empty (k and v apart), the cache, its lengths, rotary
        # tables, no position ids, the bias. The kernel is causal and appends S places to the cache;
        # with ``local_window_size`` n each place sees itself and the n - 1 before it.
        out, new_key, new_value = graph.ops(
            "GroupQueryAttention", 3, packed, "", "", f"key_{index}", f"value_{index}", "past",
            "total", cos, sin, "", bias, domain=MICROSOFT, num_heads=config.heads,
            kv_num_heads=config.kv_heads, do_rotary=int(rotary),
            local_window_size=config.max_distance if config.attention == "sliding" else -1,
        )  # fmt: skip
        graph.output(f"new_key_{index}", new_key, TensorProto.FLOAT, cache)
        graph.output(f"new_value_{index}", new_value, TensorProto.FLOAT, cache)
        return graph.linear(out, f"{name}.out", bias=False)


def transformer_graph(
    config: TransformerConfig,
    weights: Weights,
    features: int,
    window: int,
    pitches: VoicePitches | None = None,
) -> onnx.ModelProto:
    """Return the graph of a ``CausalTransformer``; ``window`` is the cache's size in tokens.

    ``pitches`` are those of its relative pitch, where it has that.
    """
    vocabulary = weights["head.weight"].shape[0]
    graph = Graph(weights)
    graph.input("columns", TensorProto.INT64, ["B", "S", config.local_width + features])
    graph.input("past", TensorProto.INT32, ["B"])
    graph.input("total", TensorProto.INT32, [1])
    attention = _Attention(graph, config, window)
    attention.places()
    x = graph.embedding(config.local_width, features)
    if pitches is not None and config.relative_inputs:
        x = graph.op("Add", x, graph.intervals(config.local_width, pitches, vocabulary))
    if config.attention == "absolute":
        x = attention.absolute(x)
    for index in range(config.layers):
        mixed = attention.layer(graph.norm(x, f"blocks.{index}.norm1"), index)
        x = graph.op("Add", x, mixed)
        inner = graph.linear(graph.norm(x, f"blocks.{index}.norm2"), f"blocks.{index}.up")
        x = graph.op("Add", x, graph.linear(graph.op("Relu", inner), f"blocks.{index}.down"))
    x = graph.norm(x, "norm")
    logits = graph.linear(x, "head")
    if pitches is not None and config.relative_outputs:
        relative = graph.relative_head(x, config.relative_outputs, pitches, vocabulary)
        logits = graph.op("Add", logits, relative)
    graph.output("logits", logits, TensorProto.FLOAT, ["B", "S", vocabulary])
    return graph.model()


def recurrent_graph(config: RecurrentConfig, weights: Weights, features: int) -> onnx.ModelProto:
    """Return the graph of a ``CausalLSTM``."""
    graph = Graph(weights)
    graph.input("columns", TensorProto.INT64, ["B", "S", config.local_width + features])
    x = graph.embedding(config.local_width, features)
    x = graph.op("Transpose", x, perm=[1, 0, 2])  # (S, B, width): ONNX puts time first
    state: list[str | int] = [1, "B", config.width]
    for index in range(config.layers):
        for part in ("h", "c"):
            graph.input(f"{part}_{index}", TensorProto.FLOAT, state)
        name = f"layers.{index}"
        kernel, recurrence, bias = _onnx_lstm(weights, name)
        y, new_h, new_c = graph.ops(
            "LSTM", 3, x,
            graph.constant(f"{name}.W", kernel), graph.constant(f"{name}.R", recurrence),
            graph.constant(f"{name}.B", bias), "", f"h_{index}", f"c_{index}",
            hidden_size=config.width,
        )  # fmt: skip
        graph.output(f"new_h_{index}", new_h, TensorProto.FLOAT, state)
        graph.output(f"new_c_{index}", new_c, TensorProto.FLOAT, state)
        x = graph.op("Squeeze", y, graph.ints(1))  # (S, 1, B, width): without the direction
    logits = graph.linear(graph.op("Transpose", x, perm=[1, 0, 2]), "head")
    vocabulary = weights["head.weight"].shape[0]
    graph.output("logits", logits, TensorProto.FLOAT, ["B", "S", vocabulary])
    return graph.model()


def _onnx_lstm(
    weights: Weights, name: str
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return W, R, B with the gates in ONNX's order (i, o, f, cell) from torch's (i, f, g, o)."""

    def gates(part: str) -> npt.NDArray[np.float32]:
        i, f, g, o = np.split(weights[f"{name}.{part}"], 4)
        return np.concatenate([i, o, f, g])

    bias = np.concatenate([gates("bias_ih_l0"), gates("bias_hh_l0")])
    return gates("weight_ih_l0")[None], gates("weight_hh_l0")[None], bias[None]

"""Graphs of codecs and priors over codes, built node by node.

::

    encoder_l     features (B, m, frames, bins) -> codes (B, n)
    decoder_l     codes (B, n)                  -> frames (B, T, 2, bins), noise (B, T, bands)
    conditions_l  artist, genres, upper/time    -> conditions (B, L, W), the start in the first
    prior_l       codes (B, S) of one row, their conditions, what is remembered
                                                -> logits (B, V) of the next code, new memory

A prior remembers, of its layers by their patterns, the row in hand, every column and the row before
(``runtime/audio_tokens/prior.py``), so that a step costs the same wherever it is in the window:
memory is (layers of the pattern, 2, B, ..), keys and values of the row in hand (.., row, A), of the
columns of the places (.., S, rows, A), of the row before (.., row, A). Masks are 0 where something
is to be seen and far below elsewhere. Code V, one more than there are, stands before the first.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto
from torch import nn

from partimento.representations.sound_labels import GENRES_AT_MOST
from partimento.training.export.graph_builder import Graph
from partimento.training.nn.code_prior import CodePrior, dilations
from partimento.training.nn.codec import NOISE_BANDS, SURE, UNSURE
from partimento.training.nn.factored_attention import PATTERNS
from partimento.training.nn.spectral_vqvae import SpectralVQVAE

__all__ = ["conditions_graph", "decoder_graph", "encoder_graph", "prior_graph"]

F32 = npt.NDArray[np.float32]
_FLOAT, _INT = TensorProto.FLOAT, TensorProto.INT64


def _weights(part: nn.Module) -> dict[str, F32]:
    """Return the weights of a part, the scale of each block folded into its last product."""
    found = {
        name: value.detach().float().cpu().numpy() for name, value in part.state_dict().items()
    }
    for name in [name for name in found if name.endswith(".scale")]:
        # scale (W x + b): a factor for each row of W and b
        scale, down = found.pop(name), name.removesuffix("scale") + "down"
        found[f"{down}.weight"] = found[f"{down}.weight"] * scale[:, None]
        found[f"{down}.bias"] = found[f"{down}.bias"] * scale
    return found


class _CodeGraph(Graph):
    """What encoders, decoders and conditioners have in common."""

    def stack(self, x: str, name: str) -> str:
        """Return (B, T, W) after a `CentredStack`."""
        block = 0
        while f"{name}.{block}.up.weight" in self.weights:
            x = self._block(x, f"{name}.{block}")
            block += 1
        return x

    def _block(self, x: str, name: str) -> str:
        kernel = self.weights[f"{name}.depthwise.weight"]
        width, size = kernel.shape[0], kernel.shape[2]
        # Time as the height of a picture one wide: ONNX Runtime has its fast convolution for that.
        tall = self.op("Transpose", self.op("Unsqueeze", x, self.ints(2)), perm=[0, 3, 1, 2])
        weight = self.constant(f"{name}.depthwise.weight", kernel[..., None])
        bias = self.weight(f"{name}.depthwise.bias")
        around = size // 2
        y = self.op(
            "Conv", tall, weight, bias, group=width, kernel_shape=[size, 1],
            pads=[around, 0, around, 0],
        )  # fmt: skip
        y = self.op("Squeeze", self.op("Transpose", y, perm=[0, 2, 3, 1]), self.ints(2))
        y = self.op("Gelu", self.linear(self.norm(y, f"{name}.norm"), f"{name}.up"))
        return self.op("Add", x, self.linear(y, f"{name}.down"))

    def convolution(self, x: str, name: str, dilation: int = 1) -> str:
        """Return (B, W, T) after a convolution that keeps the length."""
        size = self.weights[f"{name}.weight"].shape[2]
        around = dilation * (size // 2)
        return self.op(
            "Conv", x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias"),
            kernel_shape=[size], dilations=[dilation], pads=[around, around],
        )  # fmt: skip


def encoder_graph(codec: SpectralVQVAE) -> onnx.ModelProto:
    """Return the graph of an encoder; the scaling of its features is folded into a product."""
    config, weights = codec.config, _weights(codec.encoder)
    mean, deviation = weights.pop("scaling.mean"), weights.pop("scaling.deviation")
    enter = weights["enter.weight"] / deviation
    weights["enter.bias"] = np.subtract(weights["enter.bias"], enter @ mean, dtype=np.float32)
    weights["enter.weight"] = enter
    graph = _CodeGraph(weights)
    graph.input("features", _FLOAT, ["B", "m", config.frames(codec.level), config.bins])
    x = graph.op("Reshape", "features", graph.ints(0, -1, config.bins))
    x = graph.stack(graph.linear(x, "enter"), "stacks.0")
    for at, many in enumerate(config.joins(codec.level)):
        x = graph.op("Reshape", x, graph.ints(0, -1, many * config.encoder_widths[codec.level]))
        x = graph.stack(graph.linear(x, f"joined.{at}"), f"stacks.{at + 1}")
    x = graph.linear(x, "leave")
    x = graph.op("Reshape", x, graph.ints(0, -1, config.code_width))
    book = codec.quantiser.get_buffer("codebook").detach().float().cpu().numpy()
    # The nearest entry e has the least |e|^2 - 2 x e: the largest 2 x e - |e|^2.
    twice = graph.constant("codebook", 2 * book.T)
    near = graph.op("MatMul", x, twice)
    near = graph.op("Sub", near, graph.constant("squares", (book**2).sum(1)))
    codes = graph.op("ArgMax", near, axis=-1, keepdims=0)
    graph.output("codes", codes, _INT, ["B", "n"])
    return graph.model()


def decoder_graph(codec: SpectralVQVAE) -> onnx.ModelProto:
    """Return the graph of a decoder; levels leave its last product as they are."""
    config, weights = codec.config, _weights(codec.decoder)
    mean, deviation = weights.pop("scaling.mean"), weights.pop("scaling.deviation")
    bins = config.bins
    head, bias = weights["head.weight"].copy(), weights["head.bias"].copy()
    head[:bins] *= deviation[:, None]
    bias[:bins] = bias[:bins] * deviation + mean
    weights |= {"head.weight": head, "head.bias": bias}
    graph = _CodeGraph(weights)
    graph.input("codes", _INT, ["B", "n"])
    book = codec.quantiser.get_buffer("codebook").detach().float().cpu().numpy()
    x = graph.op("Gather", graph.constant("codebook", book), "codes", axis=0)
    x = graph.op("Reshape", x, graph.ints(0, -1, config.split(codec.level) * config.code_width))
    x = graph.stack(graph.linear(x, "enter"), "stacks.0")
    for at, _ in enumerate(config.joins(codec.level)):
        x = graph.op("Reshape", graph.linear(x, f"split.{at}"), graph.ints(0, -1, config.width))
        x = graph.stack(x, f"stacks.{at + 1}")
    said = graph.op("Reshape", graph.linear(x, "head"), graph.ints(0, 0, 2, bins))
    graph.output("frames", said, _FLOAT, ["B", "T", 2, bins])
    sure = graph.op("Sigmoid", graph.linear(x, "noise"))
    # Clip((SURE - s) / (SURE - UNSURE), 0, 1): sure of a phase is no noise, unsure is all noise.
    least = graph.constant("sure", np.array(SURE, dtype=np.float32))
    span = graph.constant("span", np.array(1 / (SURE - UNSURE), dtype=np.float32))
    amount = graph.op("Mul", graph.op("Sub", least, sure), span)
    zero, one = (graph.constant(f"f{at}", np.array(at, dtype=np.float32)) for at in (0, 1))
    amount = graph.op("Clip", amount, zero, one)
    graph.output("noise", amount, _FLOAT, ["B", "T", NOISE_BANDS])
    return graph.model()


def conditions_graph(prior: CodePrior) -> onnx.ModelProto:
    """Return the graph of what a prior is told beside its own codes."""
    config, graph = prior.config, _CodeGraph(_weights(prior))
    graph.input("artist", _INT, ["B"])
    graph.input("genres", _INT, ["B", GENRES_AT_MOST])
    if prior.upper is not None:
        graph.input("told", _INT, ["B", "n"])
        added = _upper(graph, prior)
    else:
        graph.input("told", _INT, ["B", "L", 3])
        parts = []
        for at in range(3):
            place = graph.constant(f"column_{at}", np.array(at, dtype=np.int64))
            bins = graph.op("Gather", "told", place, axis=2)
            rows = graph.weight(f"timing.tables.{at}.weight")
            parts.append(graph.op("Gather", rows, bins, axis=0))
        added = graph.op("Sum", *parts)
    length = graph.op("Shape", added, start=1, end=2)
    places = graph.op("Slice", graph.weight("positions"), graph.ints(0), length, graph.ints(0))
    added = graph.op("Add", added, places)
    start = graph.op("Gather", graph.weight("artists.weight"), "artist", axis=0)
    table = graph.weights.get("genres.weight", np.zeros((1, config.width), dtype=np.float32)).copy()
    table[0] = 0  # no genre
    rows = graph.op("Gather", graph.constant("genres.weight", table), "genres", axis=0)
    start = graph.op("Add", start, graph.op("ReduceSum", rows, graph.ints(1), keepdims=0))
    start = graph.op("Unsqueeze", start, graph.ints(1))
    first = graph.op(
        "Add", graph.op("Slice", added, graph.ints(0), graph.ints(1), graph.ints(1)), start
    )
    rest = graph.op("Slice", added, graph.ints(1), graph.ints(2**62), graph.ints(1))
    whole = graph.op("Concat", first, rest, axis=1)
    graph.output("conditions", whole, _FLOAT, ["B", "L", config.width])
    return graph.model()


def _upper(graph: _CodeGraph, prior: CodePrior) -> str:
    """Return (B, L, W): what the codes above say; see `UpperConditioner`."""
    config = prior.config
    x = graph.op("Gather", graph.weight("upper.embedding.weight"), "told", axis=0)
    x = graph.op("Transpose", x, perm=[0, 2, 1])
    for at, rate in enumerate(dilations(config.conditioner_depth, config.conditioner_cycle)):
        y = graph.convolution(graph.op("Relu", x), f"upper.blocks.{at}.near", rate)
        y = graph.convolution(graph.op("Relu", y), f"upper.blocks.{at}.leave")
        x = graph.op("Add", x, y)
    at = 0
    while (name := f"upper.ups.{at}.weight") in graph.weights:
        by = graph.weights[name].shape[2] // 2
        x = graph.op(
            "ConvTranspose", x, graph.weight(name), graph.weight(f"upper.ups.{at}.bias"),
            kernel_shape=[2 * by], strides=[by], pads=[by // 2, by // 2], output_padding=[by % 2],
        )  # fmt: skip
        at += 1
    x = graph.linear(graph.op("Transpose", x, perm=[0, 2, 1]), "upper.leave")
    return graph.norm(x, "upper.norm")


class _PriorGraph(Graph):
    """The layers of a prior, each with what its pattern remembers."""

    def __init__(self, prior: CodePrior) -> None:
        super().__init__(_weights(prior))
        self.config = prior.config
        self.made: dict[str, list[str]] = {pattern: [] for pattern in PATTERNS}
        self.masks: dict[str, str] = {}  # of each pattern; "" hides nothing

    def layer(self, x: str, at: int) -> str:
        """Return (B, S, W) after a layer."""
        name, pattern = f"layers.{at}", PATTERNS[at % 3]
        normed = self.norm(x, f"{name}.norm")
        parts = self.ops("Split", 3, self.linear(normed, f"{name}.attend"), axis=-1, num_outputs=3)
        q, k, v = parts
        new = self.op(
            "Concat", *(self.op("Unsqueeze", each, self.ints(0)) for each in (k, v)), axis=0
        )
        self.made[pattern].append(self.op("Unsqueeze", new, self.ints(0)))
        memory = {"row": "row", "column": "column", "previous_row": "previous"}[pattern]
        which = self.constant(f"layer_{at // 3}", np.array(at // 3, dtype=np.int64))
        kept = self.op("Gather", memory, which, axis=0)
        old = [
            self.op("Gather", kept, self.constant(f"half_{half}", np.array(half)), axis=0)
            for half in range(2)
        ]
        if pattern == "row":
            keys = [self.op("Concat", *pair, axis=1) for pair in zip(old, (k, v), strict=True)]
            seen = self._seen(q, keys[0], keys[1], self.masks[pattern])
        elif pattern == "column":
            own = [self.op("Unsqueeze", each, self.ints(2)) for each in (k, v)]
            keys = [self.op("Concat", *pair, axis=2) for pair in zip(old, own, strict=True)]
            seen = self._down(q, keys[0], keys[1], self.masks[pattern])
        else:
            seen = self._seen(q, old[0], old[1], "")
        x = self.op("Add", x, self.linear(seen, f"{name}.merge"))
        inner = self.op("Gelu", self.linear(self.norm(x, f"{name}.norm_2"), f"{name}.up"))
        return self.op("Add", x, self.linear(inner, f"{name}.down"))

    def _weighted(self, q: str, keys: str, values: str, mask: str) -> str:
        """Return attention of (.., S, D) at (.., N, D)."""
        depth = self.config.attention_width // self.config.heads
        scale = self.constant("scale", np.array(depth**-0.5, dtype=np.float32))
        axes = [0, 1, 2, 4, 3] if mask == self.masks["column"] else [0, 1, 3, 2]
        logits = self.op("MatMul", self.op("Mul", q, scale), self.op("Transpose", keys, perm=axes))
        if mask:
            logits = self.op("Add", logits, mask)
        return self.op("MatMul", self.op("Softmax", logits, axis=-1), values)

    def _seen(self, q: str, keys: str, values: str, mask: str) -> str:
        """Return (B, S, A): queries (B, S, A) at keys (B, N, A)."""
        shape = self.ints(0, 0, self.config.heads, -1)
        q, keys, values = (
            self.op("Transpose", self.op("Reshape", each, shape), perm=[0, 2, 1, 3])
            for each in (q, keys, values)
        )
        seen = self.op("Transpose", self._weighted(q, keys, values, mask), perm=[0, 2, 1, 3])
        return self.op("Reshape", seen, self.ints(0, 0, -1))

    def _down(self, q: str, keys: str, values: str, mask: str) -> str:
        """Return (B, S, A): each query (B, S, A) at the keys (B, S, N, A) of its own column."""
        heads = self.config.heads
        q = self.op("Reshape", q, self.ints(0, 0, heads, 1, -1))  # (B, S, H, 1, D)
        keys, values = (
            self.op(
                "Transpose",
                self.op("Reshape", each, self.ints(0, 0, 0, heads, -1)),
                perm=[0, 1, 3, 2, 4],
            )
            for each in (keys, values)
        )  # (B, S, H, N, D)
        return self.op("Reshape", self._weighted(q, keys, values, mask), self.ints(0, 0, -1))


def prior_graph(prior: CodePrior) -> onnx.ModelProto:
    """Return the graph of some steps of a prior."""
    config, graph = prior.config, _PriorGraph(prior)
    row, rows, width = config.row, config.window // config.row, config.attention_width
    count = {each: len(range(at, config.layers, 3)) for at, each in enumerate(PATTERNS)}
    graph.input("codes", _INT, ["B", "S"])
    graph.input("conditions", _FLOAT, ["B", "S", config.width])
    graph.input("row", _FLOAT, [count["row"], 2, "B", row, width])
    graph.input("column", _FLOAT, [count["column"], 2, "B", "S", rows, width])
    graph.input("previous", _FLOAT, [count["previous_row"], 2, "B", row, width])
    graph.input("row_mask", _FLOAT, [row])
    graph.input("column_mask", _FLOAT, [rows])
    graph.input("causal", _FLOAT, ["S", "S"])
    table = graph.weights["embedding.weight"]
    nothing = np.zeros_like(table[:1])
    said = graph.constant("table", np.concatenate([table, nothing]))
    x = graph.op("Add", graph.op("Gather", said, "codes", axis=0), "conditions")
    each = graph.op("Concat", graph.op("Shape", "causal", start=0, end=1), graph.ints(row), axis=0)
    graph.masks = {
        "row": graph.op("Concat", graph.op("Expand", "row_mask", each), "causal", axis=1),
        "column": graph.op(
            "Concat", "column_mask", graph.constant("own", np.zeros(1, dtype=np.float32)), axis=0
        ),
        "previous_row": "",
    }
    for at in range(config.layers):
        x = graph.layer(x, at)
    last = graph.op("Gather", x, graph.constant("last", np.array(-1, dtype=np.int64)), axis=1)
    head = graph.constant("head", np.ascontiguousarray(table.T))
    logits = graph.op("MatMul", graph.norm(last, "norm"), head)
    logits = graph.op("Add", logits, graph.weight("bias"))
    graph.output("logits", logits, _FLOAT, ["B", prior.entries])
    for pattern, name in zip(PATTERNS, ("row", "column", "previous"), strict=True):
        made = graph.op("Concat", *graph.made[pattern], axis=0)
        shape: list[str | int] = [count[pattern], 2, "B", "S", width]
        graph.output(f"new_{name}", made, _FLOAT, shape)
    return graph.model()

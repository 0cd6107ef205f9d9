"""The flowing codec as ONNX graphs, built node by node, the left context of each block as a state.

Decoder: ``latents`` (B, n, L) to ``frames`` (B, 8 n, 4, bins), of mid and of side the levels and
the phase advances, and ``noise`` (B, 8 n, 2, bands), 0..1. Encoder: ``features`` (B, 8 n, 2 bins),
as ``representations.spectra.log_magnitudes`` gives them for mid and side, to ``latents``. Both have
``state_i`` (B, kernel - 1, W), one a block, and ``new_state_i`` after the last step.

What is linear is folded: the scale of a block into its last product, the scaling of the features
into the first product of the encoder and the last of the decoder.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto
from torch import nn

from partimento.representations.spectra import LOG_SCALE
from partimento.runtime.audio.presets import CodecConfig
from partimento.training.export.graph_builder import Graph
from partimento.training.nn.codec import NOISE_BANDS, SURE, UNSURE, StreamingCodec

__all__ = ["decoder_graph", "encoder_graph"]

F32 = npt.NDArray[np.float32]


def decoder_graph(codec: StreamingCodec) -> onnx.ModelProto:
    """Return the graph of the decoder."""
    config = codec.config
    weights = _weights(codec.decoder)
    mean, deviation = weights.pop("scaling.mean"), weights.pop("scaling.deviation")
    bins = mean.shape[-1]
    head = weights["head.weight"].reshape(4, bins, -1).copy()
    bias = weights["head.bias"].reshape(4, bins).copy()
    # Rows are the levels and phases of mid, then of side. Levels leave the network standardised:
    # deviation (W x + b) + mean is one product, with the weights below.
    head[0::2] *= deviation[..., None]
    bias[0::2] *= deviation
    bias[0::2] += mean
    weights |= {"head.weight": head.reshape(4 * bins, -1), "head.bias": bias.reshape(-1)}
    graph = _CodecGraph(weights, config)
    graph.input("latents", TensorProto.FLOAT, ["B", "n", config.latent_width])
    x = graph.linear("latents", "enter")
    splits = tuple(reversed(config.joins))
    for level, width in enumerate(config.decoder_widths):
        if level:
            x = graph.linear(x, f"split.{level - 1}")
            x = graph.op("Reshape", x, graph.ints(0, -1, width))
        x = graph.stack(x, level, config.decoder_blocks[level], width)
    assert len(splits) == len(config.decoder_widths) - 1
    x = graph.norm(x, "norm")
    said = graph.op("Reshape", graph.linear(x, "head"), graph.ints(0, 0, 4, bins))
    graph.output("frames", said, TensorProto.FLOAT, ["B", "T", 4, bins])
    sure = graph.op("Sigmoid", graph.linear(x, "noise"))
    # Clip((SURE - s) / (SURE - UNSURE), 0, 1): sure of a phase is no noise, unsure is all noise.
    least = graph.constant("sure", np.array(SURE, dtype=np.float32))
    span = graph.constant("span", np.array(1 / (SURE - UNSURE), dtype=np.float32))
    amount = graph.op("Mul", graph.op("Sub", least, sure), span)
    zero, one = (graph.constant(f"f{at}", np.array(at, dtype=np.float32)) for at in (0, 1))
    amount = graph.op("Clip", amount, zero, one)
    amount = graph.op("Reshape", amount, graph.ints(0, 0, 2, NOISE_BANDS))
    graph.output("noise", amount, TensorProto.FLOAT, ["B", "T", 2, NOISE_BANDS])
    return graph.finished()


def encoder_graph(codec: StreamingCodec) -> onnx.ModelProto:
    """Return the graph of the encoder."""
    config = codec.config
    weights = _weights(codec.encoder)
    mean, deviation = (weights.pop(f"scaling.{name}").reshape(-1) for name in ("mean", "deviation"))
    # W (LOG_SCALE f - mean) / deviation + b, as one product of f with new weights and bias
    enter = weights["enter.weight"] / deviation
    weights["enter.bias"] = np.subtract(weights["enter.bias"], enter @ mean, dtype=np.float32)
    weights["enter.weight"] = (enter * LOG_SCALE).astype(np.float32)
    graph = _CodecGraph(weights, config)
    graph.input("features", TensorProto.FLOAT, ["B", "T", len(mean)])
    x = graph.linear("features", "enter")
    for level, width in enumerate(config.encoder_widths):
        if level:
            joined = config.joins[level - 1] * config.encoder_widths[level - 1]
            x = graph.op("Reshape", x, graph.ints(0, -1, joined))
            x = graph.linear(x, f"joined.{level - 1}")
        x = graph.stack(x, level, config.encoder_blocks[level], width)
    x = graph.op("Tanh", graph.linear(graph.norm(x, "norm"), "leave"))
    graph.output("latents", x, TensorProto.FLOAT, ["B", "n", config.latent_width])
    return graph.finished()


def _weights(part: nn.Module) -> dict[str, F32]:
    """Return the weights of a part, the scale of each block folded into its last product."""
    found = {name: v.detach().float().cpu().numpy() for name, v in part.state_dict().items()}
    for name in [name for name in found if name.endswith(".scale")]:
        # scale (W x + b): a factor for each row of W and b
        scale, down = found.pop(name), name.removesuffix("scale") + "down"
        found[f"{down}.weight"] = found[f"{down}.weight"] * scale[:, None]
        found[f"{down}.bias"] = found[f"{down}.bias"] * scale
    return found


class _CodecGraph(Graph):
    """A graph of causal stacks, which numbers their states."""

    def __init__(self, weights: dict[str, F32], config: CodecConfig) -> None:
        super().__init__(weights)
        self.config = config
        self.states: list[tuple[str, int]] = []

    def stack(self, x: str, level: int, count: int, width: int) -> str:
        """Return (B, T, W) after the blocks of a level."""
        for block in range(count):
            x = self._block(x, f"stacks.{level}.blocks.{block}", width)
        return x

    def _block(self, x: str, name: str, width: int) -> str:
        kernel, state = self.config.kernel, f"state_{len(self.states)}"
        self.input(state, TensorProto.FLOAT, ["B", kernel - 1, width])
        # (B, kernel - 1 + T, W): with the left context in front the convolution needs no padding.
        seen = self.op("Concat", state, x, axis=1)
        end = self.constant("end", np.array([np.iinfo(np.int64).max], dtype=np.int64))
        self.states.append(
            (self.op("Slice", seen, self.ints(1 - kernel), end, self.ints(1)), width)
        )
        # Time as the height of a picture one wide: ONNX Runtime has its fast convolution for that.
        tall = self.op("Transpose", self.op("Unsqueeze", seen, self.ints(2)), perm=[0, 3, 1, 2])
        weight = self.constant(
            f"{name}.depthwise.weight", self.weights[f"{name}.depthwise.weight"][..., None]
        )
        bias = self.weight(f"{name}.depthwise.bias")
        y = self.op("Conv", tall, weight, bias, group=width, kernel_shape=[kernel, 1])
        y = self.op("Squeeze", self.op("Transpose", y, perm=[0, 2, 3, 1]), self.ints(2))
        y = self.op("Gelu", self.linear(self.norm(y, f"{name}.norm"), f"{name}.up"))
        return self.op("Add", x, self.linear(y, f"{name}.down"))

    def finished(self) -> onnx.ModelProto:
        """Return the model, the states after the last step among its outputs."""
        shape: list[Any] = ["B", self.config.kernel - 1]
        for index, (made, width) in enumerate(self.states):
            self.output(f"new_state_{index}", made, TensorProto.FLOAT, [*shape, width])
        return self.model()

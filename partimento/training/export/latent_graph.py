"""The flowing generator of latents as an ONNX graph.

Input: ``inputs`` (B, W, F), coordinates, style, noise and conditions of W places. Output:
``latents`` (B, W, L); the first and last ``margin`` of them know too little of their neighbours
and are left out by who plays.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto
from torch import nn

from partimento.errors import ConfigError
from partimento.training.export.graph_builder import Graph
from partimento.training.nn.latent_gan import StreamingGenerator

__all__ = ["latent_graph"]


def latent_graph(network: nn.Module) -> onnx.ModelProto:
    """Return the graph of a generator, in fp32.

    Raises:
        ConfigError: for a generator that cannot make any piece of a stream by itself.
    """
    if not isinstance(network, StreamingGenerator):
        raise ConfigError("game.kind", "only a flowing generator can be played; train that one")
    config = network.config
    weights = {
        name: value.detach().float().cpu().numpy().copy()
        for name, value in network.state_dict().items()
    }
    # Conditions come as they are told: what makes them standard goes into the first line.
    told = weights["enter.weight"][:, config.coordinate + config.noise :]
    told /= weights["unusual"]
    weights["enter.bias"] = weights["enter.bias"] - told @ weights["usual"]
    graph = Graph(weights)
    first, last = config.coordinate, config.coordinate + config.style
    whole = last + config.noise + config.conditions
    graph.input("inputs", TensorProto.FLOAT, ["B", "W", whole])

    def part(start: int, stop: int) -> str:
        return graph.op("Slice", "inputs", graph.ints(start), graph.ints(stop), graph.ints(2))

    style = part(first, last)
    x = graph.linear(graph.op("Concat", part(0, first), part(last, whole), axis=-1), "enter")
    for index in range(config.blocks):
        x = _block(graph, x, style, f"blocks.{index}", config.kernel)
    x = graph.linear(graph.norm(x, "norm"), "head")
    x = graph.op("MatMul", x, graph.weight("mix"))
    x = graph.op("Tanh", graph.op("Add", x, graph.weight("center")))
    graph.output("latents", x, TensorProto.FLOAT, ["B", "W", weights["center"].shape[0]])
    return graph.model()


def _block(graph: Graph, x: str, style: str, name: str, kernel: int) -> str:
    """Return x + gamma MLP(scale LN(conv(x)) + shift); see ``StyledBlock``."""
    width = graph.weights[f"{name}.gamma"].shape[0]
    near = graph.op(
        "Conv",
        graph.op("Transpose", x, perm=[0, 2, 1]),
        graph.weight(f"{name}.near.weight"),
        graph.weight(f"{name}.near.bias"),
        group=width,
        kernel_shape=[kernel],
        pads=[kernel // 2, kernel // 2],
    )
    near = graph.op("Transpose", near, perm=[0, 2, 1])
    ones = graph.constant(f"ones_{width}", np.ones(width, dtype=np.float32))
    zeros = graph.constant(f"zeros_{width}", np.zeros(width, dtype=np.float32))
    y = graph.op("LayerNormalization", near, ones, zeros, axis=-1, epsilon=1e-5)
    scale, shift = graph.ops(
        "Split", 2, graph.linear(style, f"{name}.style"), axis=-1, num_outputs=2
    )
    y = graph.op("Add", graph.op("Mul", y, graph.op("Add", scale, ones)), shift)
    y = graph.op("Gelu", graph.linear(y, f"{name}.up"))
    y = graph.op("Mul", graph.linear(y, f"{name}.down"), graph.weight(f"{name}.gamma"))
    return graph.op("Add", x, y)

"""A tiny model of sound with weights as drawn, made without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto

from partimento.runtime.audio.presets import CodecConfig, GameConfig
from partimento.runtime.model_folder import ModelFolder, write_model_folder
from partimento.training.export.graph_builder import Graph

CODEC = CodecConfig(
    size=64, hop=16, latent_width=8, encoder_widths=(16, 16, 16), decoder_widths=(16, 16, 16),
    encoder_blocks=(1, 1, 1), decoder_blocks=(1, 1, 1), kernel=5,
)  # fmt: skip
GAME = GameConfig(
    coordinate=4, style=4, noise=2, anchor_every=48, style_every=96, width=16, blocks=2, kernel=3
)
BANDS = 4
QUANTILES = np.linspace(0.2, 0.6, 11).tolist()


class Drawn(Graph):
    """A graph that draws its weights."""

    def __init__(self, seed: int) -> None:
        super().__init__({})
        self.draw = np.random.default_rng(seed)

    def matrix(self, inputs: int, outputs: int, scale: float = 1.0) -> str:
        value = self.draw.standard_normal((inputs, outputs)) * scale / np.sqrt(inputs)
        return self.constant(f"w{len(self.constants)}", value.astype(np.float32))

    def product(self, x: str, inputs: int, outputs: int, scale: float = 1.0) -> str:
        bias = self.draw.standard_normal(outputs) * 0.1
        y = self.op("MatMul", x, self.matrix(inputs, outputs, scale))
        return self.op("Add", y, self.constant(f"b{len(self.constants)}", bias.astype(np.float32)))

    def near(self, x: str, width: int, kernel: int, padding: int) -> str:
        tall = self.op("Transpose", self.op("Unsqueeze", x, self.ints(2)), perm=[0, 3, 1, 2])
        value = self.draw.standard_normal((width, 1, kernel, 1)) / np.sqrt(kernel)
        weight = self.constant(f"c{len(self.constants)}", value.astype(np.float32))
        y = self.op(
            "Conv", tall, weight, group=width, kernel_shape=[kernel, 1],
            pads=[padding, 0, padding, 0],
        )  # fmt: skip
        return self.op("Squeeze", self.op("Transpose", y, perm=[0, 2, 3, 1]), self.ints(2))

    def block(self, x: str, index: int, width: int) -> str:
        back = CODEC.kernel - 1
        self.input(f"state_{index}", TensorProto.FLOAT, ["B", back, width])
        seen = self.op("Concat", f"state_{index}", x, axis=1)
        end = self.ints(2**62)
        after = self.op("Slice", seen, self.ints(-back), end, self.ints(1))
        self.output(f"new_state_{index}", after, TensorProto.FLOAT, ["B", back, width])
        y = self.op("Gelu", self.product(self.near(seen, width, CODEC.kernel, 0), width, 2 * width))
        return self.op("Add", x, self.product(y, 2 * width, width, 0.5))


def decoder(seed: int = 0) -> onnx.ModelProto:
    graph, bins = Drawn(seed), CODEC.size // 2 + 1
    graph.input("latents", TensorProto.FLOAT, ["B", "n", CODEC.latent_width])
    x = graph.product("latents", CODEC.latent_width, 16)
    for level, split in enumerate((1, 4, 2)):
        if split > 1:
            x = graph.op("Reshape", graph.product(x, 16, 16 * split), graph.ints(0, -1, 16))
        x = graph.block(x, level, 16)
    said = graph.op("Reshape", graph.product(x, 16, 4 * bins, 0.5), graph.ints(0, 0, 4, bins))
    graph.output("frames", said, TensorProto.FLOAT, ["B", "T", 4, bins])
    noise = graph.op("Sigmoid", graph.product(x, 16, 2 * BANDS))
    noise = graph.op("Reshape", noise, graph.ints(0, 0, 2, BANDS))
    graph.output("noise", noise, TensorProto.FLOAT, ["B", "T", 2, BANDS])
    return graph.model()


def encoder(seed: int = 1) -> onnx.ModelProto:
    graph, bins = Drawn(seed), CODEC.size // 2 + 1
    graph.input("features", TensorProto.FLOAT, ["B", "T", 2 * bins])
    x = graph.product("features", 2 * bins, 16)
    for level, join in enumerate((1, 2, 4)):
        if join > 1:
            x = graph.product(graph.op("Reshape", x, graph.ints(0, -1, 16 * join)), 16 * join, 16)
        x = graph.block(x, level, 16)
    x = graph.op("Tanh", graph.product(x, 16, CODEC.latent_width))
    graph.output("latents", x, TensorProto.FLOAT, ["B", "n", CODEC.latent_width])
    return graph.model()


def generator(seed: int = 2) -> onnx.ModelProto:
    graph, width = Drawn(seed), GAME.width
    features = GAME.coordinate + GAME.style + GAME.noise + GAME.conditions
    graph.input("inputs", TensorProto.FLOAT, ["B", "W", features])
    x = graph.product("inputs", features, width)
    for _ in range(GAME.blocks):
        y = graph.near(x, width, GAME.kernel, GAME.kernel // 2)
        x = graph.op("Add", x, graph.op("Gelu", graph.product(y, width, width)))
    x = graph.op("Tanh", graph.product(x, width, CODEC.latent_width))
    graph.output("latents", x, TensorProto.FLOAT, ["B", "W", CODEC.latent_width])
    return graph.model()


def model_folder(place: Path) -> ModelFolder:
    """Write the tiny model."""
    parts = {"decoder": decoder(), "encoder": encoder(), "generator": generator()}
    config = {
        "name": place.name,
        "system": "musika",
        "representation": {"name": "sound", "sample_rate_hz": 44100, "channels": 2},
        "network": {
            "codec": CODEC.model_dump(mode="json"),
            "game": GAME.model_dump(mode="json"),
            "conditions": dict.fromkeys(("density", "loudness", "tempo"), QUANTILES),
        },
        "parts": {part: {"fp32": f"{part}.fp32.onnx"} for part in parts},
        "defaults": {},
    }
    files = {f"{part}.fp32.onnx": graph.SerializeToString() for part, graph in parts.items()}
    return write_model_folder(place, config, files, "# tiny\n")


def noise(seconds: float, seed: int = 0) -> npt.NDArray[np.float32]:
    """Return quiet stereo noise."""
    draw = np.random.default_rng(seed)
    return 0.1 * draw.standard_normal((2, round(seconds * 44100)), dtype=np.float32)

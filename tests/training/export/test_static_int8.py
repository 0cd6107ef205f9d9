"""Graphs whose products are computed in int8."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto

from partimento.runtime.sessions import session_of
from partimento.training.export.graph_builder import Graph
from partimento.training.export.static_int8 import quantise

WIDTH = 96


def graph() -> onnx.ModelProto:
    """Return a residual block: x + down(gelu(up(norm(x)))), and a product with no bias."""
    draw = np.random.default_rng(0)
    weights = {
        "norm.weight": draw.uniform(0.1, 3, WIDTH),
        "norm.bias": draw.standard_normal(WIDTH),
        "up.weight": draw.standard_normal((2 * WIDTH, WIDTH)) / 10,
        "up.bias": draw.standard_normal(2 * WIDTH),
        "down.weight": draw.standard_normal((WIDTH, 2 * WIDTH)) / 10,
        "down.bias": draw.standard_normal(WIDTH),
        "out.weight": draw.standard_normal((WIDTH, WIDTH)) / 10,
    }
    made = Graph({name: value.astype(np.float32) for name, value in weights.items()})
    made.input("x", TensorProto.FLOAT, ["B", "n", WIDTH])
    inner = made.op("Gelu", made.linear(made.norm("x", "norm"), "up"))
    x = made.op("Add", "x", made.linear(inner, "down"))
    made.output("y", made.linear(x, "out", bias=False), TensorProto.FLOAT, ["B", "n", WIDTH])
    return made.model()


def session(model: onnx.ModelProto) -> ort.InferenceSession:
    return session_of(model.SerializeToString())


def test_int8_is_near_float32_and_does_not_depend_on_the_call() -> None:
    model, draw = graph(), np.random.default_rng(1)
    x = draw.standard_normal((4, 1, 50, WIDTH)).astype(np.float32)
    small = quantise(model, [{"x": part} for part in x[:3]])
    kinds = [node.op_type for node in small.graph.node]
    assert kinds.count("MatMulIntegerToFloat") == 3
    assert "MatMul" not in kinds
    assert kinds.count("Add") == 1  # the biases are part of the products
    assert len(small.SerializeToString()) < 0.35 * len(model.SerializeToString())
    wanted = session(model).run(["y"], {"x": x[3]})[0]
    player = session(small)
    found = player.run(["y"], {"x": x[3]})[0]
    assert np.std(found - wanted) < 0.03 * np.std(wanted)
    np.testing.assert_array_equal(player.run(["y"], {"x": x[3][:, 7:9]})[0], found[:, 7:9])
    onnx.checker.check_model(model)


def test_what_is_to_be_kept_is_kept() -> None:
    model = graph()
    feeds = [{"x": np.random.default_rng(1).standard_normal((1, 9, WIDTH)).astype(np.float32)}]
    names = {each.name for each in quantise(model, feeds, keep=["up.weight"]).graph.initializer}
    assert "up.weight" in names
    assert "down.weight" not in names

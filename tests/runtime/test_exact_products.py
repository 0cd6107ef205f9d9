"""Every kind of int8 product is exact in our sessions, whatever the processor."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from benchmarks.exact_products import EXACT, beside, exact
from partimento.runtime.sessions import session_of
from partimento.training.export.int8_weights import with_own_weights

DRAW = np.random.default_rng(0)
WIDTH = 64
# Large inputs and weights of one sign: pairs of products do not fit into 16 bits.
WEIGHTS = DRAW.integers(90, 128, (WIDTH, WIDTH)).astype(np.int8)
INPUTS = DRAW.integers(200, 256, (5, WIDTH)).astype(np.uint8)


def model(
    nodes: list[onnx.NodeProto], given: np.ndarray, constants: dict[str, np.ndarray], kind: str
) -> onnx.ModelProto:
    """Return a graph from ``x`` to ``y``."""
    graph = helper.make_graph(
        nodes,
        "product",
        [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(given.dtype), None)],
        [helper.make_tensor_value_info("y", TensorProto.DataType.Value(kind), None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    domains = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    made = helper.make_model(graph, opset_imports=domains)
    made.ir_version = 10
    return made


def node(kind: str, inputs: str, outputs: str, **attributes: int) -> onnx.NodeProto:
    """Return a node; ``-`` is an input that is left out."""
    domain = "com.microsoft" if kind in ("MatMulIntegerToFloat", "DynamicQuantizeLSTM") else ""
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(kind, names, outputs.split(), domain=domain, **attributes)


def run(graph: onnx.ModelProto, given: np.ndarray) -> np.ndarray:
    out: np.ndarray = session_of(graph.SerializeToString(), 1).run(["y"], {"x": given})[0]
    return out


@pytest.mark.parametrize("rows", [1, 5])
def test_products_of_whole_numbers(rows: int) -> None:
    given = INPUTS[:rows]
    constants = {"w": WEIGHTS, "z": np.array(3, np.uint8)}
    graph = model([node("MatMulInteger", "x w z", "y")], given, constants, "INT32")
    wanted = (given.astype(np.int64) - 3) @ WEIGHTS.astype(np.int64)
    np.testing.assert_array_equal(run(graph, given), wanted)
    np.testing.assert_array_equal(run(exact(graph), given), wanted)


@pytest.mark.parametrize("rows", [1, 5])
def test_static_products(rows: int) -> None:
    given = INPUTS[:rows]
    constants = {
        "w": WEIGHTS,
        "step": np.array(0.1, np.float32),
        "steps": np.linspace(0.01, 0.02, WIDTH, dtype=np.float32),
        "z": np.array(3, np.uint8),
        "bias": np.arange(WIDTH, dtype=np.float32),
    }
    nodes = [node("MatMulIntegerToFloat", "x w step steps z - bias", "y")]
    graph = model(nodes, given, constants, "FLOAT")
    sums = (given.astype(np.int64) - 3) @ WEIGHTS.astype(np.int64)
    wanted = sums * (np.float64(0.1) * constants["steps"]) + constants["bias"]
    np.testing.assert_allclose(run(graph, given), wanted, rtol=1e-6)
    np.testing.assert_allclose(run(exact(graph), given), wanted, rtol=1e-6)


def test_products_with_inputs_rounded_live() -> None:
    """ONNX Runtime fuses these four nodes into one kernel, DynamicQuantizeMatMul."""
    given = INPUTS.astype(np.float32)
    nodes = [
        node("DynamicQuantizeLinear", "x", "rounded step z"),
        node("MatMulInteger", "rounded w z", "sums"),
        node("Cast", "sums", "numbers", to=TensorProto.FLOAT),
        node("Mul", "step steps", "scale"),
        node("Mul", "numbers scale", "y"),
    ]
    constants = {"w": WEIGHTS, "steps": np.full(WIDTH, 0.01, np.float32)}
    graph = model(nodes, given, constants, "FLOAT")
    np.testing.assert_allclose(run(graph, given), run(exact(graph), given), rtol=1e-6)


@pytest.mark.parametrize("kind", ["QLinearConv", "ConvInteger"])
def test_convolutions(kind: str) -> None:
    given = DRAW.integers(200, 256, (1, WIDTH, 20)).astype(np.uint8)
    kernel = DRAW.integers(90, 128, (WIDTH, WIDTH, 3)).astype(np.int8)
    windows = np.lib.stride_tricks.sliding_window_view(given[0].astype(np.int64), 3, axis=1)
    wanted = np.einsum("ctk,ock->ot", windows, kernel.astype(np.int64))[None]
    if kind == "ConvInteger":
        graph = model([node(kind, "x w", "y")], given, {"w": kernel}, "INT32")
        np.testing.assert_array_equal(run(graph, given), wanted)
        return
    step = wanted.max() / 255
    constants = {
        "one": np.array(1, np.float32),
        "z": np.array(0, np.uint8),
        "w": kernel,
        "wz": np.array(0, np.int8),
        "step": np.array(step, np.float32),
    }
    graph = model([node(kind, "x one z w one wz step z", "y")], given, constants, "UINT8")
    assert np.abs(run(graph, given) - wanted / step).max() <= 0.51


def test_recurrent_products() -> None:
    width = 32
    given = DRAW.uniform(0.5, 1, (1, 2, width)).astype(np.float32)
    shape, scales = (1, width, 4 * width), np.full((1, 4 * width), 2e-4, np.float32)
    zeros = np.zeros((1, 4 * width), np.int8)
    constants = {
        "w": DRAW.integers(90, 128, shape).astype(np.int8),
        "r": DRAW.integers(90, 128, shape).astype(np.int8),
        "b": np.zeros((1, 8 * width), np.float32),
        "h": DRAW.uniform(0.5, 1, (1, 2, width)).astype(np.float32),
        "c": np.zeros((1, 2, width), np.float32),
        **{"w_steps": scales, "w_z": zeros, "r_steps": scales, "r_z": zeros},
    }
    inputs = "x w r b - h c - w_steps w_z r_steps r_z"
    nodes = [node("DynamicQuantizeLSTM", inputs, "all y", hidden_size=width)]
    graph = model(nodes, given, constants, "FLOAT")
    both, names = beside(graph)
    assert names == {"DynamicQuantizeLSTM": ["all", "y"]}
    session = session_of(both.SerializeToString(), 1)
    found, wanted = session.run(["y", f"{EXACT}y"], {"x": given})
    assert 0.1 < wanted.min() < wanted.max() < 0.9  # the gates are open: a fault would show
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_products_that_share_weights_get_their_own() -> None:
    nodes = [
        node("MatMulInteger", "x w z", "first"),
        node("MatMulInteger", "x w other", "second"),
        node("Sub", "first second", "y"),
    ]
    constants = {"w": WEIGHTS, "z": np.array(3, np.uint8), "other": np.array(4, np.uint8)}
    graph = with_own_weights(model(nodes, INPUTS, constants, "INT32"))
    wanted = np.tile(WEIGHTS.astype(np.int64).sum(axis=0), (len(INPUTS), 1))
    np.testing.assert_array_equal(run(graph, INPUTS), wanted)


def test_a_kind_of_product_without_an_exact_form_is_an_error() -> None:
    graph = model([node("QLinearMatMul", "x a b w c d e f", "y")], INPUTS, {}, "UINT8")
    with pytest.raises(ValueError, match="QLinearMatMul"):
        exact(graph)

"""External data in ONNX files is found wherever a tensor may stand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from partimento.errors import ModelError
from partimento.runtime.onnx_files import require_own_data
from partimento.runtime.sessions import open_session


def tensor() -> TensorProto:
    return numpy_helper.from_array(np.ones(4, dtype=np.float32), "w")


def outside() -> TensorProto:
    made = tensor()
    made.ClearField("raw_data")
    made.data_location = TensorProto.EXTERNAL
    entry = made.external_data.add()
    entry.key, entry.value = "location", "../other.bin"
    return made


def initializer(weight: TensorProto) -> onnx.GraphProto:
    value = helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])
    node = helper.make_node("Identity", ["w"], ["y"])
    return helper.make_graph([node], "g", [], [value], [weight])


def constant(weight: TensorProto) -> onnx.GraphProto:
    value = helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])
    return helper.make_graph(
        [helper.make_node("Constant", [], ["y"], value=weight)], "g", [], [value]
    )


def branch(weight: TensorProto) -> onnx.GraphProto:
    value = helper.make_tensor_value_info("z", TensorProto.FLOAT, [4])
    flag = helper.make_tensor_value_info("flag", TensorProto.BOOL, [])
    inner = constant(weight)
    node = helper.make_node("If", ["flag"], ["z"], then_branch=inner, else_branch=inner)
    return helper.make_graph([node], "g", [flag], [value])


PLACES = (initializer, constant, branch)


@pytest.mark.parametrize("place", PLACES)
def test_tensors_in_other_files_are_refused(
    place: Callable[[TensorProto], onnx.GraphProto], tmp_path: Path
) -> None:
    require_own_data(helper.make_model(place(tensor())).SerializeToString())
    data = helper.make_model(place(outside())).SerializeToString()
    with pytest.raises(ModelError, match="keeps weights in another file"):
        require_own_data(data)
    (tmp_path / "graph.onnx").write_bytes(data)
    with pytest.raises(ModelError, match=r"graph.onnx cannot be loaded: it keeps weights"):
        open_session(tmp_path / "graph.onnx")


def test_tensors_of_functions_are_found_too() -> None:
    model = helper.make_model(initializer(tensor()))
    node = helper.make_node("Constant", [], ["y"], value=outside())
    model.functions.append(
        helper.make_function("local", "f", [], ["y"], [node], [helper.make_opsetid("", 21)])
    )
    with pytest.raises(ModelError, match="another file"):
        require_own_data(model.SerializeToString())


def test_any_bytes_are_read_to_an_end_or_refused() -> None:
    whole = helper.make_model(branch(tensor())).SerializeToString()
    draw = np.random.default_rng(0)
    for _ in range(2000):
        data = bytearray(whole)
        for at in draw.integers(len(data), size=3):
            data[at] = draw.integers(256)
        try:
            require_own_data(bytes(data[: draw.integers(1, len(data) + 1)]))
        except ModelError:
            continue


@pytest.mark.parametrize("data", [b"\xff" * 20, b"\x0f", b"\x3a\xff\xff\xff\xff\x0f", b"\x09abc"])
def test_what_is_no_model(data: bytes) -> None:
    with pytest.raises(ModelError, match="no ONNX model"):
        require_own_data(data)

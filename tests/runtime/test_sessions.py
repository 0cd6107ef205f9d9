"""Graphs that are not what a config says, or that break, are refused in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from partimento.errors import ModelError
from partimento.runtime import threads
from partimento.runtime.sessions import Dims, Session, session_of

INPUTS: dict[str, Dims] = {"x": ("float", (None, 4))}
OUTPUTS: dict[str, Dims] = {"y": ("float", (None, 4))}


def adder() -> bytes:
    """Return a graph that adds one to each of four numbers."""
    value = helper.make_tensor_value_info
    four = helper.make_tensor("four", TensorProto.FLOAT, [4], np.ones(4, dtype=np.float32))
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "four"], ["y"])],
        "g",
        [value("x", TensorProto.FLOAT, ["B", 4])],
        [value("y", TensorProto.FLOAT, ["B", 4])],
        [four],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    data: bytes = model.SerializeToString()
    return data


@pytest.fixture
def session() -> Session:
    return session_of(adder(), 1)


def test_a_graph_that_is_what_the_config_says(session: Session) -> None:
    session.require(INPUTS, OUTPUTS)
    assert session.run(["y"], {"x": np.zeros((2, 4), np.float32)})[0].sum() == 8


@pytest.mark.parametrize(
    ("inputs", "outputs", "told"),
    [
        ({"x": ("float", (None, 5))}, OUTPUTS, "'x' as tensor.float. nx4, its config says float"),
        ({"x": ("int64", (None, 4))}, OUTPUTS, "its config says int64"),
        ({"x": ("float", (2, 4))}, OUTPUTS, "says float 2x4"),
        ({"x": ("float", (None, None))}, OUTPUTS, "says float nxn"),
        ({}, OUTPUTS, "differ in the input 'x'"),
        ({**INPUTS, "z": ("float", ())}, OUTPUTS, "differ in the input 'z'"),
        (INPUTS, {"z": ("float", ())}, "differ in the output 'z'"),
    ],
)
def test_a_graph_that_is_not(
    session: Session, inputs: dict[str, Dims], outputs: dict[str, Dims], told: str
) -> None:
    with pytest.raises(ModelError, match=told):
        session.require(inputs, outputs)


def test_what_breaks_while_it_runs_is_told_in_one_line(session: Session) -> None:
    with pytest.raises(ModelError, match="the model does not run") as caught:
        session.run(["y"], {"x": np.zeros((2, 3), np.float32)})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("flags", "is_set"),
    [("fpu avx2", True), ("fpu avx512_vnni", False), ("fpu avx_vnni", False), (None, True)],
)
def test_kernels_that_do_not_saturate_are_asked_for_without_vnni(
    flags: str | None, is_set: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cpuinfo"
    if flags is not None:
        file.write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    monkeypatch.setattr(threads, "_PROCESSOR_FILE", file)
    options = session_of(adder(), 1).get_session_options()
    if is_set:
        assert options.get_session_config_entry("session.x64quantprecision") == "1"
    else:
        with pytest.raises(RuntimeError):
            options.get_session_config_entry("session.x64quantprecision")

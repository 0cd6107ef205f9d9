"""The weights of a model folder read back from its graph, so that a model that ships learns on.

The reverse of ``export/graph_builder.py``: constants keep the names that torch gave them, products
hold their matrices transposed, attention's three projections are one matrix, relative distances
are divided by the root of the head's width, an LSTM has its gates in ONNX's order. In an int8 graph
a matrix is three constants, ``X_quantized``, ``X_scale`` and ``X_zero_point``, a table two
(``export/int8_weights.py``); what comes back then is within half a step of the scale of what was
trained.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from partimento.errors import ModelError
from partimento.runtime.model_folder import MAIN_PART, ModelFolder
from partimento.runtime.onnx_files import require_own_data
from partimento.training.export.int8_weights import ROUNDED, SCALE

__all__ = ["read_graph_weights"]

_KINDS = ("free", "grid", "recurrent", "scored", "sliding", "transformer")
_F32 = npt.NDArray[np.float32]
_PRODUCTS = ("MatMul", "MatMulInteger")
_LSTM_PART = re.compile(r"(layers\.\d+)\.([WRB])$")
_QUANTIZED = "_quantized"
_GRID_BIASES = ("what_bias", "length_bias")  # (S, n), in the graph (S, 1, n)
_PLACES = "places"  # of the network of curves


def read_graph_weights(folder: Path) -> dict[str, Tensor]:
    """Return the state dict of the network that a model folder plays, in fp32.

    The fp32 graph is read where the folder has one, otherwise the int8 graph. Networks of tokens,
    of grids and of curves are known; a calibration of curves is left out, as it is no weight.

    Raises:
        ModelError: if the folder is none, its graph cannot be read, or its system is another.
    """
    model = ModelFolder.open(folder)
    if model.config["network"].get("kind") not in _KINDS:
        raise ModelError(
            f"{folder}: a model folder of {model.system} holds no weights to begin from; "
            "begin from its run"
        )
    path = model.part(MAIN_PART, "fp32" if "fp32" in model.precisions else "int8")
    try:
        data = path.read_bytes()
        require_own_data(data)
        graph = onnx.load_model_from_string(data).graph
    except Exception as error:  # what protobuf raises has no types
        raise ModelError(f"{path} cannot be read ({error}); install the model again") from None
    constants = _constants(graph)
    transposed = {node.input[1] for node in graph.node if node.op_type in _PRODUCTS}
    out: dict[str, _F32] = {}
    for name, value in constants.items():
        if name.endswith(".qkv"):
            out |= _projections(name.removesuffix("qkv"), value, model.config["network"])
        elif name.endswith(".attention.distance"):
            # (H, D, M) scaled by 1 / sqrt(D), as the product with the queries wants it
            out[name] = value.transpose(0, 2, 1) * np.sqrt(np.float32(value.shape[1]))
        elif found := _LSTM_PART.match(name):
            out |= _lstm(found[1], found[2], value)
        elif name in _GRID_BIASES:
            out[name] = value[:, 0]
        elif name == _PLACES or name.endswith((".weight", ".bias")):
            is_matrix = name in transposed or name + _QUANTIZED in transposed
            out[name] = value.T if is_matrix else value
    if not out:
        raise ModelError(f"{path} holds no weights of a network; begin from another model")
    return {name: torch.from_numpy(np.array(value, order="C")) for name, value in out.items()}


def _constants(graph: onnx.GraphProto) -> dict[str, _F32]:
    """Return the constants of floats by name, what is in int8 multiplied out."""
    raw = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    helpers = {
        f"{name.removesuffix(_QUANTIZED)}{part}"
        for name in raw
        if name.endswith(_QUANTIZED)
        for part in ("_scale", "_zero_point")
    }
    helpers |= {f"{name.removesuffix(ROUNDED)}{SCALE}" for name in raw if name.endswith(ROUNDED)}
    out = {}
    for name, value in raw.items():
        if name.endswith(ROUNDED):
            base = name.removesuffix(ROUNDED)
            out[base] = value.astype(np.float32) * raw[f"{base}{SCALE}"]
        elif name.endswith(_QUANTIZED):
            base = name.removesuffix(_QUANTIZED)
            zero, scale = raw[f"{base}_zero_point"], raw[f"{base}_scale"]
            if value.ndim == 3:  # an LSTM's (1, in, 4 W); the float form is (1, 4 W, in)
                zero, scale = zero[:, None], scale[:, None]
            full = (value.astype(np.float32) - zero.astype(np.float32)) * scale
            out[base] = full.transpose(0, 2, 1) if value.ndim == 3 else full
        elif value.dtype == np.float32 and name not in helpers:
            out[name] = value
    return out


def _projections(prefix: str, packed: _F32, network: Mapping[str, int]) -> dict[str, _F32]:
    """Return query, key and value of a packed (W, W + 2 G D)."""
    group = int(network["kv_heads"]) * int(network["head_width"])
    width = packed.shape[1] - 2 * group
    parts = np.split(packed.T, [width, width + group])
    names = ("query", "key", "value")
    return {f"{prefix}{name}.weight": part for name, part in zip(names, parts, strict=True)}


def _lstm(layer: str, part: str, value: _F32) -> dict[str, _F32]:
    """Return torch's weights (gates i, f, g, o) of ONNX's W, R or B (gates i, o, f, g)."""

    def gates(packed: _F32) -> _F32:
        i, o, f, g = np.split(packed, 4)
        return np.concatenate([i, f, g, o])

    if part == "B":
        inner, hidden = np.split(value[0], 2)
        return {f"{layer}.bias_ih_l0": gates(inner), f"{layer}.bias_hh_l0": gates(hidden)}
    kind = "ih" if part == "W" else "hh"
    return {f"{layer}.weight_{kind}_l0": gates(value[0])}

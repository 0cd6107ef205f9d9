"""Weights in int8: those that are computed with in float32, and those of int8 products."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

__all__ = ["ROUNDED", "SCALE", "rounded", "with_own_weights"]

ROUNDED, SCALE = "_int8", "_scale"  # after the name of a weight: its numbers, their steps

_PRODUCTS = ("MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeLSTM")
_LEAST = 4096  # numbers: what is smaller stays in float32


def rounded(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph with its weights in int8, a scale for each column or output channel.

    Tables and matrices (..., in, out) have columns, kernels of convolutions (out, in, n) channels.
    What is in int8 already stays as it is. ONNX Runtime multiplies the weights out as it loads
    them, and computes in float32.
    """
    out = onnx.ModelProto()
    out.CopyFrom(model)
    graph = out.graph
    kernels = {node.input[1] for node in graph.node if node.op_type == "Conv"}
    kept, nodes = [], []
    for each in graph.initializer:
        value = numpy_helper.to_array(each)
        is_kernel = each.name in kernels
        fits = value.ndim == 3 or (value.ndim == 2 and not is_kernel)
        # A single row, such as an LSTM's biases, would have as many scales as numbers.
        is_weight = fits and not each.name.endswith(SCALE) and value.shape[-2] > 1
        if not is_weight or value.size < _LEAST or value.dtype != np.float32:
            kept.append(each)
            continue
        axes = (1, 2) if is_kernel else -2
        scale = np.maximum(np.abs(value).max(axis=axes, keepdims=True) / 127, 1e-12)
        whole = np.clip(np.rint(value / scale), -127, 127).astype(np.int8)
        name = each.name
        kept.append(numpy_helper.from_array(whole, f"{name}{ROUNDED}"))
        kept.append(numpy_helper.from_array(scale.astype(np.float32), f"{name}{SCALE}"))
        cast = onnx.helper.make_node(
            "Cast",
            [f"{name}{ROUNDED}"],
            [f"{name}_float"],
            to=TensorProto.FLOAT,
            name=f"{name}_cast",
        )
        scaled = onnx.helper.make_node(
            "Mul", [f"{name}_float", f"{name}{SCALE}"], [name], name=f"{name}_scaled"
        )
        nodes += [cast, scaled]
    rest = list(graph.node)
    del graph.initializer[:]
    del graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend([*nodes, *rest])
    return out


def with_own_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph with int8 constants that no two products share.

    On processors without VNNI, ONNX Runtime's exact kernels (see ``runtime/sessions.py``) replace
    the int8 constants of each product, and a graph in which two products share one does not load.
    """
    out = onnx.ModelProto()
    out.CopyFrom(model)
    constants = {each.name: each for each in out.graph.initializer}
    seen: set[str] = set()
    for node in out.graph.node:
        if node.op_type not in _PRODUCTS:
            continue
        for at, name in enumerate(node.input):
            if name not in constants or constants[name].data_type != TensorProto.INT8:
                continue
            if name in seen:
                copy = out.graph.initializer.add()
                copy.CopyFrom(constants[name])
                copy.name = node.input[at] = f"{name}_{node.name or node.output[0]}_{at}"
            seen.add(name)
    return out

"""Graphs that keep their weights in int8 and compute in float32: a fourth of the size."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

__all__ = ["ROUNDED", "SCALE", "rounded"]

ROUNDED, SCALE = "_int8", "_scale"  # after the name of a weight: its numbers, their steps

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
        is_weight = fits and not each.name.endswith(SCALE)
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

"""Graphs whose int8 products are computed exactly: in float64, which holds every such sum.

A sum of K products of 8-bit numbers is below K * 255 * 127, and float64 holds whole numbers up to
2^53, so ``MatMul`` in float64 is exact integer arithmetic. `exact` puts it in the place of every
int8 product of a graph; `beside` keeps the products and adds the exact ones as further outputs,
which take the same inputs, so that each product can be compared on its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["EXACT", "PRODUCTS", "beside", "exact"]

EXACT = "exact/"  # before the name of an output of a product: the same, computed exactly
PRODUCTS = ("MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeLSTM")
_OTHERS = ("ConvInteger", "DynamicQuantizeMatMul", "QAttention", "QGemm", "QLinear")
_F64 = TensorProto.DOUBLE


def exact(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph with exact products in the place of its int8 products."""
    return _rewritten(model, keep=False)


def beside(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, list[str]]]:
    """Return the graph with exact products beside its int8 products, and the outputs to compare.

    The outputs are listed by kind of product; the exact form of output ``y`` is ``exact/y``.
    """
    out = _rewritten(model, keep=True)
    found: dict[str, list[str]] = {}
    for node in model.graph.node:
        if node.op_type in PRODUCTS:
            found.setdefault(node.op_type, []).extend(name for name in node.output if name)
    known = {entry.name for entry in out.graph.output}
    for name in [name for names in found.values() for name in names]:
        for output in (name, f"{EXACT}{name}"):
            if output not in known:
                out.graph.output.append(onnx.ValueInfoProto(name=output))
    return out, found


def _rewritten(model: onnx.ModelProto, keep: bool) -> onnx.ModelProto:
    out = onnx.ModelProto()
    out.CopyFrom(model)
    work = _Exact(model, EXACT if keep else "")
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node.op_type.startswith(_OTHERS):
            raise ValueError(f"add the exact form of {node.op_type} to exact_products.py")
        is_product = node.op_type in PRODUCTS
        if keep or not is_product:
            nodes.append(node)
        if is_product:
            nodes.extend(work.nodes(node))
    del out.graph.node[:]
    out.graph.node.extend(nodes)
    out.graph.initializer.extend(
        numpy_helper.from_array(np.array(value), name) for name, value in work.made.items()
    )
    return out


class _Exact:
    """Writes the exact form of one product after another; ``made`` are its constants."""

    def __init__(self, model: onnx.ModelProto, prefix: str) -> None:
        self._constants = {each.name: each for each in model.graph.initializer}
        self._prefix, self._count = prefix, 0
        self.made: dict[str, npt.NDArray[np.generic]] = {}
        self._nodes: list[onnx.NodeProto] = []

    def nodes(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """Yield the exact form of a product."""
        inputs = [*node.input, *[""] * 12]
        self._nodes = []
        {
            "MatMulInteger": self._integer,
            "MatMulIntegerToFloat": self._to_float,
            "DynamicQuantizeLSTM": self._lstm,
        }[node.op_type](node, inputs)
        yield from self._nodes

    def _integer(self, node: onnx.NodeProto, inputs: list[str]) -> None:
        """y = (a - a_zero) (b - b_zero), int32."""
        a, b, a_zero, b_zero = inputs[:4]
        self._out(self._product(a, a_zero, self._weights(b, b_zero)), node.output[0], "INT32")

    def _to_float(self, node: onnx.NodeProto, inputs: list[str]) -> None:
        """y = a_scale b_scale (a - a_zero) (b - b_zero) + bias, float32."""
        a, b, a_scale, b_scale, a_zero, b_zero, bias = inputs[:7]
        y = self._product(a, a_zero, self._weights(b, b_zero))
        for scale in (a_scale, b_scale):
            y = self._op("Mul", y, self._float64(scale))
        if bias:
            y = self._op("Add", y, self._float64(bias))
        self._out(y, node.output[0], "FLOAT")

    def _lstm(self, node: onnx.NodeProto, inputs: list[str]) -> None:
        """One step of one direction, gates in ONNX's order i, o, f, c; inputs (1, B, I)."""
        x, w, r, bias = inputs[:4]
        h, c = (self._squeezed(self._float64(name)) for name in inputs[5:7])
        b = np.asarray(self._constant(bias), dtype=np.float64)[0]
        gates = self._const(b[: len(b) // 2] + b[len(b) // 2 :])
        for value, weights, (scale, zero) in ((x, w, inputs[8:10]), (inputs[5], r, inputs[10:12])):
            rounded, step, at = self._op(
                "DynamicQuantizeLinear", self._op("Squeeze", value, self._const([0])), outputs=3
            )
            scales = np.asarray(self._constant(scale), dtype=np.float64)[0]
            part = self._product(rounded, at, self._weights(weights, zero)[0])
            part = self._op("Mul", self._op("Mul", part, self._float64(step)), self._const(scales))
            gates = self._op("Add", gates, part)
        i, o, f, new = self._op("Split", gates, outputs=4, axis=-1, num_outputs=4)
        kept = self._op("Mul", self._op("Sigmoid", f), c)
        added = self._op("Mul", self._op("Sigmoid", i), self._op("Tanh", new))
        c = self._op("Add", kept, added)
        h = self._op("Mul", self._op("Sigmoid", o), self._op("Tanh", c))
        # Outputs: Y (1, 1, B, H), Y_h (1, B, H), Y_c (1, B, H).
        for name, value, axes in zip(node.output, (h, h, c), ([0, 1], [0], [0]), strict=False):
            if name:
                self._out(self._op("Unsqueeze", value, self._const(axes)), name, "FLOAT")

    def _product(self, a: str, zero: str, weights: npt.NDArray[np.float64]) -> str:
        value = self._float64(a)
        if zero:
            value = self._op("Sub", value, self._float64(zero))
        return self._op("MatMul", value, self._const(weights))

    def _weights(self, name: str, zero: str) -> npt.NDArray[np.float64]:
        value = np.asarray(self._constant(name), dtype=np.float64)
        if not zero:
            return value
        points = np.asarray(self._constant(zero), dtype=np.float64)
        return value - (points[:, None] if value.ndim == 3 else points)

    def _constant(self, name: str) -> npt.NDArray[np.generic]:
        found: npt.NDArray[np.generic] = numpy_helper.to_array(self._constants[name])
        return found

    def _const(self, value: npt.ArrayLike) -> str:
        name = self._name("const")
        self.made[name] = np.asarray(value)
        return name

    def _float64(self, name: str) -> str:
        return self._op("Cast", name, to=_F64)

    def _squeezed(self, name: str) -> str:
        return self._op("Squeeze", name, self._const([0]))

    def _out(self, value: str, name: str, kind: str) -> None:
        to = TensorProto.DataType.Value(kind)
        self._nodes.append(helper.make_node("Cast", [value], [f"{self._prefix}{name}"], to=to))

    def _op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: int) -> str:
        names = [self._name(kind) for _ in range(outputs)]
        self._nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names[0] if outputs == 1 else names  # type: ignore[return-value]

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{EXACT}{kind}_{self._count}"

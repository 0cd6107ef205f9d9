"""Graphs whose products are computed in int8, with scales that are fixed when the graph is made.

``MatMul(x, W)`` with a constant W becomes ``MatMulIntegerToFloat(QuantizeLinear(x), W')``: inputs
in 8 bits without sign, by one scale and zero point for each tensor, taken from what the graph does
with real inputs; weights in 8 bits with sign, by a scale for each column. Three times as fast as
float32 on processors with VNNI. Unlike dynamic quantisation the scales do not depend on what else
is in a call, so a stream that is cut anywhere gives the same numbers.

Where inputs come of a layer norm, their channels are first made equally large, at the cost of
weights that are less so, which the norm's own scale and shift do for nothing (SmoothQuant, Xiao et
al. 2023).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from partimento.runtime.sessions import session_of
from partimento.training.export.graph_builder import MICROSOFT
from partimento.training.export.int8_weights import with_own_weights

__all__ = ["quantise"]

F32 = npt.NDArray[np.float32]
Feeds = Sequence[Mapping[str, npt.NDArray[np.generic]]]
_LEAST = 4096  # numbers of a matrix; smaller products stay in float32
_KEPT = 20_000  # values of each tensor, from which its range is chosen
_SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)  # of the whole range, that are tried
_SMOOTH = 0.5  # how much of the inputs' unevenness moves into the weights
_LEVELS, _MOST_WEIGHT = 255, 127


@dataclass
class _Seen:
    """What a tensor held: some of its values, and the largest of each channel."""

    values: list[F32] = field(default_factory=list)
    most: F32 | None = None

    def add(self, value: F32, rng: np.random.Generator) -> None:
        flat = value.reshape(-1, value.shape[-1])
        most = np.abs(flat).max(axis=0)
        self.most = most if self.most is None else np.maximum(self.most, most)
        some = flat.reshape(-1)
        self.values.append(rng.choice(some, min(len(some), _KEPT)))
        self.values.append(np.array([some.min(), some.max()], dtype=np.float32))


def quantise(
    model: onnx.ModelProto, feeds: Feeds, seed: int = 0, keep: Iterable[str] = ()
) -> onnx.ModelProto:
    """Return a graph whose large constant products are computed in int8.

    ``feeds`` are real inputs; weights named in ``keep`` stay in float32.
    """
    out = onnx.ModelProto()
    out.CopyFrom(model)
    constants = {each.name: numpy_helper.to_array(each) for each in out.graph.initializer}
    kept = set(keep)
    products = [
        node
        for node in out.graph.node
        if node.op_type == "MatMul"
        and (weight := constants.get(node.input[1])) is not None
        and weight.ndim == 2
        and weight.size >= _LEAST
        and node.input[1] not in kept
    ]
    seen = _observed(out, sorted({node.input[0] for node in products}), feeds, seed)
    _smoothed(out, products, constants, seen)
    work = _Rewriting(out, constants, seen)
    for node in products:
        work.product(node)
    work.finish()
    return with_own_weights(out)


def _observed(
    model: onnx.ModelProto, names: Sequence[str], feeds: Feeds, seed: int
) -> dict[str, _Seen]:
    """Return what the tensors of these names hold when the graph runs."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    given = {entry.name for entry in probe.graph.input}
    inner = [name for name in names if name not in given]
    for name in inner:
        probe.graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    session = session_of(probe.SerializeToString())
    seen = {name: _Seen() for name in names}
    rng = np.random.default_rng(seed)
    for feed in feeds:
        made = session.run(inner, dict(feed)) if inner else []  # no names would mean all
        for name, value in zip(inner, made, strict=True):
            seen[name].add(value, rng)
        for name in given & set(names):
            seen[name].add(np.asarray(feed[name], dtype=np.float32), rng)
    return seen


def _smoothed(
    model: onnx.ModelProto,
    products: Sequence[onnx.NodeProto],
    constants: dict[str, npt.NDArray[np.generic]],
    seen: Mapping[str, _Seen],
) -> None:
    """Even out the channels of layer norms that feed products and nothing else."""
    for norm in [node for node in model.graph.node if node.op_type == "LayerNormalization"]:
        made = norm.output[0]
        users = [node for node in model.graph.node if made in node.input]
        if made not in seen or any(node not in products for node in users) or len(norm.input) < 3:
            continue
        found = seen[made]
        assert found.most is not None
        weights = np.max([np.abs(constants[node.input[1]]).max(axis=1) for node in users], axis=0)
        scale = np.maximum(found.most, 1e-5) ** _SMOOTH / np.maximum(weights, 1e-5) ** (1 - _SMOOTH)
        scale = (scale / np.exp(np.mean(np.log(scale)))).astype(np.float32)
        for name in norm.input[1:3]:
            constants[name] = constants[name] / scale
        for name in {node.input[1] for node in users}:
            constants[name] = constants[name] * scale[:, None]
        found.most = found.most / scale
        # The values were drawn without their channels: what is left is an upper bound of each.
        found.values = [np.concatenate([-found.most, found.most]).astype(np.float32)]


class _Rewriting:
    """Replaces products in a graph one by one."""

    def __init__(
        self,
        model: onnx.ModelProto,
        constants: dict[str, npt.NDArray[np.generic]],
        seen: Mapping[str, _Seen],
    ) -> None:
        self.model, self.constants, self.seen = model, constants, seen
        self.instead: dict[str, list[onnx.NodeProto]] = {}
        self.dropped: set[str] = set()
        self.rounded: dict[str, tuple[str, str, str]] = {}

    def product(self, node: onnx.NodeProto) -> None:
        """Plan the int8 form of one product, with the bias that is added to it."""
        x, weight = node.input[0], node.input[1]
        nodes = []
        if x not in self.rounded:
            scale, zero = _range(np.concatenate(self.seen[x].values))
            names = (f"{x}_int8", f"{x}_step", f"{x}_zero")
            self.constants[names[1]] = np.array(scale, dtype=np.float32)
            self.constants[names[2]] = np.array(zero, dtype=np.uint8)
            self.rounded[x] = names
            nodes.append(
                helper.make_node(
                    "QuantizeLinear", [x, *names[1:]], [names[0]], name=f"{x}_rounding"
                )
            )
        rounded, step, zero_name = self.rounded[x]
        if f"{weight}_int8" not in self.constants:
            value = np.asarray(self.constants.pop(weight), dtype=np.float32)
            steps = np.maximum(np.abs(value).max(axis=0) / _MOST_WEIGHT, 1e-12).astype(np.float32)
            self.constants[f"{weight}_int8"] = np.rint(value / steps).astype(np.int8)
            self.constants[f"{weight}_step"] = steps
        inputs = [rounded, f"{weight}_int8", step, f"{weight}_step", zero_name, ""]
        output, bias = self._bias(node)
        if bias:
            inputs.append(bias)
        nodes.append(
            helper.make_node(
                "MatMulIntegerToFloat", inputs, [output], name=node.name, domain=MICROSOFT
            )
        )
        self.instead[node.name] = nodes

    def _bias(self, node: onnx.NodeProto) -> tuple[str, str]:
        """Return what the product and its bias make, and the bias; "" if there is none."""
        made = node.output[0]
        users = [other for other in self.model.graph.node if made in other.input]
        is_output = any(entry.name == made for entry in self.model.graph.output)
        if len(users) == 1 and users[0].op_type == "Add" and not is_output:
            for name in users[0].input:
                if name in self.constants and self.constants[name].ndim == 1:
                    self.dropped.add(users[0].name)
                    return users[0].output[0], name
        return made, ""

    def finish(self) -> None:
        """Put what was planned into the graph."""
        graph = self.model.graph
        nodes: list[onnx.NodeProto] = []
        for node in graph.node:
            if node.name in self.instead:
                nodes += self.instead[node.name]
            elif node.name not in self.dropped:
                nodes.append(node)
        used = {name for node in nodes for name in node.input}
        tensors = [
            numpy_helper.from_array(np.ascontiguousarray(value), name)
            if value.ndim
            else numpy_helper.from_array(value, name)
            for name, value in self.constants.items()
            if name in used
        ]
        del graph.node[:]
        del graph.initializer[:]
        graph.node.extend(nodes)
        graph.initializer.extend(tensors)


def _range(values: F32) -> tuple[float, int]:
    """Return step and zero point of 8 bits without sign that lose least of some values."""
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    best, answer = np.inf, (1.0, 0)
    for share in _SHARES:
        step = max((high - low) * share / _LEVELS, 1e-8)
        zero = int(np.clip(np.rint(-low * share / step), 0, _LEVELS))
        back = (np.clip(np.rint(values / step) + zero, 0, _LEVELS) - zero) * step
        lost = float(np.mean((back - values) ** 2))
        if lost < best:
            best, answer = lost, (step, zero)
    return answer

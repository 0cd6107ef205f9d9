"""What an ONNX file says of itself, read without the ``onnx`` package.

A tensor of a graph may lie in another file (``external_data``), which no model folder hashes. This
walks the protocol buffer down to its tensors and finds those; see ``onnx.proto`` for the numbers of
the fields. Weights are skipped by their lengths, so that a graph of any size takes milliseconds.
"""

from __future__ import annotations

from partimento.errors import ModelError

__all__ = ["require_own_data"]

# For each message: the number of a field -> the message that it holds.
_FIELDS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse",
    },
    "function": {7: "node", 11: "attribute"},
    "training": {1: "graph", 2: "graph"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}  # fmt: skip
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # of a tensor: where its data lies; 1 if elsewhere
_MOST_FIELDS = 1_000_000
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5  # wire types


def require_own_data(data: bytes) -> None:
    """Raise unless all of an ONNX model's tensors lie in the file itself.

    Raises:
        ModelError: if a tensor lies elsewhere, or ``data`` is no ONNX model.
    """
    whole = memoryview(data)
    waiting = [("model", 0, len(whole))]
    seen = 0
    while waiting:
        kind, at, end = waiting.pop()
        inner = _FIELDS[kind]
        while at < end:
            seen += 1
            if seen > _MOST_FIELDS:
                raise ModelError("it has more parts than any model; install the model again")
            number, wire, start, at = _field(whole, at, end)
            if kind == "tensor" and number == _EXTERNAL_DATA:
                raise ModelError("it keeps weights in another file; export it in one file")
            if kind == "tensor" and number == _DATA_LOCATION and (wire or _varint(whole, start)[0]):
                raise ModelError("it keeps weights in another file; export it in one file")
            if wire == _LENGTH and number in inner:
                waiting.append((inner[number], start, at))


def _field(data: memoryview, at: int, end: int) -> tuple[int, int, int, int]:
    """Return number, wire type, and where the value of a field begins and ends."""
    tag, at = _varint(data, at)
    wire = tag & 7
    if wire == _LENGTH:
        length, at = _varint(data, at)
        after = at + length
    elif wire == _VARINT:
        after = _varint(data, at)[1]
    elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
        after = at + (8 if wire == _EIGHT_BYTES else 4)
    else:
        raise _no_model()
    if after > end:
        raise _no_model()
    return tag >> 3, wire, at, after


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return an integer of seven bits a byte, the lowest first, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise _no_model()


def _no_model() -> ModelError:
    return ModelError("it is no ONNX model; install the model again")

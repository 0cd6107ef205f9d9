"""Ways to spoil the bytes of a file, for ``benchmarks.fuzz``. Every draw takes a generator."""

from __future__ import annotations

import copy
import io
import json
import re
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["mutated", "mutated_config", "mutated_zip"]

_Draw = np.random.Generator
_MAX_BYTES, _SHORT_BYTES = 2**18, 2**12  # of a mutated file, and of most
_LONG_SHARE = 0.03  # of the inputs: large ones take most of the time
_MOST_CHANGES = 4
_NUMBER = re.compile(rb"\d+")
_WORD = re.compile(rb"[^\s\d]{1,12}")
_HUGE = (
    b"0", b"-1", b"1", b"99999999999", b"2147483648", b"1e999999", b"1e-99999", b"NaN", b"0.1",
    b"9" * 5000, b"1/0", b"65535",
)  # fmt: skip
_EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)
_OPENERS = (b"{", b"[", b"(", b'"', b"<a>", b"<!--", b"&", b"\t", b"|:", b"*^\t", b"\n", b"\x80")
_BOMB_BYTES = 2**25


def _flip(data: bytearray, _: Sequence[bytes], draw: _Draw) -> bytearray:
    for at in draw.integers(0, max(1, len(data)), int(draw.integers(1, 9))):
        if len(data):
            data[at] ^= 1 << int(draw.integers(8))
    return data


def _truncate(data: bytearray, _: Sequence[bytes], draw: _Draw) -> bytearray:
    return data[: int(draw.integers(0, len(data) + 1))]


def _splice(data: bytearray, others: Sequence[bytes], draw: _Draw) -> bytearray:
    """Put a piece of another file in the place of a piece of this one."""
    other = others[int(draw.integers(len(others)))]
    a, b = sorted(draw.integers(0, len(data) + 1, 2).tolist())
    c, d = sorted(draw.integers(0, len(other) + 1, 2).tolist())
    return data[:a] + other[c:d] + data[b:]


def _overwrite(data: bytearray, _: Sequence[bytes], draw: _Draw) -> bytearray:
    """Write a number at the edge of its range somewhere: a length or a count that lies."""
    size, order = int(draw.choice([1, 2, 4])), str(draw.choice(["big", "little"]))
    value = int(draw.choice(_EDGES)) & (256**size - 1)
    at = int(draw.integers(0, max(1, len(data) - size)))
    data[at : at + size] = value.to_bytes(size, "big" if order == "big" else "little")
    return data


def _number(data: bytearray, _: Sequence[bytes], draw: _Draw) -> bytearray:
    """Put a strange number in the place of a written one."""
    found = list(_NUMBER.finditer(bytes(data)))
    if not found:
        return data
    place = found[int(draw.integers(len(found)))]
    return data[: place.start()] + _HUGE[int(draw.integers(len(_HUGE)))] + data[place.end() :]


def _repeat(data: bytearray, _: Sequence[bytes], draw: _Draw) -> bytearray:
    """Repeat a piece, a word or a line many times."""
    found = list(_WORD.finditer(bytes(data)))
    if found and draw.random() < 0.5:
        place = found[int(draw.integers(len(found)))]
        a, b = place.start(), place.end()
    else:
        a = int(draw.integers(0, len(data) + 1))
        b = a + int(draw.integers(1, 60))
    piece = data[a:b]
    times = int(10 ** draw.uniform(0, 4.5))
    return data[:a] + piece * min(times, _MAX_BYTES // max(1, len(piece))) + data[b:]


def _nest(data: bytearray, _: Sequence[bytes], draw: _Draw) -> bytearray:
    """Open brackets, quotes and elements that nothing closes."""
    at = int(draw.integers(0, len(data) + 1))
    opener = _OPENERS[int(draw.integers(len(_OPENERS)))]
    return data[:at] + opener * int(10 ** draw.uniform(0, 4.8)) + data[at:]


_CHANGES: tuple[Callable[[bytearray, Sequence[bytes], _Draw], bytearray], ...] = (
    _flip, _truncate, _splice, _overwrite, _number, _repeat, _nest,
)  # fmt: skip


def mutated(seeds: Sequence[bytes], draw: _Draw) -> bytes:
    """Return one of some files, changed in one to four ways."""
    data = bytearray(seeds[int(draw.integers(len(seeds)))])
    limit = _MAX_BYTES if draw.random() < _LONG_SHARE else max(_SHORT_BYTES, 2 * len(data))
    for _ in range(int(draw.integers(1, _MOST_CHANGES + 1))):
        data = _CHANGES[int(draw.integers(len(_CHANGES)))](data, seeds, draw)[:limit]
    return bytes(data)


def mutated_zip(seeds: Sequence[bytes], draw: _Draw) -> bytes:
    """Return a spoilt archive: its own bytes, its members packed again, or a bomb in it."""
    if draw.random() < 0.4:
        return mutated(seeds, draw)
    with zipfile.ZipFile(io.BytesIO(seeds[int(draw.integers(len(seeds)))])) as opened:
        members = {name: opened.read(name) for name in opened.namelist()}
    names = list(members)
    name = names[int(draw.integers(len(names)))]
    if draw.random() < 0.01:
        members[name] += b" " * _BOMB_BYTES
    elif draw.random() < 0.05:
        members |= {f"{number}/{name}": b"" for number in range(int(10 ** draw.uniform(1, 4)))}
    else:
        members[name] = mutated(list(members.values()), draw)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for each, data in members.items():
            packed.writestr(each, data)
    data = out.getvalue()
    return mutated([data], draw) if draw.random() < 0.2 else data


_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 3, 0.5, 10**6, 2**31, 10**400, -(10**12), float("nan"), float("inf"), "",
    "../other.onnx", "\x1b[2J", "x" * 5000, [], {}, [[]] * 50, {"": None},
)  # fmt: skip


def mutated_config(text: str, draw: _Draw) -> str:
    """Return a JSON text in which a value is another one, is gone, or holds strange keys."""
    values = json.loads(text)
    for _ in range(int(draw.integers(1, _MOST_CHANGES))):
        holder, key = values, None
        while isinstance(holder, dict | list) and len(holder):
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            key = keys[int(draw.integers(len(keys)))]
            inner = holder[key]
            if not isinstance(inner, dict | list) or not inner or draw.random() < 0.2:
                break
            holder = inner
        if key is None:
            continue
        if draw.random() < 0.15:
            del holder[key]
        else:
            holder[key] = copy.deepcopy(_VALUES[int(draw.integers(len(_VALUES)))])
    return json.dumps(values)

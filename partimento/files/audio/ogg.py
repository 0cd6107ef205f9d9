"""The serial number of Ogg streams, which encoders draw by chance and we hold constant.

Without it the same sound would never be the same bytes twice. The page format is RFC 3533.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

__all__ = ["settle_serial"]

_SERIAL = 1
_HEADER_PAGES = 8  # more than the headers of any stream take
_SERIAL_AT, _CHECKSUM_AT, _COUNT_AT, _SIZES_AT = 14, 22, 26, 27  # places inside a page
_POLYNOMIAL = 0x04C11DB7


def _table_entry(byte: int) -> int:
    value = byte << 24
    for _ in range(8):
        value = (value << 1) ^ (_POLYNOMIAL if value & 0x80000000 else 0)
    return value & 0xFFFFFFFF


_TABLE = tuple(_table_entry(byte) for byte in range(256))


def settle_serial(path: Path, old: bytes = b"", new: bytes = b"") -> None:
    """Give every page of an Ogg file of one stream the same serial number, in place.

    Where ``old`` stands whole in one of the first pages, ``new`` of the same length takes its
    place. One page is in memory at a time, and only a page with another text is summed again: the
    checksum is linear, so another serial number changes it by the sum of the change alone.
    """
    with path.open("r+b") as file:
        changes: _Changes | None = None
        at = index = 0
        while (page := _page(file, at))[:4] == b"OggS":
            if changes is None:
                before = page[_SERIAL_AT : _SERIAL_AT + 4]
                settled = struct.pack("<I", _SERIAL)
                changes = _Changes(bytes(a ^ b for a, b in zip(before, settled, strict=True)))
            struct.pack_into("<I", page, _SERIAL_AT, _SERIAL)
            if old and index < _HEADER_PAGES and old in page:
                page = page.replace(old, new)
                struct.pack_into("<I", page, _CHECKSUM_AT, 0)
                checksum = _checksum(page)
            else:
                (checksum,) = struct.unpack_from("<I", page, _CHECKSUM_AT)
                checksum ^= changes.before(len(page) - _SERIAL_AT - 4)
            struct.pack_into("<I", page, _CHECKSUM_AT, checksum)
            file.seek(at)
            file.write(page if index < _HEADER_PAGES else page[: _CHECKSUM_AT + 4])
            at, index = at + len(page), index + 1


def _page(file: BinaryIO, at: int) -> bytearray:
    """Return the whole page at a place; nothing at the end of the file."""
    file.seek(at)
    head = file.read(_SIZES_AT)
    sizes = file.read(head[_COUNT_AT]) if len(head) == _SIZES_AT else b""
    return bytearray(head + sizes + file.read(sum(sizes)))


class _Changes:
    """The checksums of four bytes with any number of zeros behind them, each found once."""

    def __init__(self, change: bytes) -> None:
        self._known = [_checksum(bytearray(change))]

    def before(self, zeros: int) -> int:
        """Return the checksum of the bytes before so many zeros."""
        while len(self._known) <= zeros:
            value = self._known[-1]
            self._known.append(((value << 8) & 0xFFFFFFFF) ^ _TABLE[value >> 24])
        return self._known[zeros]


def _checksum(page: bytearray) -> int:
    value = 0
    for byte in page:
        value = ((value << 8) & 0xFFFFFFFF) ^ _TABLE[(value >> 24) ^ byte]
    return value

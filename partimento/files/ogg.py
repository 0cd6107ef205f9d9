"""The serial number of Ogg streams, which encoders draw by chance and we hold constant.

Without it the same sound would never be the same bytes twice. The page format is RFC 3533.
"""

from __future__ import annotations

import struct
from pathlib import Path

__all__ = ["settle_serial"]

_SERIAL = 1
_SERIAL_AT, _CHECKSUM_AT, _COUNT_AT, _SIZES_AT = 14, 22, 26, 27  # places inside a page
_POLYNOMIAL = 0x04C11DB7


def _table_entry(byte: int) -> int:
    value = byte << 24
    for _ in range(8):
        value = (value << 1) ^ (_POLYNOMIAL if value & 0x80000000 else 0)
    return value & 0xFFFFFFFF


_TABLE = tuple(_table_entry(byte) for byte in range(256))


def settle_serial(path: Path) -> None:
    """Give every page of an Ogg file of one stream the same serial number, in place."""
    data = bytearray(path.read_bytes())
    at = 0
    while data[at : at + 4] == b"OggS":
        sizes = data[at + _SIZES_AT : at + _SIZES_AT + data[at + _COUNT_AT]]
        end = at + _SIZES_AT + len(sizes) + sum(sizes)
        struct.pack_into("<I", data, at + _SERIAL_AT, _SERIAL)
        struct.pack_into("<I", data, at + _CHECKSUM_AT, 0)
        struct.pack_into("<I", data, at + _CHECKSUM_AT, _checksum(data[at:end]))
        at = end
    path.write_bytes(data)


def _checksum(page: bytearray) -> int:
    value = 0
    for byte in page:
        value = ((value << 8) & 0xFFFFFFFF) ^ _TABLE[(value >> 24) ^ byte]
    return value

"""The events of standard MIDI files as values, and their bytes.

Written after the Standard MIDI Files 1.0 specification (MIDI Manufacturers Association, RP-001).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

__all__ = [
    "DRUM_CHANNEL",
    "END_OF_TRACK",
    "KEY",
    "LYRIC",
    "MARKER",
    "MAX_DELTA",
    "METRE",
    "OUR_CHORD",
    "OUR_LAYERS",
    "OUR_LENGTH",
    "OUR_RECIPE",
    "PAN",
    "PITCHED_CHANNELS",
    "PORT",
    "SUSTAIN",
    "TEMPO",
    "TEXT",
    "TRACK_NAME",
    "VOLUME",
    "Event",
    "MidiBytesError",
    "delta_bytes",
    "file_bytes",
    "is_drum_channel",
    "meta",
    "track_bytes",
    "variable",
]

TEXT, TRACK_NAME, LYRIC, MARKER, PORT, END_OF_TRACK = 0x01, 0x03, 0x05, 0x06, 0x21, 0x2F
TEMPO, METRE, KEY = 0x51, 0x58, 0x59
VOLUME, PAN, SUSTAIN = 7, 10, 64  # controllers
DRUM_CHANNEL = 9
PITCHED_CHANNELS = tuple(channel for channel in range(16) if channel != DRUM_CHANNEL)
# Texts by which files that were written here say what MIDI has no event for.
OUR_RECIPE, OUR_LENGTH, OUR_CHORD = "partimento-recipe: ", "partimento-length: ", "chord: "
OUR_LAYERS = "partimento-layers: "  # of a track whose notes of one pitch overlap: its channels
MAX_DELTA = 0x0FFFFFFF


class MidiBytesError(ValueError):
    """Bytes that are no standard MIDI file; the text says where."""


class Event(NamedTuple):
    """One event that is no note.

    ``status`` is 0xFF for a meta event (``kind`` is then its type), 0xF0 or 0xF7 for a system
    exclusive message or an escape, 0x80 to 0xEF for a channel message (``channel`` is then
    ``port * 16 + channel``), and another 0xF. for a system message that has no place in a file.
    ``at`` is where its delta time starts in the bytes of the file.
    """

    tick: int
    status: int
    kind: int
    data: bytes
    channel: int
    at: int

    def encoded(self) -> bytes:
        """Return the bytes of the event without its delta time."""
        if self.status == 0xFF:
            return meta(self.kind, self.data)
        if self.status in (0xF0, 0xF7):
            return bytes((self.status,)) + delta_bytes(len(self.data)) + self.data
        return bytes((self.status,)) + self.data


def is_drum_channel(channel: int) -> bool:
    """Return whether a channel, of any port, is the tenth."""
    return channel & 0x0F == DRUM_CHANNEL


def variable(data: bytes, at: int) -> tuple[int, int]:
    """Return (value, where it ends) of a number of variable length, such as a delta time.

    Raises:
        IndexError: if the bytes end inside it.
    """
    value = 0
    for _ in range(4):
        byte = data[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            break
    return value, at


def delta_bytes(value: int) -> bytes:
    """Return a number of variable length.

    Raises:
        MidiBytesError: if it is longer than 28 bits.
    """
    if value < 0x80:
        return bytes((value,))
    if value > MAX_DELTA:
        raise MidiBytesError(f"MIDI holds no time step longer than {MAX_DELTA} ticks")
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(value & 0x7F | 0x80)
    return bytes(reversed(out))


def meta(kind: int, data: bytes) -> bytes:
    """Return a meta event without its delta time."""
    return bytes((0xFF, kind)) + delta_bytes(len(data)) + data


def track_bytes(events: Iterable[tuple[int, bytes]], end_tick: int = 0) -> bytes:
    """Return an MTrk chunk of (tick, event bytes) in order, ended at ``end_tick`` or later.

    Raises:
        MidiBytesError: if two events lie further apart than MIDI can say.
    """
    parts: list[bytes] = []
    now = 0
    for tick, data in events:
        parts.append(delta_bytes(tick - now))
        parts.append(data)
        now = tick
    parts.append(delta_bytes(max(0, end_tick - now)))
    parts.append(meta(END_OF_TRACK, b""))
    body = b"".join(parts)
    return b"MTrk" + struct.pack(">I", len(body)) + body


def file_bytes(ticks_per_quarter: int, chunks: list[bytes], kind: int = 1) -> bytes:
    """Return a MIDI file of the track chunks."""
    return (
        b"MThd" + struct.pack(">IHHH", 6, kind, len(chunks), ticks_per_quarter) + b"".join(chunks)
    )

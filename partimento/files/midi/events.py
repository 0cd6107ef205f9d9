"""The bytes of standard MIDI files: chunks, leading events, and a writer.

symusic reads notes fast, but drops text events, tracks without notes and notes that are never
switched off, and cannot write text events. The few bytes that it leaves over are handled here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

__all__ = [
    "END_OF_TRACK",
    "KEY",
    "LYRIC",
    "MARKER",
    "METRE",
    "TEMPO",
    "TEXT",
    "TRACK_NAME",
    "Chunk",
    "Event",
    "MidiBytesError",
    "closed_chunk",
    "decode_text",
    "encode_text",
    "file_bytes",
    "meta",
    "split_file",
    "track_bytes",
    "track_name",
    "variable",
    "walk",
]

TEXT, TRACK_NAME, LYRIC, MARKER, END_OF_TRACK = 0x01, 0x03, 0x05, 0x06, 0x2F
TEMPO, METRE, KEY = 0x51, 0x58, 0x59
_MAX_DELTA = 0x0FFFFFFF
_ALL_OFF = b"".join(
    bytes((0x80 | channel, pitch, 0, 0)) for channel in range(16) for pitch in range(128)
)


class MidiBytesError(ValueError):
    """Bytes that are no standard MIDI file; the text says where."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event: ``status`` 0xFF for meta (then ``kind`` is its type), else a channel message."""

    tick: int
    status: int
    kind: int
    data: bytes


@dataclass
class Chunk:
    """One MTrk chunk: its bytes and what stands before its first note."""

    data: bytes
    events: list[Event] = field(default_factory=list)
    has_notes: bool = False
    end_tick: int | None = None  # only known for a chunk without notes


def split_file(data: bytes) -> tuple[int, int, list[Chunk]]:
    """Return (type, division, track chunks) of a MIDI file; foreign chunks are passed over.

    Raises:
        MidiBytesError: if the header or a chunk is wrong or cut short.
    """
    if not data:
        raise MidiBytesError("the file is empty")
    if data[:4] == b"RIFF" and data[8:12] == b"RMID":
        at = data.find(b"MThd")
        data = data[at:] if at > 0 else data
    if data[:4] != b"MThd":
        raise MidiBytesError("this is no MIDI file (it does not start with MThd)")
    if len(data) < 14:
        raise MidiBytesError("the file is cut short in its header")
    size, kind, _, division = struct.unpack(">IHHH", data[4:14])
    at = 8 + size
    chunks: list[Chunk] = []
    while at + 8 <= len(data):
        name, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "big")
        body = data[at + 8 : at + 8 + length]
        if name == b"MTrk":
            number = len(chunks) + 1
            if len(body) < length:
                raise MidiBytesError(
                    f"the file is cut short in track {number} ({len(body)} of {length} bytes)"
                )
            chunks.append(_scanned(body, number))
        at += 8 + length
    if not chunks:
        raise MidiBytesError("the file is cut short: it has no tracks")
    return kind, division, chunks


def _scanned(body: bytes, number: int) -> Chunk:
    """Return the chunk with the events before its first note; the walk stops there."""
    chunk = Chunk(body)
    try:
        for event in walk(body):
            if event.status & 0xF0 in (0x80, 0x90):
                chunk.has_notes = True
                chunk.events.append(event)
                return chunk
            chunk.end_tick = event.tick
            chunk.events.append(event)
    except IndexError:
        raise MidiBytesError(f"the file is cut short inside an event of track {number}") from None
    return chunk


def walk(body: bytes) -> Iterator[Event]:
    """Yield the events of a track chunk up to its end-of-track event.

    Raises:
        IndexError: if the bytes end inside an event.
        MidiBytesError: if a data byte stands where no status rules.
    """
    at, tick, running, size = 0, 0, 0, len(body)
    while at < size:
        delta, at = variable(body, at)
        tick += delta
        status = body[at]
        if status < 0x80:
            if not running:
                raise MidiBytesError(f"a data byte without status stands at tick {tick}")
            status = running
        else:
            at += 1
        if status >= 0xF0:
            kind = 0
            if status == 0xFF:
                kind = body[at]
                at += 1
            length, at = variable(body, at)
            if at + length > size:
                raise IndexError
            yield Event(tick, status, kind, body[at : at + length])
            at += length
            if kind == END_OF_TRACK:
                return
        else:
            running = status
            length = 1 if status & 0xF0 in (0xC0, 0xD0) else 2
            if at + length > size:
                raise IndexError
            yield Event(tick, status, 0, body[at : at + length])
            at += length


def variable(body: bytes, at: int) -> tuple[int, int]:
    """Return (value, where it ends) of a number of variable length, such as a delta time."""
    value = 0
    for _ in range(4):
        byte = body[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            break
    return value, at


def closed_chunk(body: bytes) -> bytes:
    """Return the chunk with every note switched off just before its end of track.

    So notes that are never switched off end with their track instead of being lost.
    """
    if not body.endswith(b"\xff\x2f\x00"):
        # Each event already carries the delta of the next; the first gets one here.
        return body + b"\x00" + _ALL_OFF + b"\xff\x2f\x00"
    return body[:-3] + _ALL_OFF + b"\xff\x2f\x00"


def decode_text(data: bytes) -> str:
    """Return the text of a meta event: UTF-8, or Latin-1 where it is not that."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def encode_text(text: str) -> bytes:
    """Return text as UTF-8; what cannot be said in UTF-8 becomes ``?``."""
    return text.encode("utf-8", errors="replace")


def track_name(chunk: Chunk) -> str:
    """Return the first name that stands before the first note of a chunk; empty for none."""
    for event in chunk.events:
        if event.status == 0xFF and event.kind == TRACK_NAME:
            name = decode_text(event.data).rstrip("\0")
            if name:
                return name
    return ""


def meta(kind: int, data: bytes) -> bytes:
    """Return a meta event without its delta time."""
    return bytes((0xFF, kind)) + _variable_bytes(len(data)) + data


def _variable_bytes(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    if value > _MAX_DELTA:
        raise MidiBytesError(f"MIDI holds no time step longer than {_MAX_DELTA} ticks")
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(value & 0x7F | 0x80)
    return bytes(reversed(out))


def track_bytes(events: Iterable[tuple[int, bytes]], end_tick: int = 0) -> bytes:
    """Return an MTrk chunk of (tick, event bytes) in order, ended at ``end_tick`` or later.

    Raises:
        MidiBytesError: if two events lie further apart than MIDI can say.
    """
    parts: list[bytes] = []
    now = 0
    for tick, data in events:
        parts.append(_variable_bytes(tick - now))
        parts.append(data)
        now = tick
    parts.append(_variable_bytes(max(0, end_tick - now)))
    parts.append(meta(END_OF_TRACK, b""))
    body = b"".join(parts)
    return b"MTrk" + struct.pack(">I", len(body)) + body


def file_bytes(ticks_per_quarter: int, chunks: list[bytes]) -> bytes:
    """Return a type 1 MIDI file."""
    return b"MThd" + struct.pack(">IHHH", 6, 1, len(chunks), ticks_per_quarter) + b"".join(chunks)

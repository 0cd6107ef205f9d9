"""MIDI bytes to tracks of events: the one parser of MIDI files.

It is total: any bytes give tracks or a ``MidiBytesError``, in time and memory that the limits below
bound. Where a file contradicts itself (the length of a chunk, the number of tracks) the events
decide, and a remark says so.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from partimento.files.midi.events import END_OF_TRACK, PORT, Event, MidiBytesError, variable

__all__ = [
    "MAX_BYTES",
    "MAX_EVENTS",
    "MAX_NOTES",
    "MidiFile",
    "Strike",
    "TrackChunk",
    "parse",
    "spans",
]

MAX_BYTES = 2**23
MAX_NOTES = 1_000_000
MAX_EVENTS = 500_000  # that are no notes
_TOO_MANY_EVENTS = f"the file holds more than {MAX_EVENTS:,} events beside notes"
_MAX_CHUNKS = 0xFFFF
_ALL_SOUND_OFF, _ALL_NOTES_OFF = 120, 123
# Data bytes of the messages F1 to F6; the others of F8 to FE have none.
_SYSTEM_LENGTHS = {0xF1: 1, 0xF2: 2, 0xF3: 1}


# A note of a track: (onset tick, pitch, length in ticks, velocity, place of the event that starts
# it in the file, place of the event that ends it). The last is -1 for a note that is never switched
# off. A plain tuple, since files hold so many; it sorts as ``Note`` does.
Strike = tuple[int, int, int, int, int, int]
_Held = tuple[int, int, int]  # onset tick, velocity, place of its event


@dataclass(slots=True)
class TrackChunk:
    """One MTrk chunk.

    Attributes:
        start, stop: where its events lie in the file, its end of track included.
        following: where the next chunk is.
        end_tick: when it ends.
        events: meta events but the end of track, and system messages.
        messages: channel messages that are no notes.
        strikes: the notes by channel (``port * 16 + channel``), in the order of their ends.
        releases: (tick, channel, pitch, place in the file) of note-offs that end no note.
        hanging: the channels with notes that are never switched off.
        damaged: how many channel messages were left out, because a data byte is none.
    """

    start: int
    stop: int = 0
    following: int = 0
    end_tick: int = 0
    events: list[Event] = field(default_factory=list)
    messages: list[Event] = field(default_factory=list)
    strikes: defaultdict[int, list[Strike]] = field(default_factory=lambda: defaultdict(list))
    releases: list[tuple[int, int, int, int]] = field(default_factory=list)
    damaged: int = 0
    hanging: set[int] = field(default_factory=set)

    @property
    def note_count(self) -> int:
        """How many notes it holds."""
        return sum(map(len, self.strikes.values()))


@dataclass(frozen=True, slots=True)
class MidiFile:
    """A parsed file; ``remarks`` say where it contradicts itself. ``data`` is without wrapping."""

    data: bytes
    kind: int
    division: int
    chunks: tuple[TrackChunk, ...]
    remarks: tuple[str, ...]


def parse(data: bytes) -> MidiFile:
    """Return the tracks of a MIDI file, plain or in a RIFF; foreign chunks are passed over.

    Raises:
        MidiBytesError: if it is no MIDI file, is cut short, or is larger than the limits.
    """
    if not data:
        raise MidiBytesError("the file is empty")
    if len(data) > MAX_BYTES:
        raise MidiBytesError(f"the file is larger than {MAX_BYTES // 2**20} MiB")
    data = _unwrapped(data)
    if data[:4] != b"MThd":
        raise MidiBytesError("this is no MIDI file (it does not start with MThd)")
    if len(data) < 14:
        raise MidiBytesError("the file is cut short in its header")
    size, kind, declared, division = struct.unpack(">IHHH", data[4:14])
    remarks: list[str] = []
    chunks: list[TrackChunk] = []
    notes = events = 0
    at = 8 + size if data[8 + size : 12 + size] == b"MTrk" else max(data.find(b"MTrk"), 14)
    while at + 8 <= len(data) and len(chunks) < _MAX_CHUNKS:
        length = int.from_bytes(data[at + 4 : at + 8], "big")
        if data[at : at + 4] == b"MTrk":
            chunk, at = _chunk(data, at + 8, length, len(chunks) + 1, remarks)
            chunk.following = at
            chunks.append(chunk)
            notes += chunk.note_count
            if notes > MAX_NOTES:
                raise MidiBytesError(f"the file holds more than {MAX_NOTES:,} notes")
            events += len(chunk.events) + len(chunk.messages)
            if events > MAX_EVENTS:
                raise MidiBytesError(_TOO_MANY_EVENTS)
        elif at + 8 + length > len(data):
            following = data.find(b"MTrk", at + 1)
            at = len(data) if following < 0 else following
        else:
            at += 8 + length
    if not chunks:
        raise MidiBytesError("the file is cut short: it has no tracks")
    _end_hanging(chunks)
    if declared != len(chunks):
        remarks.append(f"its header counts {declared} tracks, and {len(chunks)} are there")
    return MidiFile(data, kind, division, tuple(chunks), tuple(remarks))


def _unwrapped(data: bytes) -> bytes:
    """Return the MIDI file in a RIFF file of type RMID (RP-029); other data as they are."""
    if data[:4] != b"RIFF" or data[8:12] != b"RMID":
        return data
    at = 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == b"data" and data[at + 8 : at + 12] == b"MThd":
            return data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    found = data.find(b"MThd")
    return data[found:] if found > 0 else data


def _chunk(
    data: bytes, start: int, length: int, number: int, remarks: list[str]
) -> tuple[TrackChunk, int]:
    """Return the track whose events start at ``start``, and where the next chunk is.

    The end of track decides where a track ends. The length that the chunk declares is believed
    where another chunk, or the end of the file, stands behind it.
    """
    declared = start + length
    is_plausible = declared == len(data) or data[declared : declared + 4] == b"MTrk"
    chunk, is_ended = _tried(data, start, min(declared, len(data)))
    if not is_ended and declared > len(data):
        raise MidiBytesError(
            f"the file is cut short in track {number} ({len(data) - start} of {length} bytes)"
        )
    if not is_ended and not is_plausible:
        longer, is_ended = _tried(data, start, len(data))
        chunk = longer if is_ended else chunk
    if chunk is None:
        raise MidiBytesError(f"the file is cut short inside an event of track {number}")
    stop = chunk.stop
    if stop == declared or (is_plausible and data[stop : stop + 4] != b"MTrk"):
        return chunk, declared
    if declared < len(data) and stop < declared and data.find(b"MTrk", stop, declared + 4) < 0:
        return chunk, declared  # padding, then a foreign chunk
    remarks.append(f"track {number} is {stop - start} bytes long, not {length} as it declares")
    following = data.find(b"MTrk", stop)
    return chunk, len(data) if following < 0 else following


def _tried(data: bytes, start: int, limit: int) -> tuple[TrackChunk | None, bool]:
    """Return the track up to ``limit``, None if that cuts an event; and whether it is ended."""
    chunk = TrackChunk(start)
    try:
        return chunk, _walk(data, chunk, limit)
    except IndexError:
        return None, False


def _walk(data: bytes, chunk: TrackChunk, limit: int) -> bool:
    """Read the events of a chunk up to its end of track; return whether it has one.

    Raises:
        IndexError: if the bytes up to ``limit`` end inside an event.
        MidiBytesError: if a data byte stands where no status rules, or there is too much.
    """
    at, tick, running, port = chunk.start, 0, 0, 0
    held: dict[int, _Held] = {}  # by channel and pitch
    waiting: dict[int, deque[_Held]] = {}  # those that start while one is held
    strikes, is_ended = chunk.strikes, False
    while at < limit:
        start = at
        delta = data[at]
        at += 1
        if delta > 127:
            delta, at = (delta & 127) << 7 | data[at] & 127, at + 1
            if data[at - 1] > 127:
                delta, at = variable(data, start)
        tick += delta
        status = data[at]
        if status > 127:
            at += 1
        elif not (status := running):
            raise MidiBytesError(f"a data byte without status stands at tick {tick}")
        if status < 0xA0:
            running = status
            pitch, velocity = data[at], data[at + 1]
            at += 2
            if (pitch | velocity) > 127:
                if pitch > 127:
                    chunk.damaged += 1
                    continue
                velocity = 127
            key = (port | status & 0x0F) << 7 | pitch
            if velocity and status > 0x8F:
                if key in held:
                    waiting.setdefault(key, deque()).append((tick, velocity, start))
                else:
                    held[key] = (tick, velocity, start)
            elif key in held:
                onset, loudness, on_at = held.pop(key)
                strike = (onset, pitch, tick - onset or 1, loudness, on_at, start)
                strikes[key >> 7].append(strike)
                if key in waiting:
                    _hold_next(held, waiting, key)
            else:
                chunk.releases.append((tick, key >> 7, pitch, start))
            continue
        if status < 0xF0:
            running = status
        at, port, is_ended = _take(data, chunk, at, status, (tick, port, start))
        if is_ended:
            break
    if at > limit:
        raise IndexError
    chunk.stop, chunk.end_tick = at, tick
    _end_held(chunk, [*((key, (first,)) for key, first in held.items()), *waiting.items()])
    return is_ended


def _hold_next(held: dict[int, _Held], waiting: dict[int, deque[_Held]], key: int) -> None:
    """Of several notes of one pitch that sound at once, a note-off ends the first."""
    held[key] = waiting[key].popleft()
    if not waiting[key]:
        del waiting[key]


def _take(
    data: bytes, chunk: TrackChunk, at: int, status: int, place: tuple[int, int, int]
) -> tuple[int, int, bool]:
    """Give a chunk the event behind a status, unless it is damaged or the end of track.

    ``place`` is (tick, port, where the event starts).

    Returns:
        Where the next event starts, its port, and whether this one is the end of track.
    """
    tick, port, start = place
    if len(chunk.events) + len(chunk.messages) > MAX_EVENTS:
        raise MidiBytesError(_TOO_MANY_EVENTS)
    kind, at, end = _extent(data, at, status)
    payload = data[at:end]
    if status == 0xFF and kind == END_OF_TRACK:
        return end, port, True
    if status >= 0xF0:
        chunk.events.append(Event(tick, status, kind, payload, -1, start))
        if kind == PORT and payload:
            port = payload[0] << 4
    elif payload.isascii():  # no byte above 127
        channel = port | status & 0x0F
        # As Event(...), without a call of a function of Python.
        event = tuple.__new__(Event, (tick, status, 0, payload, channel, start))
        chunk.messages.append(event)
    else:
        chunk.damaged += 1
    return end, port, False


def _extent(data: bytes, at: int, status: int) -> tuple[int, int, int]:
    """Return (type of a meta event, where its data start, where they end) behind a status."""
    if status < 0xF0:
        return 0, at, at + (1 if 0xC0 <= status < 0xE0 else 2)
    kind = 0
    if status == 0xFF:
        kind = data[at]
        at += 1
    elif status not in (0xF0, 0xF7):
        return kind, at, at + _SYSTEM_LENGTHS.get(status, 0)
    length, at = variable(data, at)
    return kind, at, at + length


def spans(data: bytes, chunk: TrackChunk) -> Iterator[tuple[int, int, bytes]]:
    """Yield (tick, place in the file, bytes) of every event of a chunk but its end of track.

    The bytes have a status and no delta time. Notes are among them, as is what is damaged.
    """
    at, tick, running = chunk.start, 0, 0
    while at < chunk.stop:
        start = at
        delta, at = variable(data, at)
        tick += delta
        status = data[at] if data[at] > 127 else running
        at += data[at] > 127
        if status < 0xF0:
            running = status
        kind, _, end = _extent(data, at, status)
        if status == 0xFF and kind == END_OF_TRACK:
            return
        yield tick, start, bytes((status,)) + data[at:end]
        at = end


def _end_held(chunk: TrackChunk, held: Sequence[tuple[int, Collection[_Held]]]) -> None:
    """End the notes of a chunk that are never switched off with their track."""
    if chunk.note_count + sum(len(notes) for _, notes in held) > MAX_NOTES:
        raise MidiBytesError(f"a track holds more than {MAX_NOTES:,} notes")
    for key, notes in held:
        for onset, velocity, on_at in notes:
            ticks = chunk.end_tick - onset or 1
            chunk.strikes[key >> 7].append((onset, key & 0x7F, ticks, velocity, on_at, -1))
            chunk.hanging.add(key >> 7)


def _end_hanging(chunks: list[TrackChunk]) -> None:
    """End notes that are never switched off in their track where another message ends them.

    The tracks of a file share channels, so the note-off, or the controller that ends all notes of
    the channel, may stand in any of them.
    """
    hanging = {channel for chunk in chunks for channel in chunk.hanging}
    if not hanging:
        return
    stops: dict[tuple[int, int], list[int]] = {}  # by channel and pitch; -1 is all pitches
    for chunk in chunks:
        for tick, channel, pitch, _ in chunk.releases:
            stops.setdefault((channel, pitch), []).append(tick)
        for event in chunk.messages:
            if event.status & 0xF0 == 0xB0 and event.data[0] in (_ALL_SOUND_OFF, _ALL_NOTES_OFF):
                stops.setdefault((event.channel, -1), []).append(event.tick)
    for ticks in stops.values():
        ticks.sort()
    for chunk in chunks:
        for channel in chunk.strikes.keys() & hanging:
            chunk.strikes[channel] = [
                strike if strike[-1] >= 0 else _ended(strike, channel, stops)
                for strike in chunk.strikes[channel]
            ]


def _ended(strike: Strike, channel: int, stops: dict[tuple[int, int], list[int]]) -> Strike:
    onset, pitch, ticks, velocity, on_at, off_at = strike
    ends = [onset + ticks]
    for key in ((channel, pitch), (channel, -1)):
        found = stops.get(key, [])
        after = bisect_right(found, onset)
        ends += found[after : after + 1]
    return (onset, pitch, min(ends) - onset, velocity, on_at, off_at)

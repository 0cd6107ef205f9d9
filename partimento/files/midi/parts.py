"""Which notes of a MIDI file are one track, and what its channel says of them.

The tracks of a file share its channels: a program, a level or a pedal holds for all notes of the
channel from then on, whichever track sets it. A port (meta event 0x21) has channels of its own.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from partimento.files.midi.chunks import MidiFile, Strike, TrackChunk
from partimento.files.midi.events import OUR_LAYERS, SUSTAIN, TEXT, Event, is_drum_channel
from partimento.music import Pedal

__all__ = ["Channels", "TrackPart", "parts_of"]

_LAYERS = OUR_LAYERS.encode()


@dataclass(frozen=True, slots=True)
class TrackPart:
    """The notes of one track of the score: its chunk, and the notes by channel.

    There are several channels only where the chunk is marked as written here in layers, and no
    notes only where nothing else plays the channel.
    """

    chunk: int
    program: int
    strikes: Mapping[int, Sequence[Strike]]

    @property
    def channel(self) -> int:
        """The first of its channels."""
        return min(self.strikes)

    @property
    def is_drum(self) -> bool:
        """Whether it is on the tenth channel of a port."""
        return is_drum_channel(self.channel)

    def all_strikes(self) -> Iterator[Strike]:
        """Yield the notes of all channels."""
        return chain.from_iterable(self.strikes.values())


class Channels:
    """The programs and controllers of each channel, from all tracks."""

    def __init__(self, chunks: Iterable[TrackChunk]) -> None:
        self._programs: dict[int, list[tuple[int, int, int, int]]] = defaultdict(list)
        self._controls: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        for number, chunk in enumerate(chunks):
            for event in chunk.messages:
                family = event.status & 0xF0
                if family == 0xC0:
                    row = (event.tick, event.at, number, event.data[0])
                    self._programs[event.channel].append(row)
                elif family == 0xB0:
                    control, value = event.data
                    self._controls[event.channel, control].append((event.tick, value))
        for rows in self._controls.values():
            rows.sort(key=lambda row: row[0])  # at one tick, as the file has them

    def programs(self, channel: int, chunk: int) -> tuple[list[tuple[int, int]], list[int]]:
        """Return when ((tick, place in the file)) which programs begin, as a track hears them.

        Those that other tracks set at a tick hold for all notes of that tick.
        """
        rows = sorted(
            (tick, at if number == chunk else -1, number, at, program)
            for tick, at, number, program in self._programs.get(channel, ())
        )
        return [row[:2] for row in rows], [row[-1] for row in rows]

    def by_program(
        self, channel: int, chunk: int, strikes: Sequence[Strike]
    ) -> dict[int, list[Strike]]:
        """Return the notes of a track by the program that they are played with."""
        starts, programs = self.programs(channel, chunk)
        if not starts:
            return {0: list(strikes)}
        first = (min([s[0] for s in strikes]), min([s[4] for s in strikes]))
        if first[0] >= starts[-1][0] and first[1] > starts[-1][1]:
            return {programs[-1]: list(strikes)}
        found: dict[int, list[Strike]] = defaultdict(list)
        for strike in strikes:
            place = bisect_right(starts, (strike[0], strike[4]))
            found[programs[place - 1] if place else 0].append(strike)
        return found

    def level(self, channel: int, control: int, onsets: Sequence[int], default: int) -> int:
        """Return the value of a controller under most of the notes that start at ``onsets``.

        Until a value is set, the first one holds. (What fades in is not silent for good.)
        """
        rows = self._controls.get((channel, control), ())
        if len({value for _, value in rows}) < 2:
            return rows[0][1] if rows else default
        starts = [tick for tick, _ in rows]
        places = [max(0, bisect_right(starts, onset) - 1) for onset in onsets or (0,)]
        return Counter(rows[place][1] for place in places).most_common(1)[0][0]

    def is_pedal_held(self, channel: int) -> bool:
        """Return whether the sustain pedal of a channel is never lifted at the end."""
        rows = self._controls.get((channel, SUSTAIN), [])
        return bool(rows) and rows[-1][1] >= 64

    def pedals(self, channel: int, end_tick: int) -> tuple[Pedal, ...]:
        """Return the sustain pedals of a channel; one that is never lifted ends at ``end_tick``."""
        pedals: list[Pedal] = []
        down: int | None = None
        for tick, value in [*self._controls.get((channel, SUSTAIN), ()), (end_tick, 0)]:
            if value >= 64 and down is None:
                down = tick
            elif value < 64 and down is not None:
                if tick > down:
                    pedals.append(Pedal(down, tick - down))
                down = None
        return tuple(pedals)


def parts_of(file: MidiFile, channels: Channels) -> list[TrackPart]:
    """Return the parts of a file in their order: by track, channel and program."""
    played = {channel for chunk in file.chunks for channel in chunk.strikes}
    parts: list[TrackPart] = []
    for number, chunk in enumerate(file.chunks):
        if not chunk.strikes:
            channel = next((event.channel for event in chunk.messages), None)
            if channel is not None and channel not in played:
                played.add(channel)
                _, programs = channels.programs(channel, number)
                parts.append(TrackPart(number, programs[-1] if programs else 0, {channel: ()}))
            continue
        groups = [
            TrackPart(number, program, {channel: strikes})
            for channel in sorted(chunk.strikes)
            for program, strikes in sorted(
                channels.by_program(channel, number, chunk.strikes[channel]).items()
            )
        ]
        parts.extend(_joined(groups) if _is_layered(chunk.events, groups) else groups)
    return parts


def _is_layered(events: Iterable[Event], groups: Sequence[TrackPart]) -> bool:
    """Return whether the channels of a chunk are the layers of one track that was written here."""
    is_alike = len(groups) > 1 and len({(part.program, part.is_drum) for part in groups}) == 1
    return is_alike and any(
        event.status == 0xFF and event.kind == TEXT and event.data.startswith(_LAYERS)
        for event in events
    )


def _joined(groups: Sequence[TrackPart]) -> list[TrackPart]:
    strikes = {channel: notes for part in groups for channel, notes in part.strikes.items()}
    return [TrackPart(groups[0].chunk, groups[0].program, strikes)]

"""Tempos, metres, keys and chord symbols of a MIDI file, which all its tracks may hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from os import PathLike
from typing import TypeVar

from partimento.errors import FileError, MusicError
from partimento.files.midi.events import KEY, MARKER, METRE, OUR_CHORD, TEMPO, Event
from partimento.files.midi.texts import TextCoding
from partimento.music import (
    Chord,
    ChordSymbol,
    Key,
    KeySignature,
    Score,
    Tempo,
    TimeSignature,
    parse_chord,
)

__all__ = ["Maps", "last_of_each_tick"]

_MICROS = 60_000_000
_OUR_CHORD = OUR_CHORD.encode()


@dataclass
class Maps:
    """Tempos, metres, keys and chord symbols of all tracks of a file."""

    path: str | PathLike[str]
    coding: TextCoding
    tempos: list[Tempo] = field(default_factory=list)
    metres: list[TimeSignature] = field(default_factory=list)
    keys: list[KeySignature] = field(default_factory=list)
    chords: list[ChordSymbol] = field(default_factory=list)
    chord_markers: set[bytes] = field(default_factory=set)

    def add(self, events: Iterable[Event]) -> None:
        """Take in the events of one track.

        Raises:
            FileError: for a tempo that is faster than 4000 quarters a minute.
        """
        for event in events:
            if event.status != 0xFF:
                continue
            kind, tick, data = event.kind, event.tick, event.data
            if kind == TEMPO and len(data) == 3:
                self.tempos.append(self._tempo(tick, int.from_bytes(data, "big")))
            elif kind == METRE and len(data) >= 2:
                if 1 <= data[0] <= 64 and data[1] <= 6:
                    self.metres.append(TimeSignature(tick, data[0], 2 ** data[1]))
            elif kind == KEY and len(data) == 2:
                fifths = int.from_bytes(data[:1], "big", signed=True)
                if -7 <= fifths <= 7 and data[1] <= 1:
                    self.keys.append(KeySignature(tick, Key(fifths, data[1] == 1)))
            elif kind == MARKER and data.startswith(_OUR_CHORD):
                chord = _chord_of(self.coding.decode(data))
                if chord is not None:
                    self.chords.append(ChordSymbol(tick, chord))
                    self.chord_markers.add(data)

    def _tempo(self, tick: int, micros: int) -> Tempo:
        if micros < _MICROS / 4000:
            raise FileError(
                self.path,
                f"the tempo at tick {tick} is {micros} microseconds a quarter",
                "set a tempo of 4..4000 quarters a minute in a MIDI editor",
            )
        return Tempo(tick, _MICROS / micros)

    def kept(self, score: Score) -> dict[str, int]:
        """Return how many of the events of each kind are in the score; the same twice is in it."""
        return {
            "tempos": _told(self.tempos, score.tempos),
            "time signatures": _told(self.metres, score.time_signatures),
            "key signatures": _told(self.keys, score.key_signatures),
        }


def _told(read: Iterable[object], kept: Iterable[object]) -> int:
    known = set(kept)
    return sum(event in known for event in read)


def _chord_of(marker: str) -> Chord | None:
    """Return the chord of the text of one of our markers."""
    try:
        return parse_chord(marker.removeprefix(OUR_CHORD))
    except MusicError:
        return None


_AtTick = TypeVar("_AtTick", Tempo, TimeSignature, KeySignature, ChordSymbol)


def last_of_each_tick(events: Iterable[_AtTick]) -> tuple[_AtTick, ...]:
    """Return the events in order; of several at one tick only the last counts."""
    ordered = sorted(events, key=lambda event: event.onset_ticks)
    return tuple({event.onset_ticks: event for event in ordered}.values())

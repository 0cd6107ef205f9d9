"""Promises: what a user may ask of generated music and will get exactly, or be refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from partimento.errors import CannotBeMet, MusicError
from partimento.messages import shown
from partimento.music.bounds import check_number, check_whole
from partimento.music.cadences import Ending
from partimento.music.chords import Chord
from partimento.music.keys import Key, parse_pitch_class, pitch_name
from partimento.music.score import TimeSignature

__all__ = [
    "MAX_BARS",
    "PitchRange",
    "Promises",
    "parse_pitch",
    "parse_range",
    "parse_time_signature",
]

MAX_BARS = 4096
_MAX_POLYPHONY = 128
_MAX_SILENCE_QUARTERS = 16384  # the longest piece in common time


@dataclass(frozen=True, slots=True)
class PitchRange:
    """The lowest and the highest MIDI pitch allowed, both included."""

    low: int
    high: int

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 127:
            raise MusicError(
                f"a range goes from a lower to a higher pitch within C-1..G9, not from "
                f"{_name(self.low)} to {_name(self.high)}"
            )

    def __contains__(self, pitch: int) -> bool:
        return self.low <= pitch <= self.high

    def __str__(self) -> str:
        return f"{pitch_name(self.low)}-{pitch_name(self.high)}"


@dataclass(frozen=True, slots=True)
class Promises:
    """All promises of one request; None or empty means free.

    - ``bars``: exactly so many, the metre being ``time_signature`` in each.
    - ``key``: every pitched note is of the scale (the minor with its raised sixth and seventh).
    - ``ranges``: pitch range by track name; the name ``"*"`` is for every pitched track.
    - ``max_polyphony``: at most so many notes sound at once, over all tracks.
    - ``chords``: one a bar, repeated to the end; every pitched note that sounds on a strong beat
      (``timeline.strong_beats``) is a chord tone. None leaves its bar free.
    - ``max_silence_quarters``: no rest of all tracks together lasts longer, ends included.
    - ``ending``: how the last bar closes (``music.cadences``); None and ``open`` leave it free.
    """

    bars: int | None = None
    time_signature: TimeSignature | None = None
    key: Key | None = None
    ranges: Mapping[str, PitchRange] = field(default_factory=dict)
    max_polyphony: int | None = None
    chords: tuple[Chord | None, ...] = ()
    max_silence_quarters: float | None = None
    ending: Ending | None = None

    def __post_init__(self) -> None:
        if self.bars is not None:
            check_whole("bars", self.bars, 1, MAX_BARS)
        if self.max_polyphony is not None:
            check_whole("polyphony", self.max_polyphony, 1, _MAX_POLYPHONY)
        if self.max_silence_quarters is not None:
            longest = self.max_silence_quarters
            check_number("max_silence", longest, 0, _MAX_SILENCE_QUARTERS, "quarter notes")
        if self.bars is None and self.ending not in (None, "open"):
            raise CannotBeMet(
                f"an endless piece has no {self.ending} ending; ask for bars, or leave it out"
            )
        if self.key is not None:
            for chord in self._asked_chords():
                outside = chord.pitch_classes - self.key.pitch_classes
                if outside:
                    notes = ", ".join(sorted(pitch_name(pc)[:-1].rstrip("-") for pc in outside))
                    raise CannotBeMet(
                        f"chord {chord} has {notes}, which {self.key} has not; "
                        "drop --key or change the chord"
                    )
        for name, span in self.ranges.items():
            self._check_range(name, span)

    def _check_range(self, name: str, span: PitchRange) -> None:
        inside = {pitch % 12 for pitch in range(span.low, span.high + 1)}
        if self.key is not None and not inside & self.key.pitch_classes:
            raise CannotBeMet(f"range {span} of {shown(name)} has no note of {self.key}; widen it")
        for chord in self._asked_chords():
            if not inside & chord.pitch_classes:
                raise CannotBeMet(f"range {span} of {shown(name)} has no note of {chord}; widen it")

    def _asked_chords(self) -> tuple[Chord, ...]:
        return tuple(chord for chord in self.chords if chord is not None)

    def range_of(self, track_name: str) -> PitchRange:
        """Return the range that rules a track, everything where none was asked."""
        return self.ranges.get(track_name) or self.ranges.get("*") or PitchRange(0, 127)

    def chord_of_bar(self, bar_index: int) -> Chord | None:
        """Return the chord of a bar, the line being repeated to the end; None where it is free."""
        return self.chords[bar_index % len(self.chords)] if self.chords else None


def _name(pitch: int) -> str:
    return pitch_name(pitch) if 0 <= pitch <= 127 else str(pitch)


def parse_pitch(text: str) -> int:
    """Return the MIDI pitch of ``"C4"``, ``"F#3"``, ``"Bb-1"`` or ``"60"``."""
    text = text.strip()
    if re.fullmatch(r"\d+", text):
        pitch = int(text)
    else:
        match = re.fullmatch(r"([A-Ga-g](?:##|bb|[#b♯♭]?))(-?\d+)", text)
        if match is None:
            raise MusicError(f"{shown(text)} is no pitch; write C4, F#3 or a MIDI number")
        name = match[1][0].upper() + match[1][1:]
        pitch = parse_pitch_class(name) + 12 * (int(match[2]) + 1)
        # Cb4 is B3 and B#4 is C5: the octave follows the letter, not the sounding note.
        if name.startswith("C") and parse_pitch_class(name) > 6:
            pitch -= 12
        elif name.startswith("B") and parse_pitch_class(name) < 6:
            pitch += 12
    if not 0 <= pitch <= 127:
        raise MusicError(f"{shown(text)} lies outside MIDI's 0..127 (C-1..G9)")
    return pitch


def parse_range(text: str) -> tuple[str, PitchRange]:
    """Return (track name, range) of ``"C3-C5"`` (all tracks) or ``"Soprano=C4-A5"``."""
    name, separator, span = text.rpartition("=")
    match = re.fullmatch(r"\s*(.+?)\s*(?:-|\.\.|:)\s*([A-Ga-g][#b♯♭]*-?\d+|\d+)\s*", span)
    if match is None:
        raise MusicError(f"{shown(text)} is no range; write C3-C5 or Soprano=C4-A5")
    low, high = parse_pitch(match[1]), parse_pitch(match[2])
    return (name.strip() if separator else "*"), PitchRange(low, high)


def parse_time_signature(text: str) -> TimeSignature:
    """Return the metre of ``"3/4"`` or ``"6/8"``, starting at tick 0."""
    match = re.fullmatch(r"\s*(\d{1,3})\s*/\s*(\d{1,3})\s*", text)
    if match is None:
        raise MusicError(f"{shown(text)} is no metre; write 4/4, 3/4 or 6/8")
    return TimeSignature(0, int(match[1]), int(match[2]))

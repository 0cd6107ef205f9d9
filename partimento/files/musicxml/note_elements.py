"""``note`` elements: chords, rests and lyrics as MusicXML writes them.

Both who writes a whole document and who changes one make their notes here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

from partimento.files.notation import Piece, Value, spelt, values_of

__all__ = [
    "DivisionGrid",
    "Pitched",
    "Place",
    "add_text",
    "chord_elements",
    "dynamics_of",
    "hidden_rest",
    "pitch_element",
    "rest_elements",
]

_NO_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_VELOCITY_TO_DYNAMICS = 1 / 0.9

# MIDI pitch -> the ``pitch`` or ``unpitched`` element and the id of the instrument, "" for none.
Pitched = Callable[[int], tuple[Element, str]]


@dataclass(frozen=True, slots=True)
class Place:
    """A voice, on a staff ("" where there is only one)."""

    voice: str
    staff: str = ""


@dataclass(frozen=True, slots=True)
class DivisionGrid:
    """Ticks of the score, and the divisions of a quarter in which durations are written."""

    ticks_per_quarter: int
    divisions: int

    def duration(self, ticks: int) -> int:
        """Return a duration in divisions; it must be whole."""
        return ticks * self.divisions // self.ticks_per_quarter


def add_text(parent: Element, tag: str, text: str | int) -> Element:
    """Append an element with a text, from which characters that XML cannot hold are taken."""
    element = SubElement(parent, tag)
    element.text = _NO_CONTROLS.sub("", str(text))
    return element


def dynamics_of(velocity: int) -> str:
    """Return what MusicXML calls the dynamics of a note: per cent of a velocity of 90."""
    return f"{velocity * _VELOCITY_TO_DYNAMICS:.2f}"


def rest_elements(
    ticks: int, grid: DivisionGrid, place: Place, whole: bool = False
) -> list[Element]:
    """Return rests that last ``ticks``; ``whole`` makes one of a whole bar."""
    notes = []
    values = [Value(ticks)] if whole else values_of(ticks, grid.ticks_per_quarter)
    if any(value.ticks * grid.divisions % grid.ticks_per_quarter for value in values):
        values = [Value(ticks)]  # signs finer than the divisions
    for value in values:
        note = Element("note")
        rest = SubElement(note, "rest")
        if whole:
            rest.set("measure", "yes")
        add_text(note, "duration", grid.duration(value.ticks))
        _add_value(note, value, place)
        notes.append(note)
    return notes


def hidden_rest(
    ticks: int, grid: DivisionGrid, place: Place, lyrics: Sequence[tuple[int, str]]
) -> Element:
    """Return a rest that is not shown, for syllables where no note starts."""
    note = Element("note", {"print-object": "no"})
    SubElement(note, "rest")
    add_text(note, "duration", grid.duration(ticks))
    _add_value(note, Value(ticks), place)
    for verse, text in lyrics:
        _add_lyric(note, verse, text)
    return note


def chord_elements(
    chord: Sequence[Piece], grid: DivisionGrid, place: Place, pitched: Pitched
) -> list[Element]:
    """Return the notes of a chord, tied where no one note value has its length."""
    notes = []
    values = values_of(chord[0].end - chord[0].start, grid.ticks_per_quarter)
    for index, value in enumerate(values):
        for piece in chord:
            stop = piece.from_before or index > 0
            start = piece.goes_on or index < len(values) - 1
            note = Element("note")
            if not stop:
                note.set("dynamics", dynamics_of(piece.velocity))
            if piece is not chord[0]:
                SubElement(note, "chord")
            pitch, instrument = pitched(piece.pitch)
            note.append(pitch)
            add_text(note, "duration", grid.duration(value.ticks))
            ties = [kind for kind, on in (("stop", stop), ("start", start)) if on]
            for kind in ties:
                SubElement(note, "tie", type=kind)
            if instrument:
                SubElement(note, "instrument", id=instrument)
            _add_value(note, value, place)
            if ties:
                _add_ties(note, ties, piece.tie)
            for verse, text in () if stop else piece.lyrics:
                _add_lyric(note, verse, text)
            notes.append(note)
    return notes


def pitch_element(pitch: int, fifths: int, tag: str = "pitch") -> Element:
    """Return the ``pitch`` of a MIDI pitch in a key, or ``unpitched``, a place on the staff."""
    prefix = "display-" if tag == "unpitched" else ""
    letter, alter = spelt(pitch % 12, 0 if prefix else fifths)
    octave = (pitch - alter) // 12 - 1
    if not prefix and not 0 <= octave <= 9:
        letter, alter = spelt(pitch % 12, 0)
        octave = (pitch - alter) // 12 - 1
    element = Element(tag)
    add_text(element, f"{prefix}step", letter)
    if alter and not prefix:
        add_text(element, "alter", alter)
    add_text(element, f"{prefix}octave", octave)
    return element


def _add_ties(note: Element, kinds: Sequence[str], number: int) -> None:
    notations = SubElement(note, "notations")
    for kind in kinds:
        tied = SubElement(notations, "tied", type=kind)
        if number > 1:
            tied.set("number", str(number))


def _add_value(note: Element, value: Value, place: Place) -> None:
    add_text(note, "voice", place.voice)
    if value.type:
        add_text(note, "type", value.type)
        for _ in range(value.dots):
            SubElement(note, "dot")
        if value.tuplet:
            modification = SubElement(note, "time-modification")
            add_text(modification, "actual-notes", value.tuplet[0])
            add_text(modification, "normal-notes", value.tuplet[1])
    if place.staff:
        add_text(note, "staff", place.staff)


def _add_lyric(note: Element, verse: int, text: str) -> None:
    goes_on = len(text) > 1 and text.endswith("-")
    lyric = SubElement(note, "lyric", number=str(verse))
    add_text(lyric, "syllabic", "begin" if goes_on else "single")
    add_text(lyric, "text", text[:-1] if goes_on else text)

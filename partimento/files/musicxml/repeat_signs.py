"""Repeats, endings, da capo, dal segno, coda and fine, from MusicXML and into it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, SubElement

from partimento.files.musicxml.numbers import integer
from partimento.music import RepeatMark

__all__ = ["WrittenSigns", "jump_of_words", "passes_of", "repeat_marks", "write_signs"]

_AT_END = ("backward", "tocoda", "dacapo", "dalsegno", "fine")
_MOST = 99
# Words that are a sign where no ``sound`` says what is meant.
_WORDS = (
    (re.compile(r"\bda\s+capo\b|\bd\.\s*c\.", re.IGNORECASE), "dacapo"),
    (re.compile(r"\bdal\s+segno\b|\bd\.\s*s\.", re.IGNORECASE), "dalsegno"),
    (re.compile(r"\s*to\s+coda\b.*", re.IGNORECASE), "tocoda"),
    (re.compile(r"\s*fine\.?\s*$", re.IGNORECASE), "fine"),
)
_SHOWN = {"dacapo": "D.C.", "dalsegno": "D.S.", "fine": "Fine", "tocoda": "To Coda"}


def jump_of_words(text: str) -> str | None:
    """Return the kind of mark that written words are, such as ``"D.C. al Fine"``, else None."""
    short = " ".join(text[:80].split())
    for pattern, kind in _WORDS[:2]:
        if pattern.search(short):
            return kind
    return next((kind for pattern, kind in _WORDS[2:] if pattern.match(short)), None)


def passes_of(ending: Element) -> tuple[int, ...]:
    """Return the passes in which an ``ending`` is played; none where it does not say."""
    text = f"{ending.get('number', '')} {ending.text or ''}"[:80]
    found = dict.fromkeys(int(n) for n in re.findall(r"(?<!\d)\d{1,2}(?!\d)", text, re.ASCII))
    return tuple(n for n in found if n)


@dataclass
class WrittenSigns:
    """The signs of one part, each with the index of its measure."""

    found: list[tuple[int, str, tuple[int, ...], int]] = field(default_factory=list)
    open_ending: int | None = None  # its place among the signs found
    ends: dict[int, int] = field(default_factory=dict)  # ending -> measure in which it ends
    codas: list[int] = field(default_factory=list)  # measures of coda signs that say no more

    def add(self, index: int, kind: str, passes: tuple[int, ...] = (), times: int = 2) -> None:
        """Add a sign in a measure."""
        self.found.append((index, kind, passes, times))

    def read_barline(self, element: Element, index: int) -> None:
        """Read a ``barline``."""
        for ending in element.iterfind("ending"):
            if ending.get("type") == "start":
                passes = passes_of(ending)
                if passes:
                    self.add(index, "ending", passes)
                    self.open_ending = len(self.found) - 1
            elif self.open_ending is not None:
                self.ends[self.open_ending] = index
        for repeat in element.iterfind("repeat"):
            direction = repeat.get("direction")
            if direction in ("forward", "backward"):
                times = min(_MOST, max(1, integer(repeat.get("times"), "2")))
                self.add(index, direction, times=times)
        for sign in ("segno", "coda"):
            if element.find(sign) is not None:
                self.add(index, sign)

    def read_direction(self, element: Element, index: int) -> None:
        """Read a ``direction``: what its ``sound`` says, else its signs, else its words."""
        said = [self.read_sound(sound, index) for sound in element.iterfind("sound")]
        if any(said):
            return
        for kind in element.iterfind("direction-type"):
            for child in kind:
                if child.tag == "segno":
                    self.add(index, "segno")
                elif child.tag == "coda":
                    self.codas.append(index)
                elif child.tag == "words":
                    jump = jump_of_words(child.text or "")
                    if jump is not None:
                        self.add(index, jump)

    def read_sound(self, sound: Element, index: int) -> bool:
        """Read a ``sound``; return whether it says something of repeats."""
        kinds = [
            kind
            for kind in ("segno", "coda", "tocoda", "dacapo", "dalsegno", "fine")
            if sound.get(kind, "no") not in ("no", "")
        ]
        for kind in kinds:
            self.add(index, kind)
        return bool(kinds)


def repeat_marks(
    parts: Iterable[WrittenSigns], bars: Sequence[tuple[int, int]]
) -> tuple[RepeatMark, ...]:
    """Return the marks of all parts, each once; ``bars`` are (onset, length) in ticks."""
    marks: set[RepeatMark] = set()
    for signs in parts:
        found = list(signs.found)
        # Of two bare coda signs the first says where to leave, the second where to go.
        if len(signs.codas) > 1:
            found.append((signs.codas[0], "tocoda", (), 2))
        found += [(index, "coda", (), 2) for index in signs.codas[-1:]]
        for place, (index, kind, passes, times) in enumerate(found):
            onset, length = bars[index]
            if kind == "ending":
                last = bars[max(index, signs.ends.get(place, index))]
                marks.add(RepeatMark(onset, kind, passes, sum(last)))
            else:
                marks.add(RepeatMark(onset + length * (kind in _AT_END), kind, times=times))
    return tuple(sorted(marks))


def write_signs(
    measure: Element, marks: Iterable[RepeatMark], start: int, end: int, is_first_part: bool
) -> None:
    """Write the marks of a bar, from tick ``start`` to ``end``, around what is in its measure.

    Repeats and endings go to every part, the other signs to the first.
    """
    left = Element("barline", location="left")
    right = Element("barline", location="right")
    first = 0
    for mark in marks:
        if mark.kind == "ending":
            number = ", ".join(str(n) for n in mark.passes)
            if mark.onset_ticks == start:
                SubElement(left, "ending", number=number, type="start")
            if mark.end_ticks == end:
                SubElement(right, "ending", number=number, type="stop")
        elif mark.kind == "forward" and mark.onset_ticks == start:
            SubElement(left, "repeat", direction="forward")
        elif mark.kind == "backward" and mark.onset_ticks == end:
            repeat = SubElement(right, "repeat", direction="backward")
            if mark.times != 2:
                repeat.set("times", str(mark.times))
        elif is_first_part and mark.kind in ("segno", "coda") and mark.onset_ticks == start:
            measure.insert(first, _direction(mark.kind, Element(mark.kind)))
            first += 1
        elif is_first_part and mark.kind in _SHOWN and mark.onset_ticks == end:
            words = Element("words")
            words.text = _SHOWN[mark.kind]
            measure.append(_direction(mark.kind, words))
    for barline in (left, right):
        # An ending comes before a repeat, as the schema has it.
        barline[:] = sorted(barline, key=lambda child: child.tag)
    if len(left):
        measure.insert(0, left)
    if len(right):
        measure.append(right)


def _direction(kind: str, sign: Element) -> Element:
    direction = Element("direction", placement="above")
    SubElement(direction, "direction-type").append(sign)
    value = kind if kind in ("segno", "coda", "tocoda", "dalsegno") else "yes"
    SubElement(direction, "sound", {kind: value})
    return direction

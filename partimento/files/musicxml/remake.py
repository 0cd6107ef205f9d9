"""One measure of one part with some notes taken out and others put in.

Elements that are not taken out stay, in their order and at their times; voices that change get
new notes in place of old ones, and rests where nothing sounds any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from xml.etree.ElementTree import Element, SubElement, indent

from partimento.errors import NotSupported
from partimento.files.musicxml.mend import mend_voice
from partimento.files.musicxml.note_elements import (
    DivisionGrid,
    Pitched,
    Place,
    add_text,
    chord_elements,
    rest_elements,
)
from partimento.files.musicxml.numbers import decimal
from partimento.files.notation import Piece, values_of

__all__ = ["Change", "NewNoteElement", "remake"]

_MAX_DIVISIONS = 16384
_IN_VOICES = ("note", "rest", "gap", "grace")


@dataclass
class Change:
    """What becomes of a measure; times in ticks from its start."""

    length: int
    removed: set[int] = field(default_factory=set)  # ids of ``note`` elements
    pieces: list[Piece] = field(default_factory=list)
    # (tick, lyric elements) of removed notes with which no new note starts.
    loose: list[tuple[int, list[Element]]] = field(default_factory=list)

    @property
    def is_needed(self) -> bool:
        """Whether notes come or go."""
        return bool(self.removed or self.pieces or self.loose)


@dataclass(frozen=True, slots=True)
class NewNoteElement:
    """A new ``note`` element and where it starts, in ticks from the measure's start."""

    start: int
    element: Element
    is_rest: bool


@dataclass(eq=False)
class _Item:
    """Elements that stand together: a chord with its grace notes, or one other element."""

    kind: str  # "note", "rest", "gap", "grace", "forward", "backup", "other"
    time: int
    length: int
    elements: list[Element]
    voice: str = ""
    staff: str = ""
    is_new: bool = False

    @property
    def end(self) -> int:
        return self.time + self.length


def remake(
    measure: Element,
    change: Change,
    grid: DivisionGrid,
    pitched: Callable[[str], Pitched],
    staff_of: Callable[[int], str],
) -> list[NewNoteElement]:
    """Change a measure in place; return its new notes and rests.

    Args:
        measure: the element; its elements are kept where they are not removed.
        change: what goes and what comes.
        grid: the divisions in force at its first note.
        pitched: makes the pitch of a note on a staff.
        staff_of: the staff of a new note of a MIDI pitch, "" where there is only one.

    Raises:
        NotSupported: if the measure changes its divisions, or its times are finer than ticks.
    """
    grid = _refined(measure, change, grid)
    items = _items(measure, grid, change.removed)
    voices = _Voices(items, change.length)
    for chord, staff in _chords(change.pieces, staff_of):
        place = voices.place(chord[0].start, chord[0].end, staff)
        elements = chord_elements(chord, grid, place, pitched(staff))
        _lay_out(elements, chord[0].start, grid, place, voices)
    for tick, lyrics in change.loose:
        place = voices.place(tick, change.length, "", is_alone=True)
        (rest,) = rest_elements(change.length - tick, grid, place, whole=True)
        del rest[0].attrib["measure"]
        rest.set("print-object", "no")
        rest.extend(lyrics)
        voices.add(_Item("note", tick, change.length - tick, [rest], place.voice, is_new=True))
    rebuilt = voices.rebuilt(grid)
    _emit(measure, items, rebuilt, grid)
    for row in rebuilt.values():
        mend_voice([(item.time, item.elements) for item in row], grid.ticks_per_quarter)
    return [
        NewNoteElement(item.time, element, element.find("rest") is not None)
        for row in rebuilt.values()
        for item in row
        if item.is_new
        for element in item.elements[:1]
    ]


def _lay_out(
    elements: Sequence[Element], at: int, grid: DivisionGrid, place: Place, voices: _Voices
) -> None:
    """Give a voice the notes of a chord, which may be several tied one after the other."""
    groups: list[list[Element]] = []
    for element in elements:
        if element.find("chord") is None:
            groups.append([])
        groups[-1].append(element)
    for group in groups:
        length = int(decimal(group[0].findtext("duration")) * grid.ticks_per_quarter)
        length //= grid.divisions
        voices.add(_Item("note", at, length, group, place.voice, place.staff, True))
        at += length


def _chords(
    pieces: Iterable[Piece], staff_of: Callable[[int], str]
) -> list[tuple[list[Piece], str]]:
    """Return what starts and ends together on a staff, in the order of time."""
    found: dict[tuple[int, int, str], list[Piece]] = {}
    for piece in sorted(pieces, key=lambda p: (p.start, -p.end, -p.pitch)):
        found.setdefault((piece.start, piece.end, staff_of(piece.pitch)), []).append(piece)
    return [(chord, key[2]) for key, chord in found.items()]


def _items(measure: Element, grid: DivisionGrid, removed: set[int]) -> list[_Item]:
    items: list[_Item] = []
    at, before = Fraction(0), Fraction(0)
    graces: list[Element] = []
    for element in measure:
        tag = element.tag
        length = Fraction(0)
        if tag in ("note", "backup", "forward"):
            length = decimal(element.findtext("duration")) / grid.divisions
            length *= grid.ticks_per_quarter
        if tag == "note" and element.find("grace") is not None:
            graces.append(element)
            continue
        if (
            tag == "note"
            and element.find("chord") is not None
            and items
            and items[-1].kind == "note"
        ):
            items[-1].elements.append(element)
            at = max(at, before + length)
            continue
        if tag != "note" and graces:
            items.append(_note_item("grace", at, Fraction(0), graces))
            graces = []
        if tag == "note":
            kind = "rest" if element.find("rest") is not None else "note"
            items.append(_note_item(kind, at, length, [*graces, element]))
            graces, before = [], at
            at += length
        elif tag == "backup":
            items.append(_Item("backup", _whole(at), _whole(length), [element]))
            at = max(Fraction(0), at - length)
        else:
            kind = "forward" if tag == "forward" else "other"
            items.append(_Item(kind, _whole(at), _whole(length), [element]))
            at += length
    if graces:
        items.append(_note_item("grace", at, Fraction(0), graces))
    for item in items:
        _take_out(item, removed)
    return items


def _note_item(kind: str, at: Fraction, length: Fraction, elements: list[Element]) -> _Item:
    last = elements[-1]
    return _Item(
        kind,
        _whole(at),
        _whole(length),
        elements,
        last.findtext("voice", "1").strip(),
        last.findtext("staff", "").strip(),
    )


def _whole(time: Fraction) -> int:
    if time.denominator != 1:
        raise NotSupported("times of this file are finer than the score's ticks")
    return int(time)


def _take_out(item: _Item, removed: set[int]) -> None:
    """Take removed notes out of a chord; what is left of it, if anything, stands alone."""
    if item.kind != "note" or not any(id(e) in removed for e in item.elements):
        return
    left = [element for element in item.elements if id(element) not in removed]
    main = next((e for e in left if e.find("grace") is None), None)
    if main is None:
        item.kind, item.elements = "gap", []
        return
    chord = main.find("chord")
    if chord is not None and main.find("grace") is None:
        main.remove(chord)
    item.elements = left


class _Voices:
    """The voices of a measure: what sounds in them and what is free."""

    def __init__(self, items: Sequence[_Item], length: int) -> None:
        self.length = length
        self.items: dict[str, list[_Item]] = {}
        self.staves: dict[str, set[str]] = {}
        self.touched: set[str] = set()
        for item in items:
            if item.kind in _IN_VOICES:
                self.items.setdefault(item.voice, []).append(item)
                self.staves.setdefault(item.voice, set()).add(item.staff)
                if item.kind == "gap":
                    self.touched.add(item.voice)

    def place(self, start: int, end: int, staff: str, is_alone: bool = False) -> Place:
        """Return a voice on a staff that is free from ``start`` to ``end``."""
        for voice, items in self.items.items():
            if is_alone or not (staff in self.staves[voice] or self.staves[voice] == {""}):
                continue
            busy = (i for i in items if i.kind == "note")
            if all(i.end <= start or end <= i.time for i in busy):
                return Place(voice, staff)
        numbers = [int(voice) for voice in self.items if voice.isdecimal() and len(voice) < 6]
        voice = str(max(numbers, default=0) + 1)
        self.items[voice], self.staves[voice] = [], {staff}
        return Place(voice, staff)

    def add(self, item: _Item) -> None:
        """Put a new item in its voice."""
        self.items[item.voice].append(item)
        self.touched.add(item.voice)

    def rebuilt(self, grid: DivisionGrid) -> dict[str, list[_Item]]:
        """Return each voice that changes, with rests where it had notes or rests before."""
        return {
            v: self._rebuilt(v, items, grid) for v, items in self.items.items() if v in self.touched
        }

    def _rebuilt(self, voice: str, items: list[_Item], grid: DivisionGrid) -> list[_Item]:
        sounding = [item for item in items if item.kind in ("note", "grace")]
        kept = [
            item
            for item in items
            if item.kind == "rest"
            and all(i.end <= item.time or item.end <= i.time for i in sounding if i.length)
        ]
        free = _without(
            [(i.time, i.end) for i in items if i.kind in ("gap", "rest")],
            [(i.time, i.end) for i in (*sounding, *kept)],
        )
        rests = []
        for start, end in free:
            whole = (start, end) == (0, self.length)
            place = Place(voice, next((i.staff for i in items if i.time <= start < i.end), ""))
            at = start
            for element in rest_elements(end - start, grid, place, whole):
                length = int(decimal(element.findtext("duration")) * grid.ticks_per_quarter)
                length //= grid.divisions
                rests.append(_Item("rest", at, length, [element], voice, place.staff, True))
                at += length
        order = {id(item): n for n, item in enumerate(items)}
        return sorted([*sounding, *kept, *rests], key=lambda i: (i.time, order.get(id(i), 0)))


def _without(
    spans: Iterable[tuple[int, int]], busy: Iterable[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Return the union of spans without what is busy."""
    free: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if free and start <= free[-1][1]:
            free[-1] = (free[-1][0], max(end, free[-1][1]))
        else:
            free.append((start, end))
    for start, end in sorted(busy):
        free = (
            [
                part
                for a, b in free
                for part in ((a, min(b, start)), (max(a, end), b))
                if part[0] < part[1]
            ]
            if start < end
            else free
        )
    return sorted(set(free))


def _emit(
    measure: Element, items: Sequence[_Item], rebuilt: dict[str, list[_Item]], grid: DivisionGrid
) -> None:
    """Write items back into a measure, each at its time."""
    last = {
        item.voice: n
        for n, item in enumerate(items)
        if item.kind in ("note", "rest", "gap", "grace")
    }
    notes_end = max(last.values(), default=len(items) - 1)
    waiting = {voice: list(row) for voice, row in rebuilt.items()}
    out: list[tuple[_Item, bool]] = []
    if not last:
        # Nothing sounded here: what comes stands before the closing bar line.
        notes_end = next((n for n, i in enumerate(items) if _closes(i)), len(items)) - 1
        for new in waiting.values():
            items = [*items[: notes_end + 1], *new, *items[notes_end + 1 :]]
        waiting = {}
    for n, item in enumerate(items):
        row = waiting.get(item.voice) if item.kind in _IN_VOICES else None
        if row is None:
            out.append((item, item.kind in ("forward", "backup")))
        else:
            while row and (n == last[item.voice] or row[0].time < max(item.end, item.time + 1)):
                out.append((row.pop(0), False))
        if n == notes_end:
            for voice in [v for v in waiting if v not in last]:
                out += [(made, False) for made in waiting.pop(voice)]
    _write(measure, out, grid)


def _closes(item: _Item) -> bool:
    element = item.elements[0] if item.elements else None
    return element is not None and element.tag == "barline" and element.get("location") != "left"


def _write(measure: Element, out: Sequence[tuple[_Item, bool]], grid: DivisionGrid) -> None:
    tail = measure.text
    measure[:] = []
    at = 0
    for item, is_move in out:
        if is_move and at != item.time:
            continue  # the voice before it ends elsewhere now
        if at != item.time:
            move = SubElement(measure, "backup" if at > item.time else "forward")
            add_text(move, "duration", grid.duration(abs(at - item.time)))
            move.tail = tail
            at = item.time
        for element in item.elements:
            if item.is_new:
                indent(element, level=3)
                element.tail = tail
            measure.append(element)
        if item.kind == "backup":
            at = max(0, item.time - item.length)
        elif item.kind in ("note", "rest", "gap", "forward"):
            at = item.end


def _refined(measure: Element, change: Change, grid: DivisionGrid) -> DivisionGrid:
    """Return divisions in which what is new has whole durations; the measure is put on them."""
    seen_note = False
    for element in measure:
        seen_note = seen_note or element.tag in ("note", "forward")
        if seen_note and element.find("divisions") is not None:
            raise NotSupported("a measure that is to change changes its divisions")
    times = {change.length}
    for piece in change.pieces:
        times |= {piece.start, piece.end}
        at = piece.start
        for value in values_of(piece.end - piece.start, grid.ticks_per_quarter):
            at += value.ticks
            times.add(at)
    times |= {tick for tick, _ in change.loose}
    factor = 1
    for tick in times:
        factor = lcm(factor, Fraction(tick * grid.divisions, grid.ticks_per_quarter).denominator)
    # Rests fill what is left between any two of these times; their signs may be finer.
    step = Fraction(grid.ticks_per_quarter, grid.divisions * factor)
    if factor == 1 and step.denominator == 1:
        return grid
    if grid.divisions * factor > _MAX_DIVISIONS:
        raise NotSupported("the new notes need finer durations than this file can have")
    for element in measure.iter():
        if element.tag in ("duration", "offset", "divisions"):
            scaled = decimal(element.text) * factor
            element.text = str(scaled if scaled.denominator == 1 else float(scaled))
    if factor > 1:
        for place, divisions in ((0, grid.divisions * factor), (None, grid.divisions)):
            attributes = Element("attributes")
            attributes.tail = measure.text
            add_text(attributes, "divisions", divisions)
            measure.insert(len(measure) if place is None else place, deepcopy(attributes))
    return DivisionGrid(grid.ticks_per_quarter, grid.divisions * factor)

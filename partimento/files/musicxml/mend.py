"""What hangs on notes that were replaced: beams, tuplets, slurs and their like."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

__all__ = ["Hanging", "hang", "hanging_ends", "mend_voice"]

_LEVELS = {
    "eighth": 1, "16th": 2, "32nd": 3, "64th": 4, "128th": 5, "256th": 6, "512th": 7, "1024th": 8,
}  # fmt: skip
_AFTER_BEAMS = ("notations", "lyric", "play", "listen")
_AFTER_NOTATIONS = _AFTER_BEAMS[1:]
# Signs that go from one note to another, and the element around them inside ``notations``.
_PAIRED = {
    "slur": "", "glissando": "", "slide": "", "wavy-line": "ornaments", "tremolo": "ornaments",
    "hammer-on": "technical", "pull-off": "technical",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hanging:
    """An end of a sign whose note goes while that of its other end stays; times in ticks."""

    sign: Element
    time: int
    other_time: int


@dataclass(frozen=True, slots=True)
class _End:
    time: int
    order: int
    sign: Element
    is_gone: bool


def mend_voice(row: Sequence[tuple[int, list[Element]]], ticks_per_quarter: int) -> None:
    """Beam the notes of a voice of a measure, and take out tuplet brackets that lost an end.

    Args:
        row: (time in ticks, elements that start there) in the order of time.
        ticks_per_quarter: a beam joins what starts in one quarter.
    """
    _drop_half_tuplets([element for _, elements in row for element in elements])
    run: list[Element] = []
    beat = -1
    for time, elements in row:
        main = next((e for e in elements if e.find("grace") is None), None)
        level = _level(main)
        if main is None:
            continue
        if not level or time // ticks_per_quarter != beat:
            _beam(run)
            run, beat = [], time // ticks_per_quarter
        for beam in main.findall("beam"):
            main.remove(beam)
        if level:
            run.append(main)
    _beam(run)


def _level(note: Element | None) -> int:
    if note is None or note.find("rest") is not None:
        return 0
    return _LEVELS.get((note.findtext("type") or "").strip(), 0)


def _beam(run: Sequence[Element]) -> None:
    """Beam notes that belong together; a note alone has a flag."""
    if len(run) < 2:
        return
    levels = [_level(note) for note in run]
    for index, note in enumerate(run):
        for level in range(1, levels[index] + 1):
            before = index > 0 and levels[index - 1] >= level
            after = index + 1 < len(run) and levels[index + 1] >= level
            hook = "forward hook" if index == 0 else "backward hook"
            text = {(False, False): hook, (False, True): "begin", (True, True): "continue"}
            beam = Element("beam", number=str(level))
            beam.text = text.get((before, after), "end")
            _insert(note, beam, _AFTER_BEAMS)


def _insert(note: Element, child: Element, before: Iterable[str]) -> None:
    """Insert a child of a note before the first of some elements."""
    place = next((n for n, e in enumerate(note) if e.tag in before), len(note))
    child.tail = note[place - 1].tail if 0 < place < len(note) else note.text
    note.insert(place, child)


def _drop_half_tuplets(notes: Iterable[Element]) -> None:
    is_open: dict[str, tuple[Element, Element]] = {}
    lonely: list[tuple[Element, Element]] = []
    for note in notes:
        for notations in note.findall("notations"):
            for tuplet in notations.findall("tuplet"):
                number = tuplet.get("number", "1")
                if tuplet.get("type") == "start":
                    if number in is_open:
                        lonely.append(is_open[number])
                    is_open[number] = (notations, tuplet)
                elif is_open.pop(number, None) is None:
                    lonely.append((notations, tuplet))
    for notations, tuplet in (*lonely, *is_open.values()):
        notations.remove(tuplet)


def hanging_ends(notes: Iterable[tuple[int, Element]], removed: set[int]) -> list[Hanging]:
    """Return the ends that lose their note, of signs whose other end keeps its own.

    Args:
        notes: every note of a part with its time in ticks.
        removed: ids of the notes that go.
    """
    ends: dict[tuple[str, str], list[tuple[str, _End]]] = {}
    for order, (time, note) in enumerate(notes):
        for notations in note.iterfind("notations"):
            for child in notations:
                for sign in child if child.tag in ("ornaments", "technical") else (child,):
                    kind = sign.get("type")
                    if sign.tag in _PAIRED and kind in ("start", "stop"):
                        end = _End(time, order, sign, id(note) in removed)
                        ends.setdefault((sign.tag, sign.get("number", "1")), []).append((kind, end))
    found: list[Hanging] = []
    for each in ends.values():
        for start, stop in _pairs(each):
            if start.is_gone != stop.is_gone:
                gone, stays = (start, stop) if start.is_gone else (stop, start)
                found.append(Hanging(gone.sign, gone.time, stays.time))
    return found


def _pairs(ends: Sequence[tuple[str, _End]]) -> list[tuple[_End, _End]]:
    """Return (start, stop) of signs of one kind and number, in the order of time.

    Of what is at one time stops come first: they close what began before.
    """
    is_open: _End | None = None
    early: _End | None = None  # a stop before its start, at one time
    found = []
    for kind, end in sorted(ends, key=lambda e: (e[1].time, e[0] == "start", e[1].order)):
        if kind == "stop":
            if is_open is not None:
                found.append((is_open, end))
                is_open = None
            else:
                early = end
        elif early is not None and early.time == end.time:
            found.append((end, early))
            early = None
        else:
            is_open = end
    return found


def hang(end: Hanging, made: Sequence[tuple[int, Element, bool]]) -> bool:
    """Put an end of a sign on a new note; return whether there is one.

    Args:
        end: what lost its note.
        made: (time in ticks, element, whether it is a rest) of what is new in the part. The note
            nearest to the old one is taken that leaves start and stop in their order, a rest only
            where there is no note.
    """
    is_stop = end.sign.get("type") == "stop"
    fitting = [
        (is_rest, abs(time - end.time), order)
        for order, (time, _, is_rest) in enumerate(made)
        if (time > end.other_time if is_stop else time < end.other_time)
    ]
    if not fitting:
        return False
    note = made[min(fitting)[2]][1]
    notations = note.find("notations")
    if notations is None:
        notations = Element("notations")
        _insert(note, notations, _AFTER_NOTATIONS)
    around = _PAIRED[end.sign.tag]
    parent = notations
    if around:
        found = notations.find(around)
        parent = SubElement(notations, around) if found is None else found
    parent.append(end.sign)
    return True

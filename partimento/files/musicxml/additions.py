"""What is added to a MusicXML file: parts, bars after the last one, a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from xml.etree.ElementTree import Element, SubElement

from partimento.errors import NotSupported
from partimento.files.musicxml.measures import PartReading, Setting
from partimento.files.musicxml.note_elements import DivisionGrid, Place, add_text, rest_elements
from partimento.files.musicxml.part_changes import PartChange
from partimento.files.musicxml.parts import PartSource, Reading
from partimento.files.musicxml.sounds import Sound
from partimento.files.musicxml.splice import ByteLayout, Edit, serialised
from partimento.files.musicxml.writer import PartWriter, list_part
from partimento.music import Score, Timeline, TimeSignature, Track
from partimento.music.timeline import Bar

__all__ = ["appended_bars", "continued_measures", "new_part", "new_score_part", "recipe_edit"]

_RECIPE = "partimento-recipe"
_BEFORE_IDENTIFICATION = ("work", "movement-number", "movement-title")
_NO_METRE = TimeSignature(0, 4, 4)  # where a bar's metre is not asked for


def appended_bars(reading: Reading, after: Score) -> list[tuple[int, int]]:
    """Return (onset, length) of the bars that are wanted after those of the file.

    Raises:
        NotSupported: if they do not begin where the file's last bar ends.
    """
    end = sum(reading.bars[-1][:2]) if reading.bars else 0
    if after.length_ticks <= end:
        return []
    found = [b for b in Timeline(after).bars if b.onset_ticks >= end]
    if not found or found[0].onset_ticks != end:
        raise NotSupported("the last bar of the file is not whole, so that none can follow it")
    return [(bar.onset_ticks, bar.length_ticks) for bar in found]


def continued_measures(
    change: PartChange, after: Score, bars: Sequence[tuple[int, int]], is_first: bool
) -> list[Element]:
    """Return the measures of a part after its last one."""
    part = change.part
    count = len(part.measures)
    if count != len(change.bars) - len(bars):
        raise NotSupported("a part that ends before the others cannot go on")
    end = bars[0][0]
    setting = replace(part.setting, divisions=part.ticks)
    semitones = setting.on(setting.semitones, "1")
    written = replace(
        after,
        key_signatures=tuple(
            replace(k, key=k.key.transposed(-semitones) if semitones % 12 else k.key)
            for k in after.key_signatures
        ),
        chords=tuple(replace(c, chord=c.chord.transposed(-semitones)) for c in after.chords),
        time_signatures=tuple(t for t in after.time_signatures if t.onset_ticks >= end),
    )
    pedals = tuple(p for p in change.pedals if p.onset_ticks >= end)
    spans = [Bar(count + n, *bar, _NO_METRE) for n, bar in enumerate(bars)]
    writer = PartWriter(written, Track("", pedals=pedals), 1 if is_first else 2, tuple(spans))
    number = part.measures[-1].get("number", "") if part.measures else ""
    first = int(number) + 1 if number.isdecimal() and len(number) < 7 else count + 1
    measures = []
    for bar in spans:
        measure = Element("measure", number=str(first + bar.index - count))
        if bar.index == count:
            add_text(SubElement(measure, "attributes"), "divisions", part.ticks)
        writer.add_attributes(measure, bar)
        writer.add_directions(measure, bar)
        _add_rests(measure, setting, bar.length_ticks)
        change.fill(bar.index, measure, setting)
        measures.append(measure)
    return measures


def _add_rests(measure: Element, setting: Setting, length: int) -> None:
    """Append a whole bar's rest on each staff."""
    grid = DivisionGrid(setting.divisions, setting.divisions)
    for number in range(1, setting.staves + 1):
        if number > 1:
            add_text(SubElement(measure, "backup"), "duration", length)
        staff = str(number) if setting.staves > 1 else ""
        place = Place(str(4 * (number - 1) + 1), staff)
        measure.extend(rest_elements(length, grid, place, whole=True))


def new_score_part(track: Track, number: int) -> Element:
    """Return the ``score-part`` of a new track."""
    holder = Element("part-list")
    list_part(holder, track, number)
    return holder[0]


def new_part(reading: Reading, after: Score, track: Track, number: int) -> Element:
    """Return the ``part`` of a new track, with the measures of the first part."""
    bars = [*(bar[:2] for bar in reading.bars), *appended_bars(reading, after)]
    spans = tuple(Bar(n, *bar, _NO_METRE) for n, bar in enumerate(bars))
    model = reading.parts[0].measures
    # Metres are those that the file has written, not those of the bars' lengths.
    end = sum(reading.bars[-1][:2]) if reading.bars else 0
    later = tuple(t for t in after.time_signatures if t.onset_ticks >= end)
    writer = PartWriter(replace(after, time_signatures=later), track, number, spans)
    setting = Setting(divisions=after.ticks_per_quarter, staves=2 if writer.two_staves else 1)
    element = Element("part", id=f"P{number}")
    part = PartReading(Sound(track.name), after.ticks_per_quarter, element)
    heard = PartSource(0, track.is_drum, ())
    change = PartChange(part, heard, bars, new_drums=writer.drum)
    for bar in spans:
        measure = SubElement(element, "measure", number=str(bar.index + 1))
        own = model[bar.index] if bar.index < len(model) else None
        if own is not None:
            measure.attrib.update({k: v for k, v in own.items() if k in ("number", "implicit")})
        writer.add_attributes(measure, bar)
        _copy_metre(measure, own)
        writer.add_directions(measure, bar)
        setting = replace(setting, fifths=(("", _fifths(after, bar.onset_ticks)),))
        _add_rests(measure, setting, bar.length_ticks)
        change.change(bar.index).pieces += writer.pieces[bar.index]
        change.fill(bar.index, measure, setting)
        _copy_bar_lines(measure, own)
    return element


def _fifths(score: Score, tick: int) -> int:
    found = [k.key.fifths for k in score.key_signatures if k.onset_ticks <= tick]
    return found[-1] if found else 0


def _copy_metre(measure: Element, own: Element | None) -> None:
    times = own.findall("attributes/time") if own is not None else []
    times = [time for time in times if time.get("number", "1") == "1"][:1]
    if not times:
        return
    attributes = measure.find("attributes")
    if attributes is None:
        attributes = SubElement(measure, "attributes")
    later = ("staves", "part-symbol", "instruments", "clef")
    place = next((n for n, e in enumerate(attributes) if e.tag in later), len(attributes))
    attributes.insert(place, deepcopy(times[0]))


def _copy_bar_lines(measure: Element, own: Element | None) -> None:
    """Copy repeats, endings and styles of bar lines, which every part has."""
    for barline in own.findall("barline") if own is not None else ():
        copied = deepcopy(barline)
        for child in list(copied):
            if child.tag not in ("bar-style", "ending", "repeat"):
                copied.remove(child)
        if len(copied):
            is_left = copied.get("location") == "left"
            measure.insert(0 if is_left else len(measure), copied)


def recipe_edit(root: Element, layout: ByteLayout, after: Score) -> list[Edit]:
    """Return the edit that puts the recipe of ``after`` among the file's own fields."""
    old = next(
        (
            e
            for e in root.iterfind("identification/miscellaneous/miscellaneous-field")
            if e.get("name") == _RECIPE
        ),
        None,
    )
    if after.recipe == ("" if old is None else old.text or ""):
        return []
    identification = root.find("identification")
    if identification is None:
        identification = Element("identification")
        starts = [s for tag, s, _ in layout.children if tag not in _BEFORE_IDENTIFICATION]
        span = (min(starts), min(starts))
    else:
        (span,) = layout.spans("identification")[:1]
    miscellaneous = identification.find("miscellaneous")
    if miscellaneous is None:
        miscellaneous = SubElement(identification, "miscellaneous")
    if old is None:
        old = add_text(miscellaneous, "miscellaneous-field", "")
        old.set("name", _RECIPE)
    old.text = after.recipe
    return [(*span, serialised(identification))]

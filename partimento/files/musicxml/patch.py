"""Edits of a MusicXML file that leave the rest of it as it is.

What differs between two scores, the one that was read from a file and the one that is wanted, is
applied to the file's own measures: notes go and come, tracks and bars are added. Measures that do
not change keep their bytes; in those that change every element stays but the replaced notes.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from xml.etree.ElementTree import Element

from partimento.errors import FileError, NotSupported
from partimento.files.musicxml.additions import (
    appended_bars,
    continued_measures,
    new_part,
    new_score_part,
    recipe_edit,
)
from partimento.files.musicxml.document import document_of, root_of
from partimento.files.musicxml.mend import hang, hanging_ends
from partimento.files.musicxml.note_elements import dynamics_of
from partimento.files.musicxml.part_changes import PartChange, changes_of
from partimento.files.musicxml.parts import Reading
from partimento.files.musicxml.reader import reading_of, score_of_musicxml
from partimento.files.musicxml.splice import (
    ByteLayout,
    Edit,
    as_utf8,
    layout_of,
    repacked,
    serialised,
    spliced,
)
from partimento.files.unsupported import LeftOut
from partimento.music import Score
from partimento.music.transform import rescale

__all__ = ["patched"]

_NAME = "the file"


def patched(data: bytes, before: Score, after: Score) -> bytes:
    """Return the bytes of a MusicXML file with the changes that lead from one score to the other.

    Args:
        data: the file, plain or packed.
        before: the score as it was read from ``data``.
        after: the score that is wanted: other notes and velocities, more tracks, more bars at the
            end (with their tempos, metres, keys, chords, pedals and words), another recipe; on the
            grid of ``before`` or a multiple of it.

    Slurs and their like that end on a replaced note are hung on the nearest new one, its syllables
    go to the note that starts at their tick, or to a hidden rest; beams and tuplets of changed
    voices are made again. The result is read again and compared with ``after``.

    Raises:
        NotSupported: if the difference cannot be said by such edits; then a new document is needed.
        FileError: if ``data`` is no MusicXML.
    """
    document = document_of(data, _NAME)
    try:
        xml, encoding = as_utf8(document.xml)
    except (LookupError, ValueError) as error:
        raise FileError(_NAME, f"unreadable XML ({error})", "save it as UTF-8") from error
    root = root_of(xml, _NAME, comments=True, encoding="utf-8")
    reading = reading_of(root, _NAME)
    if [track.notes for track in reading.score.tracks] != [track.notes for track in before.tracks]:
        raise NotSupported("the score to start from is not the one that this file holds")
    wanted = _on_grid(after, before.ticks_per_quarter)
    places = _places(before, wanted)
    made = spliced(xml, _edits(root, reading, layout_of(xml), wanted, places))
    if encoding != "utf-8":
        made = made.decode().encode(encoding, "xmlcharrefreplace")
    if document.member is not None:
        made = repacked(data, document.member, made)
    _check(made, wanted)
    return made


def _on_grid(after: Score, ticks_per_quarter: int) -> Score:
    on_grid = rescale(after, ticks_per_quarter)
    if rescale(on_grid, after.ticks_per_quarter) != after:
        raise NotSupported("the new notes are on a finer grid than the file's")
    return on_grid


def _places(before: Score, after: Score) -> list[int | None]:
    """Return for each wanted track which of the file's it is, None for a new one."""
    places: list[int | None] = []
    at = 0
    for track in after.tracks:
        old = before.tracks[at] if at < len(before.tracks) else None
        is_old = old is not None and old.name == track.name and old.is_drum == track.is_drum
        places.append(at if is_old else None)
        at += is_old
    if at < len(before.tracks):
        raise NotSupported(f"the track {before.tracks[at].name!r} is gone or stands elsewhere")
    return places


def _edits(
    root: Element, reading: Reading, layout: ByteLayout, after: Score, places: Sequence[int | None]
) -> list[Edit]:
    before = reading.score
    _refuse_other_maps(before, after, reading)
    bars = appended_bars(reading, after)
    tracks = [after.tracks[n] for n, place in enumerate(places) if place is not None]
    edits = recipe_edit(root, layout, after)
    for index, change in enumerate(changes_of(reading, tracks, bars)):
        spans = layout.measures[index]
        edits += [(*spans[at], serialised(measure)) for at, measure in _changed(change).items()]
        if bars and spans:
            body = continued_measures(change, after, bars, is_first=index == 0)
            edits.append(
                (spans[-1][1], spans[-1][1], b"".join(b"\n" + serialised(m) for m in body))
            )
        elif bars:
            raise NotSupported("a part without measures cannot go on")
    edits += _new_tracks(reading, layout, after, places)
    return edits


def _changed(change: PartChange) -> dict[int, Element]:
    """Change the measures of a part; return them by index."""
    ends = hanging_ends(change.note_times(), change.removed) if change.removed else []
    made = change.remake()
    for end in ends:
        if not hang(end, made):
            raise NotSupported(f"a {end.sign.tag} would lose the note that it ends on")
    for element, velocity in change.velocities:
        element.set("dynamics", dynamics_of(velocity))
    return change.changed


def _new_tracks(
    reading: Reading, layout: ByteLayout, after: Score, places: Sequence[int | None]
) -> list[Edit]:
    """Return the edits that add parts, each after the part of the track before it."""
    edits: list[Edit] = []
    numbers = [int(i[1:]) for i in layout.part_ids if i[:1] == "P" and i[1:].isdecimal()]
    number = max(numbers, default=0)
    part = -1
    for track, place in zip(after.tracks, places, strict=True):
        if place is not None:
            part = reading.sources[place].part
            continue
        number += 1
        if len(layout.score_parts) != len(layout.part_ids) or not layout.part_ids:
            raise NotSupported("the part list of the file does not fit its parts")
        spans = (layout.score_parts, layout.spans("part"))
        bodies = (new_score_part(track, number), new_part(reading, after, track, number))
        for span, body in zip(spans, bodies, strict=True):
            at = span[part][1] if part >= 0 else span[0][0]
            edits.append((at, at, b"\n" + serialised(body) + b"\n"))
    return edits


def _refuse_other_maps(before: Score, after: Score, reading: Reading) -> None:
    """Refuse changes of what is not notes inside the bars that the file has."""
    end = sum(reading.bars[-1][:2]) if reading.bars else 0
    for name in ("tempos", "time_signatures", "key_signatures", "chords", "repeats"):
        kept = [event for event in getattr(after, name) if event.onset_ticks < end]
        had = [event for event in getattr(before, name) if event.onset_ticks < end]
        if kept != had:
            raise NotSupported(f"other {name.replace('_', ' ')} inside the bars of the file")
    if after.title != before.title:
        raise NotSupported("another title")


def _check(made: bytes, after: Score) -> None:
    """Compare what is read from the changed file with what is wanted."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LeftOut)
            again = score_of_musicxml(made, _NAME)
    except FileError as error:
        raise NotSupported(f"the changed file would be damaged: {error.problem}") from error
    if again.ticks_per_quarter != after.ticks_per_quarter:
        again = rescale(again, after.ticks_per_quarter)
    if len(again.tracks) != len(after.tracks):
        raise NotSupported("the tracks would not come back as they are wanted")
    for found, wanted in zip(again.tracks, after.tracks, strict=True):
        for name in ("notes", "program", "is_drum", "pedals"):
            if getattr(found, name) != getattr(wanted, name):
                raise NotSupported(f"the {name} of {wanted.name!r} would not come back as wanted")
        if Counter(found.lyrics) != Counter(wanted.lyrics):
            raise NotSupported(f"the words of {wanted.name!r} would not come back as wanted")
    for name in ("tempos", "time_signatures", "key_signatures", "chords", "repeats"):
        if getattr(again, name) != getattr(after, name):
            raise NotSupported(f"the {name.replace('_', ' ')} would not come back as wanted")
    if again.length_ticks < after.length_ticks or again.recipe != after.recipe:
        raise NotSupported("the length or the recipe would not come back as wanted")

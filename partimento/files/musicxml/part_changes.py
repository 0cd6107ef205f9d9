"""What changes in a part: which of its notes go, which come, in which measures."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from fractions import Fraction
from xml.etree.ElementTree import Element

from partimento.errors import NotSupported
from partimento.files.musicxml.measures import PartReading, Setting
from partimento.files.musicxml.note_elements import DivisionGrid, Pitched, pitch_element
from partimento.files.musicxml.numbers import decimal
from partimento.files.musicxml.parts import PartSource, Reading
from partimento.files.musicxml.remake import Change, remake
from partimento.files.musicxml.terms import text_of_lyric
from partimento.files.notation import cut_at_bar_lines
from partimento.music import Note, Pedal, Track

__all__ = ["PartChange", "changes_of"]

_STAFF_CENTRES = {"1": 67.0, "2": 48.0, "3": 40.0}


@dataclass
class PartChange:
    """What becomes of one part; times in ticks, changes by the index of their measure.

    Changes beyond the part's own measures are of bars that are appended.
    """

    part: PartReading
    source: PartSource | None  # of its only track
    bars: Sequence[tuple[int, int]]  # (onset, length), those that are appended too
    changes: dict[int, Change] = field(default_factory=dict)
    removed: set[int] = field(default_factory=set)  # ids of ``note`` elements
    velocities: list[tuple[Element, int]] = field(default_factory=list)
    changed: dict[int, Element] = field(default_factory=dict)
    pedals: tuple[Pedal, ...] = ()  # that are wanted
    new_drums: Pitched | None = None  # of a part that the file does not have yet

    def change(self, index: int) -> Change:
        """Return the change of a measure, which is nothing at first."""
        return self.changes.setdefault(index, Change(self.bars[index][1]))

    def timed_notes(self) -> Iterator[tuple[int, int, Element]]:
        """Yield (measure, tick in the score, ``note`` element) of all notes of the part."""
        divisions = 1
        for index, measure in enumerate(self.part.measures):
            at = before = Fraction(0)
            for element in measure:
                tag = element.tag
                if tag == "attributes":
                    divisions = int(decimal(element.findtext("divisions"), str(divisions)))
                if tag not in ("note", "backup", "forward"):
                    continue
                length = decimal(element.findtext("duration")) * self.part.ticks / divisions
                if tag == "note":
                    is_grace = element.find("grace") is not None
                    is_chord = element.find("chord") is not None and not is_grace
                    start = before if is_chord else at
                    yield index, round(self.bars[index][0] + start), element
                    if not is_grace:
                        before, at = start, max(at, start + length)
                else:
                    at = max(Fraction(0), at - length) if tag == "backup" else at + length

    def note_times(self) -> list[tuple[int, Element]]:
        """Return (tick, element) of all notes of the part."""
        return [(tick, element) for _, tick, element in self.timed_notes()]

    def remake(self) -> list[tuple[int, Element, bool]]:
        """Change the part's measures; return (tick, element, whether a rest) of what is new."""
        words = self._words_of_removed()
        made: list[tuple[int, Element, bool]] = []
        for index, change in sorted(self.changes.items()):
            if index < len(self.part.measures) and change.is_needed:
                measure = self.part.measures[index]
                made += self.fill(index, measure, self.part.settings[index])
                self.changed[index] = measure
        for tick, lyrics in words:
            note = next(e for t, e, rest in made if t == tick and not rest and not _is_tied_to(e))
            note.extend(lyrics)
        return made

    def fill(
        self, index: int, measure: Element, setting: Setting
    ) -> list[tuple[int, Element, bool]]:
        """Change one measure, whose notes stand under ``setting``."""
        if any(interval for _, interval in setting.double):
            raise NotSupported("notes of a part that sounds in octaves cannot be changed")
        grid = DivisionGrid(self.part.ticks, setting.divisions)
        staff_of = _Staves(self, setting, measure).of
        found = remake(
            measure, self.change(index), grid, lambda staff: self._pitched(setting, staff), staff_of
        )
        onset = self.bars[index][0]
        return [(onset + m.start, m.element, m.is_rest) for m in found]

    def _pitched(self, setting: Setting, staff: str) -> Pitched:
        semitones = setting.on(setting.semitones, staff or "1")
        fifths = setting.on(setting.fifths, staff or "1")
        if self.source is not None and self.source.is_drum:
            return self.new_drums or self._drum
        return lambda pitch: (pitch_element(pitch - semitones, fifths), "")

    def _drum(self, pitch: int) -> tuple[Element, str]:
        """Return how a drum is written: as elsewhere in the part, else as its instrument says."""
        assert self.source is not None
        for note, heard in self.source.heard:
            if note.pitch == pitch:
                element = heard.elements[0]
                shown = element.find("unpitched")
                shown = element.find("pitch") if shown is None else shown
                instrument = element.find("instrument")
                assert shown is not None
                return deepcopy(shown), "" if instrument is None else instrument.get("id", "")
        known = self.part.sound.instruments.values()
        instrument_id = next((i.id for i in known if i.drum == pitch), None)
        if instrument_id is None:
            raise NotSupported(f"the part has no instrument for the drum {pitch}")
        return pitch_element(71, 0, "unpitched"), instrument_id

    def _words_of_removed(self) -> list[tuple[int, list[Element]]]:
        """Return the syllables of removed notes with which a new note starts, by tick.

        Others go to the changes of their measures.
        """
        if not self.removed:
            return []
        words: dict[tuple[int, int], list[Element]] = defaultdict(list)
        for index, tick, element in self.timed_notes():
            if id(element) in self.removed and element.find("grace") is None:
                words[index, tick] += [e for e in element.findall("lyric") if text_of_lyric(e)]
        moved = []
        for (index, tick), lyrics in words.items():
            change, at = self.change(index), tick - self.bars[index][0]
            if lyrics and any(p.start == at and not p.from_before for p in change.pieces):
                moved.append((tick, lyrics))
            elif lyrics:
                change.loose.append((at, lyrics))
        return moved


class _Staves:
    """Which staff a new note goes to: the one whose notes lie nearest."""

    def __init__(self, change: PartChange, setting: Setting, measure: Element) -> None:
        self.means: dict[str, float] = {}
        if setting.staves < 2:
            staves = {e.findtext("staff", "").strip() for e in measure.iterfind("note")}
            self.means[min(staves, default="")] = 0.0
            return
        pitches: dict[str, list[int]] = defaultdict(list)
        for note, heard in change.source.heard if change.source is not None else ():
            pitches[heard.elements[0].findtext("staff", "1").strip()].append(note.pitch)
        for number in range(1, setting.staves + 1):
            own = pitches.get(str(number))
            centre = _STAFF_CENTRES.get(str(number), 36.0)
            self.means[str(number)] = sum(own) / len(own) if own else centre

    def of(self, pitch: int) -> str:
        """Return the staff of a new note of a MIDI pitch."""
        return min(self.means, key=lambda staff: abs(self.means[staff] - pitch))


def _is_tied_to(element: Element) -> bool:
    return any(tie.get("type") == "stop" for tie in element.iterfind("tie"))


def changes_of(
    reading: Reading, tracks: Sequence[Track], appended: Sequence[tuple[int, int]]
) -> list[PartChange]:
    """Return what becomes of each part.

    Args:
        reading: the file.
        tracks: what its tracks are to be, in their order.
        appended: (onset, length) of bars after its own.

    Raises:
        NotSupported: for a change that cannot be said.
    """
    bars = [*(bar[:2] for bar in reading.bars), *appended]
    end = sum(reading.bars[-1][:2]) if reading.bars else 0
    sources: dict[int, list[PartSource]] = defaultdict(list)
    for source in reading.sources:
        sources[source.part].append(source)
    found = [
        PartChange(part, sources[n][0] if len(sources[n]) == 1 else None, bars)
        for n, part in enumerate(reading.parts)
    ]
    for source, old, new in zip(reading.sources, reading.score.tracks, tracks, strict=True):
        _require_same_sound(old, new, end)
        change = found[source.part]
        change.pedals += new.pedals
        if old.notes == new.notes and Counter(old.lyrics) == Counter(new.lyrics):
            continue
        if change.source is None:
            raise NotSupported(f"{old.name!r} shares its part with drums")
        _compare(change, source, old, new)
    return found


def _require_same_sound(old: Track, new: Track, end: int) -> None:
    for name in ("program", "volume", "pan"):
        if getattr(old, name) != getattr(new, name):
            raise NotSupported(f"another {name} of {old.name!r}")
    if [p for p in new.pedals if p.onset_ticks < end] != list(old.pedals):
        raise NotSupported(f"other pedals of {old.name!r}")
    if Counter(old.lyrics) - Counter(new.lyrics):
        raise NotSupported(f"words of {old.name!r} that are gone")


def _compare(change: PartChange, source: PartSource, old: Track, new: Track) -> None:
    """Find the notes that go, those that come, and those that are only louder or softer."""
    wanted = Counter(new.notes)
    gone = []
    for note, heard in source.heard:
        if wanted[note] > 0:
            wanted[note] -= 1
        else:
            gone.append((note, heard))
    coming: dict[tuple[int, int, int], list[Note]] = defaultdict(list)
    for note in wanted.elements():
        coming[note.onset_ticks, note.pitch, note.duration_ticks].append(note)
    for note, heard in gone:
        same = coming.get((note.onset_ticks, note.pitch, note.duration_ticks))
        if heard.is_doubled:
            raise NotSupported("notes of a part that sounds in octaves cannot be changed")
        if same:
            change.velocities.append((heard.elements[0], same.pop().velocity))
        else:
            change.removed |= {id(element) for element in heard.elements}
    added = sorted(note for notes in coming.values() for note in notes)
    if added and added[-1].end_ticks > sum(change.bars[-1]):
        raise NotSupported("notes beyond the last bar")
    lyrics: dict[Note, list[tuple[int, str]]] = defaultdict(list)
    highest = {note.onset_ticks: note for note in added}
    for lyric in (Counter(new.lyrics) - Counter(old.lyrics)).elements():
        if lyric.onset_ticks not in highest:
            raise NotSupported("new words without new notes")
        lyrics[highest[lyric.onset_ticks]].append((lyric.verse, lyric.text))
    count = len(change.part.measures)
    for index, pieces in enumerate(cut_at_bar_lines(added, change.bars, lyrics)):
        if pieces:
            change.change(index).pieces += pieces
        if pieces and count <= index < len(change.bars) - _appended(change):
            raise NotSupported("a part that ends before the others")
    places = {id(e): n for n, measure in enumerate(change.part.measures) for e in measure}
    for key in change.removed:
        change.change(places[key]).removed.add(key)
    for element, _ in change.velocities:
        change.changed[places[id(element)]] = change.part.measures[places[id(element)]]


def _appended(change: PartChange) -> int:
    return max(0, len(change.bars) - len(change.part.measures))

"""Scores to MusicXML 4.0 (partwise), plain or packed (``.mxl``).

What MusicXML holds comes back when read: notes (also over bar lines), velocities, tempo, metre,
key, chord symbols, repeats, all verses of the lyrics, pedals, names, programs, volume, pan, drums,
title, recipe. A syllable where no note starts stands on a hidden rest. Bars are those of the
score's ``Timeline``.
"""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from os import PathLike
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from partimento.files.atomic import atomic_path
from partimento.files.barlines import nearest_metre
from partimento.files.midi.writer import playable
from partimento.files.musicxml.note_elements import (
    DivisionGrid,
    Place,
    add_text,
    chord_elements,
    hidden_rest,
    pitch_element,
    rest_elements,
)
from partimento.files.musicxml.repeat_signs import write_signs
from partimento.files.musicxml.terms import KIND_OF_QUALITY
from partimento.files.names import written_name
from partimento.files.notation import Piece, cut_at_bar_lines, spelt, voices_of
from partimento.music import Lyric, Note, Score, Timeline, TimeSignature, Track
from partimento.music.instruments import DRUMS, PROGRAMS
from partimento.music.timeline import Bar

__all__ = ["PartWriter", "list_part", "musicxml_bytes", "write_musicxml"]

_MIDDLE_C = 60
_BASS_CLEF_BELOW = 57
_LYRIC_PLACE = Place("99", "")  # the voice of syllables without notes
_KEYBOARDS = frozenset((*range(8), *range(16, 24), 46))
_CONTAINER = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<container><rootfiles>'
    '<rootfile full-path="score.musicxml" '
    'media-type="application/vnd.recordare.musicxml+xml"/></rootfiles></container>\n'
)


def write_musicxml(score: Score, path: str | PathLike[str]) -> None:
    """Write a score as MusicXML, packed where the suffix is ``.mxl``; whole or not at all.

    Raises:
        FileError: if it cannot be written.
    """
    data = musicxml_bytes(score)
    with atomic_path(path) as temporary:
        if Path(path).suffix.lower() != ".mxl":
            temporary.write_bytes(data)
            return
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, body in (
                ("META-INF/container.xml", _CONTAINER.encode()),
                ("score.musicxml", data),
            ):
                # A fixed date: the same score makes the same bytes on any day.
                info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, body)


def musicxml_bytes(score: Score) -> bytes:
    """Return the MusicXML of a score: of ``midi.playable(score)``, which strikes no key twice."""
    tempos = {tempo.onset_ticks: tempo for tempo in score.tempos}  # not rounded, as for MIDI
    held = playable(score)
    tracks = [  # with all verses, of which MIDI holds the first
        replace(track, lyrics=tuple(lyric for lyric in given.lyrics if lyric.text))
        for track, given in zip(held.tracks, score.tracks, strict=True)
    ]
    score = replace(held, tracks=tuple(tracks), tempos=tuple(tempos.values()))
    root = Element("score-partwise", version="4.0")
    if score.title:
        add_text(SubElement(root, "work"), "work-title", score.title)
    identification = SubElement(root, "identification")
    add_text(SubElement(identification, "encoding"), "software", "Partimento")
    miscellaneous = SubElement(identification, "miscellaneous")
    fields = {
        "ticks": str(score.ticks_per_quarter),
        "length": str(score.written_length_ticks),
        "recipe": score.recipe,
        "tracks": "" if score.tracks else "0",
    }
    for name, value in fields.items():
        if value:
            field = add_text(miscellaneous, "miscellaneous-field", value)
            field.set("name", f"partimento-{name}")
    part_list = SubElement(root, "part-list")
    bars = Timeline(score).bars
    # A score of chord symbols alone still needs a part to hold them.
    for number, track in enumerate(score.tracks or (Track("Chords"),), 1):
        list_part(part_list, track, number)
        part = SubElement(root, "part", id=f"P{number}")
        PartWriter(score, track, number, bars).write(part)
    indent(root)
    data: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return data + b"\n"


def list_part(part_list: Element, track: Track, number: int) -> None:
    """Append the ``score-part`` of a track, whose id is P and a number."""
    part = SubElement(part_list, "score-part", id=f"P{number}")
    add_text(part, "part-name", written_name(track) or track.name)
    channel = 10 if track.is_drum else (number - 1) % 15 + 1
    channel += not track.is_drum and channel >= 10
    pitches = sorted({note.pitch for note in track.notes}) if track.is_drum else []
    names: dict[str, int | None] = {f"P{number}-I{pitch}": pitch for pitch in pitches}
    names = names or {f"P{number}-I0": None}
    for name, pitch in names.items():
        drum = DRUMS.get(pitch, f"Drum {pitch}") if pitch is not None else PROGRAMS[track.program]
        add_text(SubElement(part, "score-instrument", id=name), "instrument-name", drum)
    for name, pitch in names.items():
        midi = SubElement(part, "midi-instrument", id=name)
        add_text(midi, "midi-channel", channel)
        add_text(midi, "midi-program", track.program + 1)
        if pitch is not None:
            add_text(midi, "midi-unpitched", pitch + 1)
        add_text(midi, "volume", f"{track.volume / 127 * 100:.4f}")
        add_text(midi, "pan", f"{track.pan / 127 * 180 - 90:.4f}")


class PartWriter:
    """Writes one part bar by bar; only the first carries tempo and chord symbols."""

    def __init__(self, score: Score, track: Track, number: int, bars: tuple[Bar, ...]) -> None:
        self.score, self.track, self.number, self.bars = score, track, number, bars
        self.ticks = score.ticks_per_quarter
        pitches = [note.pitch for note in track.notes]
        self.two_staves = (
            track.program in _KEYBOARDS
            and not track.is_drum
            and bool(pitches)
            and min(pitches) < _MIDDLE_C <= max(pitches)
        )
        mean = sum(pitches) / len(pitches) if pitches else _MIDDLE_C
        self.clef = "percussion" if track.is_drum else "F" if mean < _BASS_CLEF_BELOW else "G"
        self.grid = DivisionGrid(self.ticks, self.ticks)
        self.loose: list[Lyric] = []
        spans = [(bar.onset_ticks, bar.length_ticks) for bar in bars]
        self.pieces = cut_at_bar_lines(track.notes, spans, self._lyrics_of_notes())

    def _lyrics_of_notes(self) -> dict[Note, list[tuple[int, str]]]:
        """Return the syllables of notes as (verse, text); of those at one tick the highest first.

        A second syllable of a verse goes to the next note that starts there, the last note has
        what is left. ``self.loose`` gets what starts with no note.
        """
        starting: dict[int, list[Note]] = {}
        for note in self.track.notes:
            starting.setdefault(note.onset_ticks, []).insert(0, note)
        used: Counter[tuple[int, int]] = Counter()
        found: dict[Note, list[tuple[int, str]]] = {}
        for lyric in self.track.lyrics:
            notes = starting.get(lyric.onset_ticks)
            if notes is None:
                self.loose.append(lyric)
                continue
            place = min(used[lyric.onset_ticks, lyric.verse], len(notes) - 1)
            used[lyric.onset_ticks, lyric.verse] += 1
            found.setdefault(notes[place], []).append((lyric.verse, lyric.text))
        return found

    def write(self, part: Element) -> None:
        """Append every measure to a ``part`` element."""
        pickup = self._pickup()
        for bar, pieces in zip(self.bars, self.pieces, strict=True):
            number = bar.index + (0 if pickup else 1)
            measure = SubElement(part, "measure", number=str(number))
            if pickup and bar.index == 0:
                measure.set("implicit", "yes")
            self.add_attributes(measure, bar, pickup)
            self.add_directions(measure, bar)
            at = self._notes(measure, bar, pieces)
            self._loose_lyrics(measure, bar, at)
            write_signs(
                measure, self.score.repeats, bar.onset_ticks, self._end(bar), self.number == 1
            )

    def _end(self, bar: Bar) -> int:
        """Return where a bar ends: the last one may be cut short."""
        is_last = bar.index == len(self.bars) - 1
        return min(bar.end_ticks, self.score.length_ticks) if is_last else bar.end_ticks

    def _pickup(self) -> TimeSignature | None:
        """Return the metre that a short first bar belongs to, if it is a pickup."""
        signatures = self.score.time_signatures
        if len(signatures) < 2 or len(self.bars) < 2:
            return None
        first, after = signatures[:2]
        quarters = first.quarters_per_bar
        own = (first.numerator, first.denominator)
        fits = nearest_metre(quarters, after.denominator) == own
        starts = after.onset_ticks == self.bars[1].onset_ticks == self.bars[0].length_ticks
        return after if fits and starts and quarters < after.quarters_per_bar else None

    def add_attributes(
        self, measure: Element, bar: Bar, pickup: TimeSignature | None = None
    ) -> None:
        """Append the key, metre and clefs that begin at a bar."""
        keys = [
            key
            for key in self.score.key_signatures
            if bar.onset_ticks <= key.onset_ticks < bar.end_ticks
        ]
        metres = [t for t in self.score.time_signatures if t.onset_ticks == bar.onset_ticks]
        here = [key for key in keys if key.onset_ticks == bar.onset_ticks]
        if bar.index == 0 or metres or here:
            attributes = SubElement(measure, "attributes")
            if bar.index == 0:
                add_text(attributes, "divisions", self.ticks)
            for key in here:
                self._key(attributes, key.key.fifths, key.key.is_minor)
            if pickup and bar.index <= 1:
                metres = [pickup] if bar.index == 0 else []
            for metre in metres[-1:]:
                time = SubElement(attributes, "time")
                add_text(time, "beats", metre.numerator)
                add_text(time, "beat-type", metre.denominator)
            if bar.index == 0:
                self._clefs(attributes)
        for key in keys:
            offset = key.onset_ticks - bar.onset_ticks
            if offset:
                self._move(measure, "forward", offset)
                self._key(SubElement(measure, "attributes"), key.key.fifths, key.key.is_minor)
                self._move(measure, "backup", offset)

    @staticmethod
    def _key(attributes: Element, fifths: int, is_minor: bool) -> None:
        key = SubElement(attributes, "key")
        add_text(key, "fifths", fifths)
        add_text(key, "mode", "minor" if is_minor else "major")

    def _clefs(self, attributes: Element) -> None:
        clefs = [("G", "1"), ("F", "2")] if self.two_staves else [(self.clef, "1")]
        if self.two_staves:
            add_text(attributes, "staves", 2)
        for sign, number in clefs:
            clef = SubElement(attributes, "clef", number=number)
            add_text(clef, "sign", sign)
            if sign != "percussion":
                add_text(clef, "line", 4 if sign == "F" else 2)

    @staticmethod
    def _move(measure: Element, tag: str, ticks: int) -> None:
        if ticks:
            add_text(SubElement(measure, tag), "duration", ticks)

    def add_directions(self, measure: Element, bar: Bar) -> None:
        """Write tempo, chord symbols and pedals, each with its offset from the bar's start."""
        found: list[tuple[int, int, Callable[[int], None]]] = []

        def add(onset: int, order: int, write: Callable[[int], None]) -> None:
            last = bar.index == len(self.bars) - 1
            if bar.onset_ticks <= onset and (onset < bar.end_ticks or last):
                found.append((onset - bar.onset_ticks, order, write))

        if self.number == 1:
            for tempo in self.score.tempos:
                quarters = tempo.quarters_per_minute
                add(tempo.onset_ticks, 0, lambda at, q=quarters: self._tempo(measure, at, q))  # type: ignore[misc]
            for chord in self.score.chords:
                symbol = chord.chord
                add(
                    chord.onset_ticks,
                    1,
                    lambda at, c=symbol: self._harmony(measure, at, c.root, c.quality, c.bass),  # type: ignore[misc]
                )
        for pedal in self.track.pedals:
            end = pedal.onset_ticks + pedal.duration_ticks
            add(end, 2, lambda at: self._pedal(measure, at, "stop"))
            add(pedal.onset_ticks, 3, lambda at: self._pedal(measure, at, "start"))
        for offset, _, write in sorted(found, key=lambda item: item[:2]):
            write(offset)

    @staticmethod
    def _tempo(measure: Element, offset: int, quarters: float) -> None:
        direction = SubElement(measure, "direction", placement="above")
        metronome = SubElement(SubElement(direction, "direction-type"), "metronome")
        add_text(metronome, "beat-unit", "quarter")
        add_text(metronome, "per-minute", f"{quarters:.6g}")
        add_text(direction, "offset", offset)
        SubElement(direction, "sound", tempo=repr(quarters))

    @staticmethod
    def _pedal(measure: Element, offset: int, kind: str) -> None:
        direction = SubElement(measure, "direction", placement="below")
        SubElement(SubElement(direction, "direction-type"), "pedal", type=kind, line="yes")
        add_text(direction, "offset", offset)

    def _harmony(
        self, measure: Element, offset: int, root: int, quality: str, bass: int | None
    ) -> None:
        harmony = SubElement(measure, "harmony")
        for name, pitch_class in (("root", root), ("bass", bass)):
            if name == "bass":
                kind, degrees = KIND_OF_QUALITY[quality]
                add_text(harmony, "kind", kind)
            if pitch_class is not None:
                letter, alter = spelt(pitch_class, self._fifths(0))
                element = SubElement(harmony, name)
                add_text(element, f"{name}-step", letter)
                if alter:
                    add_text(element, f"{name}-alter", alter)
        for value, alter, kind in degrees:
            degree = SubElement(harmony, "degree")
            add_text(degree, "degree-value", value)
            add_text(degree, "degree-alter", alter)
            add_text(degree, "degree-type", kind)
        add_text(harmony, "offset", offset)

    def _fifths(self, tick: int) -> int:
        fifths = 0
        for signature in self.score.key_signatures:
            if signature.onset_ticks <= max(tick, self.score.key_signatures[0].onset_ticks):
                fifths = signature.key.fifths
        return fifths

    def _notes(self, measure: Element, bar: Bar, pieces: list[Piece]) -> int:
        """Write the notes of a bar; return how far into it they come."""
        at = 0
        fifths = self._fifths(bar.onset_ticks)
        staves = [pieces]
        if self.two_staves:
            high = [piece for piece in pieces if piece.pitch >= _MIDDLE_C]
            staves = [high, [piece for piece in pieces if piece.pitch < _MIDDLE_C]]
        for staff, own in enumerate(staves, 1):
            for number, voice in enumerate(voices_of(own) or [[]], 1):
                self._move(measure, "backup", at)
                at = 0
                place = Place(str(4 * (staff - 1) + number), str(staff) if self.two_staves else "")
                for chord in voice:
                    self._rest(measure, chord[0].start - at, place, number == 1)
                    measure.extend(
                        chord_elements(chord, self.grid, place, lambda p: self._pitched(p, fifths))
                    )
                    at = chord[0].end
                whole = at == 0
                self._rest(measure, bar.length_ticks - at, place, number == 1, whole)
                at = bar.length_ticks
        return at

    def _loose_lyrics(self, measure: Element, bar: Bar, at: int) -> None:
        """Write the syllables of a bar with which no note starts, on hidden rests."""
        loose: dict[int, list[tuple[int, str]]] = {}
        for lyric in self.loose:
            if bar.onset_ticks <= lyric.onset_ticks < bar.end_ticks:
                here = loose.setdefault(lyric.onset_ticks - bar.onset_ticks, [])
                here.append((lyric.verse, lyric.text))
        for start, end in pairwise([*sorted(loose), bar.length_ticks]):
            self._move(measure, "backup" if at > start else "forward", abs(at - start))
            measure.append(hidden_rest(end - start, self.grid, _LYRIC_PLACE, loose[start]))
            at = end

    def _rest(
        self, measure: Element, ticks: int, place: Place, shown: bool, whole: bool = False
    ) -> None:
        if ticks and not shown:
            self._move(measure, "forward", ticks)
        elif ticks:
            measure.extend(rest_elements(ticks, self.grid, place, whole))

    def _pitched(self, pitch: int, fifths: int) -> tuple[Element, str]:
        return self.drum(pitch) if self.track.is_drum else (pitch_element(pitch, fifths), "")

    def drum(self, pitch: int) -> tuple[Element, str]:
        """Return how a drum is written, and the id of its instrument in the part list."""
        return pitch_element(pitch, 0, "unpitched"), f"P{self.number}-I{pitch}"

"""Scores to MusicXML 4.0 (partwise), plain or packed (``.mxl``).

What MusicXML holds comes back when read: notes (also over bar lines), velocities, tempo, metre,
key, chord symbols, all verses of the lyrics that stand on notes, pedals, names, programs, volume,
pan, drums, title, recipe. Bars are those of the score's ``Timeline``.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from partimento.files.atomic import atomic_path
from partimento.files.barlines import nearest_metre
from partimento.files.midi.writer import playable
from partimento.files.musicxml.terms import KIND_OF_QUALITY
from partimento.files.names import written_name
from partimento.files.notation import Piece, Value, spelt, values_of, voices_of
from partimento.music import Note, Score, Timeline, TimeSignature, Track
from partimento.music.instruments import DRUMS, PROGRAMS
from partimento.music.timeline import Bar

__all__ = ["musicxml_bytes", "write_musicxml"]

_NO_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_MIDDLE_C = 60
_MOST_TIES = 16  # as MusicXML numbers them
_BASS_CLEF_BELOW = 57
_KEYBOARDS = frozenset((*range(8), *range(16, 24), 46))
_VELOCITY_TO_DYNAMICS = 1 / 0.9
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
        _text(SubElement(root, "work"), "work-title", score.title)
    identification = SubElement(root, "identification")
    _text(SubElement(identification, "encoding"), "software", "Partimento")
    miscellaneous = SubElement(identification, "miscellaneous")
    fields = {
        "ticks": str(score.ticks_per_quarter),
        "length": str(score.written_length_ticks),
        "recipe": score.recipe,
        "tracks": "" if score.tracks else "0",
    }
    for name, value in fields.items():
        if value:
            field = _text(miscellaneous, "miscellaneous-field", value)
            field.set("name", f"partimento-{name}")
    part_list = SubElement(root, "part-list")
    bars = Timeline(score).bars
    # A score of chord symbols alone still needs a part to hold them.
    for number, track in enumerate(score.tracks or (Track("Chords"),), 1):
        _list_part(part_list, track, number)
        part = SubElement(root, "part", id=f"P{number}")
        _PartWriter(score, track, number, bars).write(part)
    indent(root)
    data: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return data + b"\n"


def _text(parent: Element, tag: str, text: str | int) -> Element:
    element = SubElement(parent, tag)
    element.text = _NO_CONTROLS.sub("", str(text))
    return element


def _list_part(part_list: Element, track: Track, number: int) -> None:
    part = SubElement(part_list, "score-part", id=f"P{number}")
    _text(part, "part-name", written_name(track) or track.name)
    channel = 10 if track.is_drum else (number - 1) % 15 + 1
    channel += not track.is_drum and channel >= 10
    pitches = sorted({note.pitch for note in track.notes}) if track.is_drum else []
    names: dict[str, int | None] = {f"P{number}-I{pitch}": pitch for pitch in pitches}
    names = names or {f"P{number}-I0": None}
    for name, pitch in names.items():
        drum = DRUMS.get(pitch, f"Drum {pitch}") if pitch is not None else PROGRAMS[track.program]
        _text(SubElement(part, "score-instrument", id=name), "instrument-name", drum)
    for name, pitch in names.items():
        midi = SubElement(part, "midi-instrument", id=name)
        _text(midi, "midi-channel", channel)
        _text(midi, "midi-program", track.program + 1)
        if pitch is not None:
            _text(midi, "midi-unpitched", pitch + 1)
        _text(midi, "volume", f"{track.volume / 127 * 100:.4f}")
        _text(midi, "pan", f"{track.pan / 127 * 180 - 90:.4f}")


def _tie_numbers(notes: Sequence[Note]) -> list[int]:
    """Return for each note a number, 1 to 16, that no note of its pitch has while it sounds."""
    sounding: dict[int, dict[int, int]] = {}  # by pitch: numbers, and when their notes end
    numbers = []
    for note in notes:
        taken = sounding.setdefault(note.pitch, {})
        free = (n for n in range(1, _MOST_TIES) if taken.get(n, -1) < note.onset_ticks)
        number = next(free, _MOST_TIES)
        taken[number] = note.end_ticks
        numbers.append(number)
    return numbers


class _PartWriter:
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
        self.pieces = self._cut_at_bar_lines()

    def _cut_at_bar_lines(self) -> list[list[Piece]]:
        lyrics: dict[int, dict[int, str]] = {}
        for lyric in self.track.lyrics:
            lyrics.setdefault(lyric.onset_ticks, {}).setdefault(lyric.verse, lyric.text)
        out: list[list[Piece]] = [[] for _ in self.bars]
        first = 0
        for note, tie in zip(self.track.notes, _tie_numbers(self.track.notes), strict=True):
            while self.bars[first].end_ticks <= note.onset_ticks:
                first += 1
            index = first
            while index < len(self.bars) and self.bars[index].onset_ticks < note.end_ticks:
                bar = self.bars[index]
                start, end = max(note.onset_ticks, bar.onset_ticks), note.end_ticks
                out[index].append(
                    Piece(
                        start - bar.onset_ticks,
                        min(end, bar.end_ticks) - bar.onset_ticks,
                        note.pitch,
                        note.velocity,
                        start > note.onset_ticks,
                        end > bar.end_ticks,
                        # The first note that starts here sings; chords sing once.
                        ()
                        if start > note.onset_ticks
                        else tuple(sorted(lyrics.pop(start, {}).items())),
                        tie,
                    )
                )
                index += 1
        return out

    def write(self, part: Element) -> None:
        """Append every measure to a ``part`` element."""
        pickup = self._pickup()
        for bar, pieces in zip(self.bars, self.pieces, strict=True):
            number = bar.index + (0 if pickup else 1)
            measure = SubElement(part, "measure", number=str(number))
            if pickup and bar.index == 0:
                measure.set("implicit", "yes")
            self._attributes(measure, bar, pickup)
            self._directions(measure, bar)
            self._notes(measure, bar, pieces)

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

    def _attributes(self, measure: Element, bar: Bar, pickup: TimeSignature | None) -> None:
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
                _text(attributes, "divisions", self.ticks)
            for key in here:
                self._key(attributes, key.key.fifths, key.key.is_minor)
            if pickup and bar.index <= 1:
                metres = [pickup] if bar.index == 0 else []
            for metre in metres[-1:]:
                time = SubElement(attributes, "time")
                _text(time, "beats", metre.numerator)
                _text(time, "beat-type", metre.denominator)
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
        _text(key, "fifths", fifths)
        _text(key, "mode", "minor" if is_minor else "major")

    def _clefs(self, attributes: Element) -> None:
        clefs = [("G", "1"), ("F", "2")] if self.two_staves else [(self.clef, "1")]
        if self.two_staves:
            _text(attributes, "staves", 2)
        for sign, number in clefs:
            clef = SubElement(attributes, "clef", number=number)
            _text(clef, "sign", sign)
            if sign != "percussion":
                _text(clef, "line", 4 if sign == "F" else 2)

    @staticmethod
    def _move(measure: Element, tag: str, ticks: int) -> None:
        if ticks:
            _text(SubElement(measure, tag), "duration", ticks)

    def _directions(self, measure: Element, bar: Bar) -> None:
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
        _text(metronome, "beat-unit", "quarter")
        _text(metronome, "per-minute", f"{quarters:.6g}")
        _text(direction, "offset", offset)
        SubElement(direction, "sound", tempo=repr(quarters))

    @staticmethod
    def _pedal(measure: Element, offset: int, kind: str) -> None:
        direction = SubElement(measure, "direction", placement="below")
        SubElement(SubElement(direction, "direction-type"), "pedal", type=kind, line="yes")
        _text(direction, "offset", offset)

    def _harmony(
        self, measure: Element, offset: int, root: int, quality: str, bass: int | None
    ) -> None:
        harmony = SubElement(measure, "harmony")
        for name, pitch_class in (("root", root), ("bass", bass)):
            if name == "bass":
                kind, degrees = KIND_OF_QUALITY[quality]
                _text(harmony, "kind", kind)
            if pitch_class is not None:
                letter, alter = spelt(pitch_class, self._fifths(0))
                element = SubElement(harmony, name)
                _text(element, f"{name}-step", letter)
                if alter:
                    _text(element, f"{name}-alter", alter)
        for value, alter, kind in degrees:
            degree = SubElement(harmony, "degree")
            _text(degree, "degree-value", value)
            _text(degree, "degree-alter", alter)
            _text(degree, "degree-type", kind)
        _text(harmony, "offset", offset)

    def _fifths(self, tick: int) -> int:
        fifths = 0
        for signature in self.score.key_signatures:
            if signature.onset_ticks <= max(tick, self.score.key_signatures[0].onset_ticks):
                fifths = signature.key.fifths
        return fifths

    def _notes(self, measure: Element, bar: Bar, pieces: list[Piece]) -> None:
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
                place = (4 * (staff - 1) + number, staff if self.two_staves else 0)
                for chord in voice:
                    self._rest(measure, chord[0].start - at, place, number == 1)
                    self._chord(measure, chord, place, fifths)
                    at = chord[0].end
                whole = at == 0
                self._rest(measure, bar.length_ticks - at, place, number == 1, whole)
                at = bar.length_ticks

    def _rest(
        self, measure: Element, ticks: int, place: tuple[int, int], shown: bool, whole: bool = False
    ) -> None:
        if not ticks:
            return
        if not shown:
            self._move(measure, "forward", ticks)
            return
        for value in [Value(ticks)] if whole else values_of(ticks, self.ticks):
            note = SubElement(measure, "note")
            rest = SubElement(note, "rest")
            if whole:
                rest.set("measure", "yes")
            _text(note, "duration", value.ticks)
            self._written(note, value, place)

    def _chord(
        self, measure: Element, chord: list[Piece], place: tuple[int, int], fifths: int
    ) -> None:
        values = values_of(chord[0].end - chord[0].start, self.ticks)
        for index, value in enumerate(values):
            for piece in chord:
                stop = piece.from_before or index > 0
                start = piece.goes_on or index < len(values) - 1
                note = SubElement(measure, "note")
                if not stop:
                    note.set("dynamics", f"{piece.velocity * _VELOCITY_TO_DYNAMICS:.2f}")
                if piece is not chord[0]:
                    SubElement(note, "chord")
                self._pitch(note, piece.pitch, fifths)
                _text(note, "duration", value.ticks)
                ties = [kind for kind, on in (("stop", stop), ("start", start)) if on]
                for kind in ties:
                    SubElement(note, "tie", type=kind)
                if self.track.is_drum:
                    SubElement(note, "instrument", id=f"P{self.number}-I{piece.pitch}")
                self._written(note, value, place)
                if ties:
                    notations = SubElement(note, "notations")
                    for kind in ties:
                        tied = SubElement(notations, "tied", type=kind)
                        if piece.tie > 1:
                            tied.set("number", str(piece.tie))
                for verse, text in () if stop else piece.lyrics:
                    self._lyric(note, verse, text)

    def _pitch(self, note: Element, pitch: int, fifths: int) -> None:
        drum = self.track.is_drum
        letter, alter = spelt(pitch % 12, 0 if drum else fifths)
        octave = (pitch - alter) // 12 - 1
        if not drum and not 0 <= octave <= 9:
            letter, alter = spelt(pitch % 12, 0)
            octave = (pitch - alter) // 12 - 1
        element = SubElement(note, "unpitched" if drum else "pitch")
        _text(element, "display-step" if drum else "step", letter)
        if alter and not drum:
            _text(element, "alter", alter)
        _text(element, "display-octave" if drum else "octave", octave)

    @staticmethod
    def _written(note: Element, value: Value, place: tuple[int, int]) -> None:
        voice, staff = place
        _text(note, "voice", voice)
        if value.type:
            _text(note, "type", value.type)
            for _ in range(value.dots):
                SubElement(note, "dot")
            if value.tuplet:
                modification = SubElement(note, "time-modification")
                _text(modification, "actual-notes", value.tuplet[0])
                _text(modification, "normal-notes", value.tuplet[1])
        if staff:
            _text(note, "staff", staff)

    @staticmethod
    def _lyric(note: Element, verse: int, text: str) -> None:
        goes_on = len(text) > 1 and text.endswith("-")
        lyric = SubElement(note, "lyric", number=str(verse))
        _text(lyric, "syllabic", "begin" if goes_on else "single")
        _text(lyric, "text", text[:-1] if goes_on else text)

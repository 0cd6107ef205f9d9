"""One measure of one part: its notes and other elements, onto a timeline of ticks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from xml.etree.ElementTree import Element

from partimento.errors import MusicError
from partimento.files.musicxml.numbers import decimal, divisions, integer, quarters
from partimento.files.musicxml.repeat_signs import WrittenSigns
from partimento.files.musicxml.sounds import Sound
from partimento.files.musicxml.terms import chord_of_harmony, lyrics_of_note, metronome_tempo
from partimento.music import (
    ChordSymbol,
    Key,
    KeySignature,
    Lyric,
    Pedal,
    Tempo,
    TimeSignature,
)

__all__ = ["Heard", "PartReading", "Setting", "lift_pedal", "read_measure", "velocity_of"]

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_DYNAMICS_TO_VELOCITY = 0.9  # MusicXML's dynamics are per cent of a velocity of 90


@dataclass(frozen=True, slots=True)
class Setting:
    """What rules how notes are written at a place in a part.

    ``semitones`` and ``double`` are what is added to the written pitch, by staff ("" is every other
    staff); ``double`` is the interval at which every note sounds once more, 0 for none. ``fifths``
    is the written key signature by staff.
    """

    divisions: int = 1
    semitones: tuple[tuple[str, int], ...] = ()
    double: tuple[tuple[str, int], ...] = ()
    fifths: tuple[tuple[str, int], ...] = ()
    staves: int = 1

    def on(self, values: tuple[tuple[str, int], ...], staff: str) -> int:
        """Return the value that rules on a staff."""
        known = dict(values)
        return known.get(staff, known.get("", 0))


@dataclass(slots=True, eq=False)
class Heard:
    """A note on its way: times in ticks, ``velocity`` None where the dynamics decide.

    ``elements`` are the ``note`` elements that are tied to make it, in their order.
    """

    onset: int
    pitch: int
    end: int
    velocity: int | None
    is_drum: bool
    elements: list[Element]
    is_doubled: bool = False
    tie_start: bool = False
    tie_stop: bool = False
    tie_number: str = "1"  # as it is written; notes of one pitch are distinguished by it
    number: int = 0  # among the notes that are no tie's second


@dataclass
class PartReading:
    """One part as it is read; times in ticks of the score."""

    sound: Sound
    ticks: int
    element: Element
    measures: list[Element] = field(default_factory=list)
    settings: list[Setting] = field(default_factory=list)  # in force after a measure's first notes
    notes: list[Heard] = field(default_factory=list)
    lyrics: list[Lyric] = field(default_factory=list)
    pedals: list[Pedal] = field(default_factory=list)
    pedal_down: int | None = field(default=None, init=False)
    dynamics: list[tuple[int, int]] = field(default_factory=list)
    tempos: list[Tempo] = field(default_factory=list)
    chords: list[ChordSymbol] = field(default_factory=list)
    keys: list[KeySignature] = field(default_factory=list)
    metres: dict[int, tuple[int, int] | None] = field(default_factory=dict)  # by measure index
    signs: WrittenSigns = field(default_factory=WrittenSigns)
    instruments: Counter[str] = field(default_factory=Counter)  # notes by instrument
    setting: Setting = field(default_factory=Setting)
    lengths: dict[tuple[str | None, int], int | Fraction] = field(default_factory=dict)

    @property
    def is_transposed(self) -> bool:
        """Whether keys are written otherwise than they sound."""
        return self.setting.on(self.setting.semitones, "1") % 12 != 0


def read_measure(part: PartReading, measure: Element, index: int, onset: int) -> int:
    """Read one measure that starts at tick ``onset``; return the last tick that it reaches.

    Raises:
        MusicError: if a value lies outside its range.
        ValueError: if a number does not parse.
    """
    at: int | Fraction = onset
    before = at  # where the note before started, for chords
    reached = at
    setting: Setting | None = None
    for element in measure:
        tag = element.tag
        if tag == "note":
            setting = setting or part.setting
            if element.find("grace") is not None:
                continue  # takes its time from its neighbours
            length = _length(part, element)
            start = before if element.find("chord") is not None else at
            _read_note(part, element, round(start), round(start + length))
            before = start
            at = max(at, start + length)
        elif tag == "backup":
            at = max(onset, at - _length(part, element))
        elif tag == "forward":
            at += _length(part, element)
        else:
            read = _READERS.get(tag)
            if read is not None:
                read(part, element, index, at)
        reached = max(reached, at)
    part.measures.append(measure)
    part.settings.append(setting or part.setting)
    return round(reached)


def velocity_of(dynamics: Fraction) -> int:
    """Return the MIDI velocity of MusicXML's ``dynamics``, a percentage."""
    return min(127, max(1, round(float(dynamics) * _DYNAMICS_TO_VELOCITY)))


def _length(part: PartReading, element: Element, tag: str = "duration") -> int | Fraction:
    """Return a duration or an offset in ticks, exactly."""
    key = (element.findtext(tag), part.setting.divisions)
    found = part.lengths.get(key)
    if found is None:
        value = quarters(*key) * part.ticks
        found = value if value.denominator > 1 else int(value)
        part.lengths[key] = found
    if tag == "duration" and found < 0:
        raise ValueError(f"a duration of {found} ticks")
    return found


def _place(part: PartReading, element: Element, at: int | Fraction) -> int:
    return max(0, round(at + _length(part, element, "offset")))


def _read_note(part: PartReading, element: Element, start: int, end: int) -> None:
    is_cue = element.find("cue") is not None
    if not is_cue:
        for verse, text in lyrics_of_note(element):
            part.lyrics.append(Lyric(start, text, verse))
    pitched = element.find("pitch")
    unpitched = element.find("unpitched") if pitched is None else None
    if is_cue or (pitched is None and unpitched is None):
        return
    instrument = element.find("instrument")
    name = instrument.get("id", "") if instrument is not None else ""
    part.instruments[name] += 1
    staff = element.findtext("staff", "1").strip()
    if pitched is not None:
        pitch = _pitch(pitched) + part.setting.on(part.setting.semitones, staff)
    else:
        assert unpitched is not None
        step = (unpitched.findtext("display-step") or "").strip()
        pitch = part.sound.drum(name, step, integer(unpitched.findtext("display-octave"), "4"))
    ties = {tie.get("type") for tie in element.iterfind("tie")}
    dynamics = element.get("dynamics")
    velocity = None if dynamics is None else velocity_of(decimal(dynamics))
    number = "1"
    if ties:
        number = next((t.get("number", "1") for t in element.iterfind("notations/tied")), "1")
    double = part.setting.on(part.setting.double, staff) if pitched is not None else 0
    for sounding in (pitch, pitch + double) if double else (pitch,):
        if not 0 <= sounding <= 127:
            raise MusicError(f"a note lies outside MIDI's 0..127 (it is {sounding})")
        part.notes.append(
            Heard(
                start,
                sounding,
                max(end, start + 1),
                velocity,
                pitched is None,
                [element],
                double != 0,
                "start" in ties,
                "stop" in ties,
                number,
            )
        )


def _pitch(pitched: Element) -> int:
    alter = decimal(pitched.findtext("alter"))
    octave = integer(pitched.findtext("octave"), "4")
    step = _STEPS[(pitched.findtext("step") or "").strip()]
    return round(12 * (octave + 1) + step + alter)


def _read_attributes(part: PartReading, element: Element, index: int, at: int | Fraction) -> None:
    now = part.setting
    count = element.findtext("divisions")
    if count is not None:
        now = replace(now, divisions=divisions(count))
    staves = element.findtext("staves")
    if staves is not None:
        now = replace(now, staves=max(1, integer(staves)))
    for transpose in element.iterfind("transpose"):
        now = _transposed(now, transpose)
    part.setting = now
    for key in element.iterfind("key"):
        _read_key(part, key, round(at))
    for time in element.iterfind("time"):
        # A metre of one staff alone is not that of the bars.
        if time.get("number", "1") == "1" and index not in part.metres:
            part.metres[index] = _metre(time)


def _transposed(now: Setting, transpose: Element) -> Setting:
    octaves = integer(transpose.findtext("octave-change"))
    semitones = round(decimal(transpose.findtext("chromatic"))) + 12 * octaves
    double = transpose.find("double")
    interval = 0 if double is None else 12 if double.get("above") == "yes" else -12
    staff = transpose.get("number", "")
    kept = dict(now.semitones), dict(now.double)
    if not staff:
        kept = {}, {}
    kept[0][staff], kept[1][staff] = semitones, interval
    return replace(now, semitones=tuple(kept[0].items()), double=tuple(kept[1].items()))


def _read_key(part: PartReading, key: Element, at: int) -> None:
    text, staff = key.findtext("fifths"), key.get("number", "")
    if text is None:
        return
    found = Key(integer(text), (key.findtext("mode") or "").strip() == "minor")
    fifths = dict(part.setting.fifths) if staff else {}
    fifths[staff] = found.fifths
    part.setting = replace(part.setting, fifths=tuple(fifths.items()))
    if staff in ("", "1"):
        semitones = part.setting.on(part.setting.semitones, "1")
        # A written D of a B flat instrument sounds as C, and so does its key.
        shifted = found.transposed(semitones) if semitones % 12 else found
        part.keys.append(KeySignature(at, shifted))


def _metre(time: Element) -> tuple[int, int] | None:
    """Return (numerator, denominator); None for music without metre. 2/4 + 3/8 is 7/8."""
    pairs = []
    for beats, unit in zip(time.findall("beats"), time.findall("beat-type"), strict=False):
        numerator = sum(integer(x, "0") for x in (beats.text or "").split("+"))
        pairs.append((numerator, integer(unit.text)))
    if not pairs:
        return None
    denominator = max(unit for _, unit in pairs)
    numerator = sum(count * denominator // unit for count, unit in pairs)
    return (TimeSignature(0, numerator, denominator).numerator, denominator)


def _read_direction(part: PartReading, element: Element, index: int, at: int | Fraction) -> None:
    place = _place(part, element, at)
    tempos = len(part.tempos)
    for sound in element.iterfind("sound"):
        _read_sound_values(part, sound, place)
    if len(part.tempos) == tempos:
        quarter = metronome_tempo(element.find("direction-type/metronome"))
        if quarter is not None:
            _add_tempo(part, quarter, place)
    for pedal in element.iterfind("direction-type/pedal"):
        kind = pedal.get("type")
        if kind in ("stop", "change"):
            lift_pedal(part, place)
        if kind in ("start", "change", "resume"):
            part.pedal_down = place if part.pedal_down is None else part.pedal_down
    part.signs.read_direction(element, index)


def _read_sound(part: PartReading, element: Element, index: int, at: int | Fraction) -> None:
    _read_sound_values(part, element, _place(part, element, at))
    part.signs.read_sound(element, index)


def _read_sound_values(part: PartReading, sound: Element, at: int) -> None:
    tempo, dynamics = sound.get("tempo"), sound.get("dynamics")
    if tempo:
        _add_tempo(part, float(decimal(tempo)), at)
    if dynamics:
        part.dynamics.append((at, velocity_of(decimal(dynamics))))


def _read_harmony(part: PartReading, element: Element, index: int, at: int | Fraction) -> None:
    chord = chord_of_harmony(element)
    if chord is not None:
        staff = element.findtext("staff", "1").strip()
        semitones = part.setting.on(part.setting.semitones, staff) % 12
        sounding = chord.transposed(semitones) if semitones else chord
        part.chords.append(ChordSymbol(_place(part, element, at), sounding))


def _read_barline(part: PartReading, element: Element, index: int, at: int | Fraction) -> None:
    part.signs.read_barline(element, index)


_READERS: dict[object, Callable[[PartReading, Element, int, int | Fraction], None]] = {
    "attributes": _read_attributes,
    "barline": _read_barline,
    "direction": _read_direction,
    "harmony": _read_harmony,
    "sound": _read_sound,
}


def lift_pedal(part: PartReading, at: int) -> None:
    """Let the pedal go, if it is down."""
    if part.pedal_down is not None and at > part.pedal_down:
        part.pedals.append(Pedal(part.pedal_down, at - part.pedal_down))
    part.pedal_down = None


def _add_tempo(part: PartReading, quarter: float, at: int) -> None:
    if 1.0 <= quarter <= 4000.0:
        part.tempos.append(Tempo(at, quarter))

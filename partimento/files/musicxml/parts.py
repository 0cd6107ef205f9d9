"""The elements of a partwise MusicXML score, read part by part."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from xml.etree.ElementTree import Element

from partimento.errors import MusicError
from partimento.files.barlines import WrittenBar, time_signatures
from partimento.files.musicxml.terms import chord_of_harmony, lyrics_of_note, metronome_tempo
from partimento.files.names import told_apart
from partimento.music import (
    ChordSymbol,
    Key,
    KeySignature,
    Lyric,
    Note,
    Pedal,
    Score,
    Tempo,
    TimeSignature,
    Track,
)
from partimento.music.score import TICKS_PER_QUARTER

__all__ = ["score_of_tree"]

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_DEFAULT_VELOCITY = 80
_DYNAMICS_TO_VELOCITY = 0.9  # MusicXML's dynamics are per cent of a velocity of 90
_MAX_TICKS = 32767


@dataclass
class _Sound:
    """How a part sounds, from the part list."""

    name: str
    program: int = 0
    is_drum: bool = False
    volume: int = 100
    pan: int = 64
    unpitched: dict[str, int] = field(default_factory=dict)  # instrument id -> MIDI pitch


@dataclass(slots=True, eq=False)
class _Heard:
    """A note on its way: times in ticks, ``velocity`` None where the dynamics decide."""

    onset: int
    pitch: int
    end: int
    velocity: int | None
    tie_start: bool = False
    tie_stop: bool = False
    tie_number: str = "1"  # as it is written; notes of one pitch are told apart by it
    number: int = 0  # among the notes that are no tie's second


@dataclass
class _Part:
    """One part as it is read; times in ticks of the score."""

    sound: _Sound
    notes: list[_Heard] = field(default_factory=list)
    lyrics: list[Lyric] = field(default_factory=list)
    pedals: list[Pedal] = field(default_factory=list)
    pedal_down: int | None = field(default=None, init=False)
    dynamics: list[tuple[int, int]] = field(default_factory=list)
    tempos: list[Tempo] = field(default_factory=list)
    chords: list[ChordSymbol] = field(default_factory=list)
    keys: list[KeySignature] = field(default_factory=list)
    metres: dict[int, tuple[int, int] | None] = field(default_factory=dict)  # by measure index
    divisions: int = field(default=1, init=False)
    semitones: int = field(default=0, init=False)


def score_of_tree(root: Element) -> Score:
    """Return the score of a ``score-partwise`` element.

    Raises:
        MusicError: if a value lies outside its range.
        ValueError: if a number does not parse.
    """
    ours = _own_fields(root)
    ticks = _ticks_per_quarter(root, ours)
    sounds = _sounds(root)
    elements = root.findall("part")
    columns = [part.findall("measure") for part in elements]
    parts = [_Part(sounds.get(e.get("id", ""), _Sound("Part"))) for e in elements]
    written: list[WrittenBar] = []
    onset = 0
    metre: tuple[int, int] | None = (4, 4)
    for index in range(max((len(column) for column in columns), default=0)):
        reached = onset
        for part, column in zip(parts, columns, strict=True):
            if index < len(column):
                end = _read_measure(part, column[index], index, onset, ticks)
                reached = max(reached, end)
        for part in parts:
            if index in part.metres:
                metre = part.metres[index]
                break
        length = _bar_length(reached - onset, metre, ticks)
        written.append((onset, length, metre))
        onset += length
    tracks = [] if ours.get("tracks") == "0" else [_track(part, onset, ticks) for part in parts]
    score = _assembled(root, parts, tracks, time_signatures(written, ticks), ticks)
    length = int(ours["length"]) if ours.get("length", "").isdecimal() else onset
    return Score(
        score.tracks,
        ticks,
        score.tempos,
        score.time_signatures,
        score.key_signatures,
        score.chords,
        score.title,
        ours.get("recipe", ""),
        length,
    )


def _assembled(
    root: Element,
    parts: list[_Part],
    tracks: list[Track],
    metres: tuple[TimeSignature, ...],
    ticks: int,
) -> Score:
    title = root.findtext("work/work-title") or root.findtext("movement-title") or ""
    tempos = {tempo.onset_ticks: tempo for part in parts for tempo in part.tempos}
    chords = {chord.onset_ticks: chord for part in parts for chord in part.chords}
    keyed: list[KeySignature] = next((part.keys for part in parts if part.keys), [])
    keys: list[KeySignature] = []
    for key in sorted(keyed, key=lambda k: k.onset_ticks):
        if keys and keys[-1].onset_ticks == key.onset_ticks:
            keys.pop()
        keys.append(key)
    return Score(
        tuple(told_apart(tracks)),
        ticks,
        tuple(tempos[tick] for tick in sorted(tempos)),
        metres,
        tuple(keys),
        tuple(chords[tick] for tick in sorted(chords)),
        " ".join(title.split()),
    )


def _own_fields(root: Element) -> dict[str, str]:
    """Return what we wrote about the score itself: ticks, length, recipe."""
    found = {}
    for element in root.findall("identification/miscellaneous/miscellaneous-field"):
        name = element.get("name", "")
        if name.startswith("partimento-"):
            found[name.removeprefix("partimento-")] = element.text or ""
    return found


def _ticks_per_quarter(root: Element, ours: dict[str, str]) -> int:
    """Return ticks in which every duration is whole; 480 where that will do."""
    own = ours.get("ticks", "")
    if own.isdecimal() and 1 <= int(own) <= _MAX_TICKS:
        return int(own)
    needed = 1
    for part in root.findall("part"):
        divisions, seen = 1, set()
        for element in part.iter():
            if element.tag == "divisions":
                divisions = _divisions(element)
            elif element.tag == "duration":
                seen.add((element.text, divisions))
        found = (Fraction((text or "0").strip()) / count for text, count in seen)
        needed = lcm(needed, *(quarters.denominator for quarters in found))
    if TICKS_PER_QUARTER % needed == 0:
        return TICKS_PER_QUARTER
    for candidate in (lcm(needed, TICKS_PER_QUARTER), needed):
        if candidate <= _MAX_TICKS:
            return candidate
    return 10080  # whole for 2**5, 9, 5 and 7; what is finer is rounded


def _divisions(element: Element) -> int:
    value = Fraction((element.text or "1").strip())
    if value.denominator != 1 or value < 1:
        raise ValueError(f"divisions of {value}")
    return int(value)


def _sounds(root: Element) -> dict[str, _Sound]:
    sounds = {}
    for number, element in enumerate(root.findall("part-list/score-part"), 1):
        name = " ".join((element.findtext("part-name") or "").split())
        if not name:
            name = (element.findtext("score-instrument/instrument-name") or "").strip()
        sound = _Sound(name or f"Part {number}")
        midi = element.findall("midi-instrument")
        if midi:
            sound.program = min(127, max(0, int(midi[0].findtext("midi-program") or 1) - 1))
            sound.is_drum = (midi[0].findtext("midi-channel") or "").strip() == "10"
            sound.volume = _scaled(midi[0].findtext("volume"), 0, 100, 100)
            sound.pan = _scaled(midi[0].findtext("pan"), -90, 90, 64)
        for instrument in midi:
            pitch = instrument.findtext("midi-unpitched")
            if pitch is not None:
                sound.unpitched[instrument.get("id", "")] = min(127, max(0, int(pitch) - 1))
        sounds[element.get("id", "")] = sound
    return sounds


def _scaled(text: str | None, low: float, high: float, default: int) -> int:
    """Return a MusicXML volume (per cent) or pan (degrees) as 0..127."""
    if text is None:
        return default
    return min(127, max(0, round((float(text) - low) / (high - low) * 127)))


def _bar_length(reached: int, metre: tuple[int, int] | None, ticks: int) -> int:
    """Return how long a bar is: as written, or its metre's where nothing or nearly that is."""
    if metre is None:
        return max(1, reached)
    full = 4 * metre[0] * ticks // metre[1]
    return full if reached == 0 or abs(reached - full) <= ticks // 32 else reached


def _read_measure(part: _Part, measure: Element, index: int, onset: int, ticks: int) -> int:
    """Read one measure that starts at ``onset``; return the last tick that it reaches."""
    at = Fraction(onset)
    before = at  # where the note before started, for chords
    reached = at
    for element in measure:
        tag = element.tag
        if tag == "note":
            if element.find("grace") is not None or element.find("cue") is not None:
                continue
            length = _length(element, part, ticks)
            start = before if element.find("chord") is not None else at
            if element.find("rest") is None:
                _read_note(part, element, round(start), round(start + length))
            before = start
            at = max(at, start + length)
        elif tag == "backup":
            at = max(Fraction(onset), at - _length(element, part, ticks))
        elif tag == "forward":
            at += _length(element, part, ticks)
        elif tag == "attributes":
            _read_attributes(part, element, index, round(at))
        elif tag == "direction":
            offset = _length(element, part, ticks, "offset")
            _read_direction(part, element, max(0, round(at + offset)))
        elif tag == "sound":
            _read_sound(part, element, round(at))
        elif tag == "harmony":
            chord = chord_of_harmony(element)
            if chord is not None:
                offset = _length(element, part, ticks, "offset")
                part.chords.append(ChordSymbol(max(0, round(at + offset)), chord))
        reached = max(reached, at)
    return round(reached)


def _length(element: Element, part: _Part, ticks: int, tag: str = "duration") -> Fraction:
    """Return a duration in ticks, exactly."""
    text = element.findtext(tag)
    if text is None:
        return Fraction(0)
    value = Fraction(text.strip())
    if tag == "duration" and value < 0:
        raise ValueError(f"a duration of {value}")
    return value * ticks / part.divisions


def _read_note(part: _Part, element: Element, start: int, end: int) -> None:
    pitch = _pitch(part, element)
    if pitch is None:
        return
    ties = {tie.get("type") for tie in element.findall("tie")}
    dynamics = element.get("dynamics")
    velocity = None if dynamics is None else _velocity(float(dynamics))
    part.notes.append(
        _Heard(
            start,
            pitch,
            max(end, start + 1),
            velocity,
            "start" in ties,
            "stop" in ties,
            next((t.get("number", "1") for t in element.iterfind("notations/tied")), "1"),
        )
    )
    for verse, text in lyrics_of_note(element).items():
        part.lyrics.append(Lyric(start, text, verse))


def _pitch(part: _Part, element: Element) -> int | None:
    pitched = element.find("pitch")
    if pitched is not None:
        alter = float(pitched.findtext("alter") or 0)
        octave = int(pitched.findtext("octave") or 4)
        step = _STEPS[(pitched.findtext("step") or "").strip()]
        pitch = round(12 * (octave + 1) + step + alter) + part.semitones
    else:
        unpitched = element.find("unpitched")
        if unpitched is None:
            return None
        instrument = element.find("instrument")
        known = part.sound.unpitched
        name = instrument.get("id", "") if instrument is not None else ""
        if name not in known and len(known) == 1:
            name = next(iter(known))
        step = _STEPS.get((unpitched.findtext("display-step") or "B").strip(), 11)
        pitch = known.get(name, 12 * (int(unpitched.findtext("display-octave") or 4) + 1) + step)
    if not 0 <= pitch <= 127:
        raise MusicError(f"a note lies outside MIDI's 0..127 (it is {pitch})")
    return pitch


def _velocity(dynamics: float) -> int:
    return min(127, max(1, round(dynamics * _DYNAMICS_TO_VELOCITY)))


def _read_attributes(part: _Part, element: Element, index: int, at: int) -> None:
    divisions = element.find("divisions")
    if divisions is not None:
        part.divisions = _divisions(divisions)
    transpose = element.find("transpose")
    if transpose is not None:
        octaves = int(float(transpose.findtext("octave-change") or 0))
        part.semitones = round(float(transpose.findtext("chromatic") or 0)) + 12 * octaves
    key = element.find("key")
    fifths = key.findtext("fifths") if key is not None else None
    if key is not None and fifths is not None:
        found = Key(int(fifths), (key.findtext("mode") or "").strip() == "minor")
        # A written D of a B flat instrument sounds as C, and so does its key.
        shifted = found.transposed(part.semitones) if part.semitones % 12 else found
        part.keys.append(KeySignature(at, shifted))
    time = element.find("time")
    if time is not None:
        part.metres[index] = _metre(time)


def _metre(time: Element) -> tuple[int, int] | None:
    """Return (numerator, denominator); None for music without metre. 2/4 + 3/8 is 7/8."""
    pairs = []
    for beats, unit in zip(time.findall("beats"), time.findall("beat-type"), strict=False):
        numerator = sum(int(x) for x in (beats.text or "").replace(" ", "").split("+"))
        pairs.append((numerator, int(unit.text or "")))
    if not pairs:
        return None
    denominator = max(unit for _, unit in pairs)
    numerator = sum(count * denominator // unit for count, unit in pairs)
    return (TimeSignature(0, numerator, denominator).numerator, denominator)


def _read_direction(part: _Part, element: Element, at: int) -> None:
    tempos = len(part.tempos)
    for sound in element.findall("sound"):
        _read_sound(part, sound, at)
    if len(part.tempos) == tempos:
        quarters = metronome_tempo(element.find("direction-type/metronome"))
        if quarters is not None:
            _add_tempo(part, quarters, at)
    for pedal in element.findall("direction-type/pedal"):
        kind = pedal.get("type")
        if kind in ("stop", "change"):
            _lift_pedal(part, at)
        if kind in ("start", "change"):
            part.pedal_down = at if part.pedal_down is None else part.pedal_down


def _lift_pedal(part: _Part, at: int) -> None:
    if part.pedal_down is not None and at > part.pedal_down:
        part.pedals.append(Pedal(part.pedal_down, at - part.pedal_down))
    part.pedal_down = None


def _read_sound(part: _Part, sound: Element, at: int) -> None:
    tempo, dynamics = sound.get("tempo"), sound.get("dynamics")
    if tempo:
        _add_tempo(part, float(tempo), at)
    if dynamics:
        part.dynamics.append((at, _velocity(float(dynamics))))


def _add_tempo(part: _Part, quarters: float, at: int) -> None:
    if 1.0 <= quarters <= 4000.0:
        part.tempos.append(Tempo(at, quarters))


def _tied(notes: list[_Heard], slack: int) -> list[_Heard]:
    """Return the notes with tied ones joined; voices may stand in any order in the file.

    A tie may miss its note by ``slack`` ticks: some programs round the lengths of tuplets, and
    written-out arpeggios tie short notes to a long one a little later. Of several, that of the same
    number is meant, then the nearest, then the one that began first.
    """
    out: list[_Heard] = []
    open_ties: dict[int, list[_Heard]] = {}
    for note in sorted(notes, key=lambda n: n.onset):
        waiting = open_ties.get(note.pitch, [])
        near = [held for held in waiting if abs(held.end - note.onset) <= slack]
        if note.tie_stop and near:
            apart = [
                (held.tie_number != note.tie_number, abs(held.end - note.onset), held.number)
                for held in near
            ]
            held = near[apart.index(min(apart))]
            waiting.remove(held)
            held.end = max(held.end, note.end)
        else:
            held = note
            held.number = len(out)
            out.append(note)
        if note.tie_start:
            open_ties.setdefault(note.pitch, []).append(held)
    return out


def _track(part: _Part, end: int, ticks_per_quarter: int) -> Track:
    _lift_pedal(part, end)
    part.dynamics.sort(key=lambda change: change[0])
    ticks = [tick for tick, _ in part.dynamics]
    notes = []
    for note in _tied(part.notes, ticks_per_quarter):
        velocity = note.velocity
        if velocity is None:
            index = bisect_right(ticks, note.onset) - 1
            velocity = part.dynamics[index][1] if index >= 0 else _DEFAULT_VELOCITY
        notes.append(Note(note.onset, note.pitch, note.end - note.onset, velocity))
    sound = part.sound
    return Track(
        sound.name,
        tuple(notes),
        sound.program,
        sound.is_drum,
        tuple(part.pedals),
        tuple(sorted(part.lyrics, key=lambda lyric: lyric.onset_ticks)),
        sound.volume,
        sound.pan,
    )

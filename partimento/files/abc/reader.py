"""ABC tunes (2.1) to scores.

A file is one tune or a book of them. Kept: notes, chords, ties, tuplets, broken rhythms, voices,
metre, key, tempo, chord symbols, the title, ``%%MIDI program``, ``transpose`` and ``channel 10``
(drums), and bars as they are written. What is not kept is counted in a warning; repeats and parts
are not unfolded.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from os import PathLike
from pathlib import Path

from partimento.errors import FileError, MusicError
from partimento.files.abc import fields as abc_fields
from partimento.files.abc.book import tunes_of
from partimento.files.abc.music import Sounding, Tally, TuneVoice, read_music
from partimento.files.barlines import WrittenBar, time_signatures
from partimento.files.limits import MAX_PARTS, MAX_TEXT_BYTES, MAX_TUNE_CHARACTERS
from partimento.files.names import default_name, unique_names
from partimento.files.unsupported import tell_left_out
from partimento.music import ChordSymbol, Key, KeySignature, Note, Score, Tempo, Track
from partimento.music.score import TICKS_PER_QUARTER

__all__ = ["read_abc", "score_of_abc", "tune_count"]

_FIELD = re.compile(r"([A-Za-z]):(?![|:])(.*)")
_MIDI = re.compile(r"(?:%%|I:)\s*MIDI[\s=]\s*(\w+)(.*)")
_SYLLABLE = re.compile(r"[^\s_*|~-]+")
_DRUM_CHANNEL = 10
# Field -> what it is called where it is left out, beside the title.
_LEFT_OUT_FIELDS = {
    **dict.fromkeys("ABCDFGHNORSTZ", "text fields"),
    "P": "part marks",
    "m": "macros",
    "s": "symbol lines",
}
_VELOCITY = 80
_SHOWN = 200  # characters of what is wrong, which may quote the file
_MAX_TICKS = 32767


@dataclass
class _Tune:
    """What is known of a tune so far; times in quarters."""

    title: str = ""
    unit_text: str = ""
    tempo_text: str = ""
    metre: tuple[int, int] | None = None
    is_body: bool = False  # the first K: has been
    voices: dict[str, TuneVoice] = field(default_factory=dict)
    voice: TuneVoice | None = None
    program: int = 0
    is_drum: bool = False
    transpose: int = 0
    tally: Tally = field(default_factory=Tally)
    key: tuple[Key, dict[str, int]] = field(default_factory=lambda: (Key(0), {}))
    shift: int = 0
    keys: dict[Fraction, Key] = field(default_factory=dict)
    tempos: dict[Fraction, float] = field(default_factory=dict)


def read_abc(path: str | PathLike[str], number: int | None = None) -> Score:
    """Return the score of a tune of an ABC file; as ``score_of_abc``.

    Raises:
        FileError: if it cannot be opened, or as ``score_of_abc``.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror}", "check the name") from error
    return score_of_abc(data, path, number)


def tune_count(data: bytes) -> int:
    """Return how many tunes the bytes of an ABC file hold."""
    return len(tunes_of(data)) if len(data) <= MAX_TEXT_BYTES else 0


def score_of_abc(
    data: bytes, path: str | PathLike[str] = "ABC data", number: int | None = None
) -> Score:
    """Return the score of a tune of the bytes of an ABC file; ``path`` names it in errors.

    ``number`` counts from 1 in the order of the file. None takes the first, and warns if there
    are more.

    Raises:
        FileError: if there is no such tune, a line of it cannot be read, or it is too long.
    """
    if len(data) > MAX_TEXT_BYTES:
        raise FileError(path, f"is larger than {MAX_TEXT_BYTES:,} bytes", "split it into books")
    tunes = tunes_of(data)
    if not 1 <= (number or 1) <= len(tunes):
        problem = f"there is no tune {number} in it" if tunes else "there is no ABC tune in it"
        raise FileError(path, problem, "a tune has an X: line, a K: line and notes")
    if number is None and len(tunes) > 1:
        warnings.warn(
            f"{path} holds {len(tunes)} tunes, of which the first was read; as a corpus all are",
            stacklevel=2,
        )
    text = tunes[(number or 1) - 1]
    if sum(len(line) for _, line in text.lines) > MAX_TUNE_CHARACTERS:
        raise FileError(path, f"a tune is longer than {MAX_TUNE_CHARACTERS:,} characters", "cut it")
    tune = _Tune()
    for line_number, line in text.lines:
        try:
            _read_line(tune, line)
        except (MusicError, ValueError, ArithmeticError) as error:
            problem = f"line {line_number}: {str(error)[:_SHOWN]}"
            raise FileError(path, problem, "correct that line of the ABC file") from error
    tune.tally.left_out["music-like free-text lines"] += text.doubtful
    _tell(path, tune.tally.left_out)
    try:
        score = _score(tune)
    except MusicError as error:
        raise FileError(path, str(error), "correct the ABC file") from error
    if not score.notes and not score.chords:
        raise FileError(path, "there are no notes in this tune", "check its X:, K: and note lines")
    return score


def _tell(path: str | PathLike[str], counts: Mapping[str, int]) -> None:
    notes = "grace notes"
    signs = {what: count for what, count in sorted(counts.items()) if what != notes}
    tell_left_out(path, {notes: counts.get(notes, 0)}, signs)


def _read_line(tune: _Tune, line: str) -> None:
    if found := _MIDI.match(line):
        _read_midi(tune, found[1], found[2].partition("%")[0].split())
        return
    line = re.split(r"(?<!\\)%", line, maxsplit=1)[0]
    if found := _FIELD.match(line):
        _read_field(tune, found[1], found[2])
    elif tune.is_body:
        voice = _current(tune)
        tune.voice = read_music(voice, line, lambda name, value: _inner(tune, name, value))


def _read_midi(tune: _Tune, directive: str, values: list[str]) -> None:
    """Read a directive of abc2midi: for the voice that goes on, or in the header for all."""
    target = tune if tune.voice is None else tune.voice
    number = int(values[-1]) if values and re.fullmatch(r"-?\d{1,3}", values[-1]) else None
    if number is None:
        tune.tally.left_out["MIDI directives"] += 1
    elif directive == "program":  # the channel may stand before it
        target.program = max(0, min(127, number))
    elif directive == "transpose":
        target.transpose = number
    elif directive == "channel":
        target.is_drum = number == _DRUM_CHANNEL
    else:
        tune.tally.left_out["MIDI directives"] += 1


def _inner(tune: _Tune, name: str, value: str) -> TuneVoice:
    """Read a field inside a line of music."""
    if found := _MIDI.match(f"{name}:{value}"):
        _read_midi(tune, found[1], found[2].split())
    else:
        _read_field(tune, name, value)
    return _current(tune)


def _current(tune: _Tune) -> TuneVoice:
    """Return the voice that music goes to: the one that was named last, or the first."""
    if tune.voice is None:
        tune.voice = next(iter(tune.voices.values()), None) or _voice(tune, "1")
    return tune.voice


def _voice(tune: _Tune, id_: str) -> TuneVoice:
    if id_ not in tune.voices:
        if len(tune.voices) == MAX_PARTS:
            raise ValueError(f"the tune has more than {MAX_PARTS} voices")
        made = TuneVoice(id_, metre=tune.metre, shift=tune.shift, tally=tune.tally)
        made.program, made.is_drum, made.transpose = tune.program, tune.is_drum, tune.transpose
        made.unit = abc_fields.unit_of(tune.unit_text, tune.metre)
        made.signature = tune.key[1]
        tune.voices[id_] = made
    return tune.voices[id_]


def _read_field(tune: _Tune, name: str, value: str) -> None:
    if name == "T" and not tune.title:
        tune.title = " ".join(value.split())
    elif name == "V":
        _read_voice(tune, value)
    elif name == "K":
        _read_key(tune, value)
    elif name in "LMQ" and not tune.is_body:
        if name == "L":
            abc_fields.unit_of(value, None)  # raises here, where the line is known
            tune.unit_text = value
        elif name == "M":
            tune.metre = abc_fields.metre_of(value)
        else:
            tune.tempo_text = value
    elif name == "L":
        _current(tune).unit = abc_fields.unit_of(value, None)
    elif name == "M":
        _current(tune).metre = abc_fields.metre_of(value)
    elif name == "Q":
        _take_tempo(tune, value)
    elif name in "wW":
        tune.tally.left_out["lyrics"] += len(_SYLLABLE.findall(value))
    elif name in _LEFT_OUT_FIELDS:
        tune.tally.left_out[_LEFT_OUT_FIELDS[name]] += 1


def _take_tempo(tune: _Tune, value: str) -> None:
    voice = _current(tune)
    tempo = abc_fields.tempo_of(value, voice.unit)
    if tempo is not None:
        tune.tempos[voice.now] = tempo


def _read_voice(tune: _Tune, value: str) -> None:
    id_, name = abc_fields.voice_of(value)
    voice = _voice(tune, id_)
    voice.name = name or voice.name
    shift = abc_fields.shift_of(value)
    voice.shift = voice.shift if shift is None else shift
    if tune.is_body:
        tune.voice = voice


def _read_key(tune: _Tune, value: str) -> None:
    """Read a ``K:`` field; the first ends the header, whose other fields count for all voices."""
    found, shift = abc_fields.key_of(value), abc_fields.shift_of(value)
    if tune.is_body:
        voice = _current(tune)
        if found is not None:
            tune.keys[voice.now], voice.signature = found
            voice.accidentals = {}
        voice.shift = voice.shift if shift is None else shift
        return
    tune.is_body = True
    tune.key, tune.shift = found or tune.key, shift or 0
    tune.keys[Fraction(0)] = tune.key[0]
    for voice in tune.voices.values():
        voice.unit = abc_fields.unit_of(tune.unit_text, tune.metre)
        voice.metre, voice.signature = tune.metre, tune.key[1]
        voice.program, voice.is_drum, voice.transpose = tune.program, tune.is_drum, tune.transpose
        voice.shift += tune.shift
    if tune.tempo_text:
        _take_tempo(tune, tune.tempo_text)


def _score(tune: _Tune) -> Score:
    voices = [voice for voice in tune.voices.values() if voice.now or voice.reached]
    for voice in voices:
        voice.close_bar()
    notes = [(voice, voice.joined()) for voice in voices]
    times = [time for _, found in notes for n in found for time in (n.onset, n.onset + n.length)]
    times += [end for voice in voices for _, end, _ in voice.bars]
    needed = lcm(*{time.denominator for time in times}) if times else 1
    together = lcm(TICKS_PER_QUARTER, needed)
    ticks = together if together <= _MAX_TICKS else needed if needed <= _MAX_TICKS else 10080
    longest = max(voices, key=lambda voice: voice.now, default=TuneVoice(""))
    written: list[WrittenBar] = [
        (round(start * ticks), round(end * ticks) - round(start * ticks), metre)
        for start, end, metre in longest.bars
    ]
    symbols = {onset: chord for voice in voices for onset, chord in voice.chords.items()}
    chords = [ChordSymbol(round(onset * ticks), chord) for onset, chord in sorted(symbols.items())]
    return Score(
        tuple(unique_names([_track(voice, found, ticks) for voice, found in notes if found])),
        ticks,
        tuple(Tempo(round(at * ticks), tempo) for at, tempo in sorted(tune.tempos.items())),
        time_signatures([bar for bar in written if bar[1]], ticks),
        tuple(_keys(tune, ticks)),
        tuple(chords),
        tune.title,
        written_length_ticks=round(longest.now * ticks),
    )


def _keys(tune: _Tune, ticks: int) -> list[KeySignature]:
    """Return the keys where they change."""
    keys: list[KeySignature] = []
    for onset, key in sorted(tune.keys.items(), key=lambda item: item[0]):
        if not keys or keys[-1].key != key:
            keys.append(KeySignature(round(onset * ticks), key))
    return keys


def _track(voice: TuneVoice, found: list[Sounding], ticks: int) -> Track:
    notes = []
    for sounding in found:
        start = round(sounding.onset * ticks)
        length = max(1, round((sounding.onset + sounding.length) * ticks) - start)
        notes.append(Note(start, sounding.pitch, length, _VELOCITY))
    name = voice.name or default_name(voice.program, voice.is_drum)
    return Track(name, tuple(notes), voice.program, voice.is_drum)

"""ABC tunes (2.1) to scores.

A file is one tune or a book of them. Kept: notes, chords, ties, tuplets, broken rhythms, voices,
metre, key, tempo, chord symbols, the title, and bars as they are written. Grace notes, lyrics and
decorations are read over, repeats and parts are not unfolded.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from os import PathLike
from pathlib import Path

from partimento.errors import FileError, MusicError
from partimento.files.abc import fields as abc_fields
from partimento.files.abc.music import Sounding, TuneVoice, read_music
from partimento.files.barlines import WrittenBar, time_signatures
from partimento.files.names import unique_names
from partimento.files.unsupported import tell_left_out
from partimento.music import ChordSymbol, Key, KeySignature, Note, Score, Tempo, Track
from partimento.music.instruments import PROGRAMS
from partimento.music.score import TICKS_PER_QUARTER

__all__ = ["read_abc", "score_of_abc", "tune_count"]

_FIELD = re.compile(r"([A-Za-z]):(?![|:])(.*)")
_OF_ALL_TUNES = "LMQ"  # fields that count for a whole book where they stand before its first tune
_PROGRAM = re.compile(r"%%MIDI\s+program\s+(?:\d+\s+)?(\d{1,3})\b")
_VELOCITY = 80
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
    return len(_tunes(_text(data)))


def score_of_abc(
    data: bytes, path: str | PathLike[str] = "ABC data", number: int | None = None
) -> Score:
    """Return the score of a tune of the bytes of an ABC file; ``path`` names it in errors.

    ``number`` counts from 1 in the order of the file. None takes the first, and warns if there
    are more.

    Raises:
        FileError: if there is no such tune, or a line of it cannot be read.
    """
    tunes = _tunes(_text(data))
    if not 1 <= (number or 1) <= len(tunes):
        problem = f"there is no tune {number} in it" if tunes else "there is no ABC tune in it"
        raise FileError(path, problem, "a tune has an X: line, a K: line and notes")
    if number is None and len(tunes) > 1:
        warnings.warn(
            f"{path} holds {len(tunes)} tunes, of which the first was read; as a corpus all are",
            stacklevel=2,
        )
    tune = _Tune()
    for line_number, line in tunes[(number or 1) - 1]:
        try:
            _read_line(tune, line)
        except (MusicError, ValueError, ArithmeticError) as error:
            problem = f"line {line_number}: {error}"
            raise FileError(path, problem, "correct that line of the ABC file") from error
    graces = sum(voice.graces for voice in tune.voices.values())
    tell_left_out(path, {"grace notes": graces})
    try:
        score = _score(tune)
    except MusicError as error:
        raise FileError(path, str(error), "correct the ABC file") from error
    if not score.notes and not score.chords:
        raise FileError(path, "there are no notes in this tune", "check its X:, K: and note lines")
    return score


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _tunes(text: str) -> list[list[tuple[int, str]]]:
    """Return the lines of each tune with their numbers, those for all tunes before them."""
    lines = list(enumerate(text.splitlines(), 1))
    starts = [index for index, (_, line) in enumerate(lines) if line.startswith("X:")]
    if not starts:  # one tune that has no number
        return [lines] if any(line.startswith("K:") for _, line in lines) else []
    of_all = [
        (number, line)
        for number, line in lines[: starts[0]]
        if line[:1] in _OF_ALL_TUNES and line[1:2] == ":"
    ]
    ends = [*starts[1:], len(lines)]
    return [[*of_all, *lines[start:end]] for start, end in zip(starts, ends, strict=True)]


def _read_line(tune: _Tune, line: str) -> None:
    if found := _PROGRAM.match(line):
        program = min(127, int(found[1]))
        if tune.voice is not None:
            tune.voice.program = program
        else:
            tune.program = program
        return
    line = re.split(r"(?<!\\)%", line, maxsplit=1)[0]
    if found := _FIELD.match(line):
        _read_field(tune, found[1], found[2])
    elif tune.is_body:
        voice = _current(tune)
        tune.voice = read_music(voice, line, lambda name, value: _inner(tune, name, value))


def _inner(tune: _Tune, name: str, value: str) -> TuneVoice:
    _read_field(tune, name, value)
    return _current(tune)


def _current(tune: _Tune) -> TuneVoice:
    """Return the voice that music goes to: the one that was named last, or the first."""
    if tune.voice is None:
        tune.voice = next(iter(tune.voices.values()), None) or _voice(tune, "1")
    return tune.voice


def _voice(tune: _Tune, id_: str) -> TuneVoice:
    if id_ not in tune.voices:
        made = TuneVoice(id_, program=tune.program, metre=tune.metre, shift=tune.shift)
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
        voice.program = voice.program or tune.program
        voice.shift += tune.shift
    if tune.tempo_text:
        _take_tempo(tune, tune.tempo_text)


def _score(tune: _Tune) -> Score:
    voices = [voice for voice in tune.voices.values() if voice.now]
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
    return Track(voice.name or PROGRAMS[voice.program], tuple(notes), voice.program)

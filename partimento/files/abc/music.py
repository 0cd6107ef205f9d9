"""The music of one voice of an ABC tune (2.1): notes, chords, rests, tuplets, ties, bar lines.

What is not kept (grace notes, decorations, slurs, microtones, unknown signs) is counted in the
voice's ``tally``. Repeats are not unfolded.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

from partimento.files.abc.fields import chord_of
from partimento.files.limits import MAX_BARS, MAX_QUARTERS
from partimento.music import Chord

__all__ = ["Sounding", "Tally", "TuneVoice", "read_music"]

_LENGTH = r"\d{0,5}(?:/+\d{0,4})?"
# An accidental may be a part of a tone: ``^/`` and ``^1/2`` are a quarter tone up.
_ACCIDENTAL = r"(?:\^{1,2}|_{1,2}|=)(?:\d{1,3}(?:/\d{1,3})?|/\d{0,3})?"
_NOTE = re.compile(rf"({_ACCIDENTAL})?([A-Ga-g])([,']*)({_LENGTH})(-?)")
# One alternative for each sign; what matches none is read over letter by letter.
_SIGN = re.compile(
    rf"""
    "(?P<quoted>[^"]*)"
    | (?P<decoration>![^!\s]{{1,30}}! | \+[a-z0-9().<>]{{1,30}}\+) | \\.
    | \{{(?P<graces>[^{{}}]*)\}}
    | \[(?P<field>[A-Za-z]):(?P<value>[^\[\]]*)\]
    | (?P<bar>\.?(?:\[\||\||:)[|:\]]*(?:[0-9][0-9,.-]*)?) | (?P<ending>\[[0-9][0-9,.-]*)
    | \[(?P<chord>[^\[\]|]+)\](?P<chord_length>{_LENGTH})(?P<chord_tie>-?)
    | (?P<note>(?:{_ACCIDENTAL})?[A-Ga-g][,']*{_LENGTH}-?)
    | [zx](?P<rest>{_LENGTH}) | [ZX](?P<bars>\d{{0,5}}) | y{_LENGTH}
    | \((?P<tuplet>[2-9])(?::(?P<time>\d?))?(?::(?P<count>\d{{0,2}}))?
    | (?P<broken>>+|<+) | (?P<tie>-) | (?P<overlay>&)
    """,
    re.VERBOSE,
)
_STEPS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_ACCIDENTALS = {"^": 1, "^^": 2, "_": -1, "__": -2, "=": 0}
_DECORATIONS = frozenset(".~HIJKLMNOPQRSTUVWhijklmnopqrstuvw")  # signs of one letter
_LAYOUT = frozenset(" \t\\`$)]")  # spacing, line ends, and the ends of what is counted or read
_TUPLET_TIMES = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}
_MAX_REST_BARS = 1000
_MAX_LENGTH, _MAX_DIVISION = 4096, 1024


@dataclass(slots=True)
class Sounding:
    """A note as it is read; times in quarters."""

    onset: Fraction
    pitch: int
    length: Fraction
    tied: bool = False  # to the next of its pitch
    spelt: tuple[str, int, int] = ("", 0, 0)  # letter, octave, alteration


@dataclass
class Tally:
    """What is counted over all voices of a tune: what is left out, and bars."""

    left_out: Counter[str] = field(default_factory=Counter)
    bars: int = 0


@dataclass
class TuneVoice:
    """What is known of one voice; times in quarters."""

    id: str
    name: str = ""
    program: int = 0
    is_drum: bool = False
    shift: int = 0  # semitones, by ``K:`` and ``V:``
    transpose: int = 0  # semitones, by ``%%MIDI transpose``
    unit: Fraction = Fraction(1, 2)
    metre: tuple[int, int] | None = None
    signature: dict[str, int] = field(default_factory=dict)
    now: Fraction = Fraction(0)
    notes: list[Sounding] = field(default_factory=list)
    chords: dict[Fraction, Chord] = field(default_factory=dict)
    bars: list[tuple[Fraction, Fraction, tuple[int, int] | None]] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)  # that of its tune
    bar_onset: Fraction = Fraction(0)
    reached: Fraction = Fraction(0)  # by the other voices of an overlay
    accidentals: dict[str, int] = field(default_factory=dict)  # since the bar line, by letter
    last: list[Sounding] = field(default_factory=list)
    last_length: Fraction = Fraction(0)
    next_factor: Fraction = Fraction(1)  # of a broken rhythm
    tuplet: tuple[Fraction, int] = (Fraction(1), 0)  # factor, how many notes are left

    def place(self, sounding: list[Sounding], length: Fraction) -> None:
        """Let what begins now last so long, and go on to its end."""
        factor, left = self.tuplet
        scale = self.next_factor * (factor if left else 1)
        self.tuplet, self.next_factor = (factor, max(0, left - 1)), Fraction(1)
        for note in sounding:
            note.length *= scale
        self.notes += sounding
        self.last, self.last_length = sounding, length * scale
        self.advance(self.last_length)

    def advance(self, length: Fraction) -> None:
        """Go on by a length.

        Raises:
            ValueError: where no piece is so long.
        """
        self.now += length
        if self.now > MAX_QUARTERS:
            raise ValueError(f"the tune is longer than {MAX_QUARTERS:,} quarters")

    def close_bar(self) -> None:
        """End the bar here; accidentals hold no longer."""
        self.now = max(self.now, self.reached)
        if self.now > self.bar_onset:
            self.bars.append((self.bar_onset, self.now, self.metre))
            self.tally.bars += 1
            if self.tally.bars > MAX_BARS:
                raise ValueError(f"the tune has more than {MAX_BARS:,} bars")
        self.bar_onset = self.reached = self.now
        self.accidentals = {}

    def joined(self) -> list[Sounding]:
        """Return the notes, tied ones joined to one."""
        out: list[Sounding] = []
        open_: dict[tuple[int, Fraction], Sounding] = {}
        for note in sorted(self.notes, key=lambda n: n.onset):
            first = open_.pop((note.pitch, note.onset), None)
            if first is not None:
                first.length += note.length
                kept = first
            else:
                kept = Sounding(note.onset, note.pitch, note.length)
                out.append(kept)
            if note.tied:
                open_[note.pitch, note.onset + note.length] = kept
        return out


def read_music(voice: TuneVoice, line: str, on_field: Callable[[str, str], TuneVoice]) -> TuneVoice:
    """Read a line of music into a voice, and return the voice that goes on after it.

    ``on_field`` is called with each field inside the line, and returns the voice that goes on.

    Raises:
        ValueError: for what cannot be: a note outside MIDI's range, a length of nothing.
    """
    at = 0
    while at < len(line):
        sign = _SIGN.match(line, at)
        if sign is None:
            _count_unread(voice, line[at])
            at += 1
            continue
        at = max(at + 1, sign.end())
        if sign["field"]:
            voice = on_field(sign["field"], sign["value"])
        elif sign["note"]:
            note = _note(voice, sign["note"], Fraction(1))
            voice.place([note], note.length)
        elif sign["chord"]:
            _chord(voice, sign["chord"], _length(sign["chord_length"]), bool(sign["chord_tie"]))
        else:
            _other(voice, sign)
    return voice


def _other(voice: TuneVoice, sign: re.Match[str]) -> None:
    """Read what is neither a note nor a field."""
    if sign["quoted"] is not None:
        chord = chord_of(sign["quoted"])
        if chord is not None:
            voice.chords[voice.now] = chord
        else:
            is_chord = sign["quoted"].strip()[:1] in tuple("ABCDEFG")
            voice.tally.left_out["unknown chord symbols" if is_chord else "written words"] += 1
    elif sign["graces"]:
        voice.tally.left_out["grace notes"] += len(_NOTE.findall(sign["graces"]))
    elif sign["decoration"]:
        voice.tally.left_out["decorations"] += 1
    elif sign["ending"]:
        voice.tally.left_out["repeat signs"] += 1
    elif sign["bar"]:
        voice.tally.left_out["repeat signs"] += re.search(r"[:\d]", sign["bar"]) is not None
        voice.close_bar()
    elif sign["rest"] is not None:
        voice.place([], _length(sign["rest"]) * voice.unit)
    elif sign["bars"] is not None:
        _rest_bars(voice, int(sign["bars"] or 1))
    elif sign["tuplet"]:
        count = int(sign["tuplet"])
        is_compound = voice.metre is not None and voice.metre[0] in (6, 9, 12, 15)
        time = int(sign["time"] or _TUPLET_TIMES.get(count, 3 if is_compound else 2))
        voice.tuplet = (Fraction(time or 2, count), int(sign["count"] or count))
    elif sign["broken"]:
        _break(voice, sign["broken"])
    elif sign["tie"]:
        for note in voice.last:
            note.tied = True
    elif sign["overlay"]:
        voice.reached = max(voice.reached, voice.now)
        voice.now, voice.accidentals = voice.bar_onset, {}


def _count_unread(voice: TuneVoice, sign: str) -> None:
    """Count a sign that is no music here, if it has a meaning at all."""
    if sign == "(":
        voice.tally.left_out["slurs"] += 1
    elif sign in _DECORATIONS:
        voice.tally.left_out["decorations"] += 1
    elif sign not in _LAYOUT:
        voice.tally.left_out["unknown signs"] += 1


def _alteration(text: str) -> Fraction:
    """Return the semitones of an accidental: ``^`` 1, ``__`` -2, ``^/`` 1/2, ``_3/2`` -3/2."""
    sign = text.rstrip("0123456789/")
    part = text[len(sign) :]
    if not part:
        return Fraction(_ACCIDENTALS[sign])
    above, slash, below = part.partition("/")
    if slash and int(below or 2) == 0:
        raise ValueError(f"there is no accidental {text}")
    return Fraction(int(above or 1), int(below or 2) if slash else 1) * _ACCIDENTALS[sign]


def _length(text: str) -> Fraction:
    """Return the factor of a length: ``2``, ``/``, ``//``, ``3/2``, ``/4``."""
    whole, slashes, rest = re.fullmatch(r"(\d*)(/*)(\d*)", text).groups()  # type: ignore[union-attr]
    division = int(rest) if rest else 2 ** len(slashes)
    if not 1 <= int(whole or 1) <= _MAX_LENGTH or not 1 <= division <= _MAX_DIVISION:
        raise ValueError(f"no note has the length {text}")
    return Fraction(int(whole or 1), division)


def _note(voice: TuneVoice, text: str, factor: Fraction) -> Sounding:
    """Return the note of a sign, beginning where the voice stands."""
    found = _NOTE.match(text)
    assert found is not None
    accidental, letter, marks, length, tie = found.groups()
    octave = (5 if letter.islower() else 4) + marks.count("'") - marks.count(",")
    name = letter.lower()
    tied = {note.spelt[:2]: note.spelt[2] for note in voice.last if note.tied}
    if accidental:
        wanted = _alteration(accidental)
        # Half-way between two keys the one nearer to the natural is taken.
        nearest = ceil(abs(wanted) - Fraction(1, 2)) * (1 if wanted > 0 else -1)
        voice.tally.left_out["microtones"] += nearest != wanted
        alteration = voice.accidentals[name] = nearest
    elif (name, octave) in tied:  # an accidental holds as long as the tie does
        alteration = tied[name, octave]
    else:
        alteration = voice.accidentals.get(name, voice.signature.get(name, 0))
    pitch = 12 * (octave + 1) + _STEPS[name] + alteration + voice.shift + voice.transpose
    if not 0 <= pitch <= 127:
        raise ValueError(f"the note {text} lies outside MIDI's 0..127")
    lasts = _length(length) * factor * voice.unit
    return Sounding(voice.now, pitch, lasts, bool(tie), (name, octave, alteration))


def _chord(voice: TuneVoice, text: str, factor: Fraction, is_tied: bool) -> None:
    """Place the notes of a chord; it lasts as long as the first of them."""
    plain = re.sub(r'"[^"]*"|![^!]*!', "", text)
    notes = [_note(voice, found[0], factor) for found in _NOTE.finditer(plain)]
    for unread in _NOTE.sub("", plain):
        _count_unread(voice, unread)
    voice.tally.left_out["decorations"] += text.count("!") // 2
    for note in notes:
        note.tied = note.tied or is_tied
    if notes:
        voice.place(notes, notes[0].length)


def _rest_bars(voice: TuneVoice, count: int) -> None:
    if count > _MAX_REST_BARS:
        raise ValueError(f"a rest of {count} bars is longer than {_MAX_REST_BARS}")
    for index in range(count):
        voice.advance(Fraction(*(voice.metre or (4, 4))) * 4)
        if index < count - 1:
            voice.close_bar()


def _break(voice: TuneVoice, signs: str) -> None:
    """Lengthen one of two notes by what the other is shortened (``>`` dots the first)."""
    short = Fraction(1, 2 ** min(len(signs), 4))
    first, second = (2 - short, short) if signs[0] == ">" else (short, 2 - short)
    for note in voice.last:
        note.length *= first
    voice.advance(voice.last_length * (first - 1))
    voice.last_length *= first
    voice.next_factor = second

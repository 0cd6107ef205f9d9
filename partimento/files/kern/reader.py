"""Humdrum ``**kern`` files to scores: enough of it for keyboard music and songs.

Spines are followed through splits, joins, additions and ends; all spines of one ``*part`` become
one track, and a spine without one is a part of its own. Kept: notes, chords, rests, ties, tuplets,
metre, key, tempo (``*MM``), pedal (``*ped``), dynamics as velocities, the title, and bars as they
are written. What is not kept is counted in a warning; repeats are not unfolded.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from math import lcm
from os import PathLike
from pathlib import Path

from partimento.errors import FileError, MusicError
from partimento.files.barlines import WrittenBar, time_signatures
from partimento.files.kern.instruments import is_keyboard, program_of
from partimento.files.kern.unsupported import left_out_signs
from partimento.files.limits import MAX_BARS, MAX_KERN_BYTES, MAX_PARTS, MAX_QUARTERS
from partimento.files.names import unique_names
from partimento.files.unsupported import tell_left_out
from partimento.music import Key, KeySignature, Note, Pedal, Score, Tempo, Track, parse_key
from partimento.music.score import TICKS_PER_QUARTER

__all__ = ["read_kern", "score_of_kern"]

_NOTE = re.compile(r"([A-G]+|[a-g]+)(#+|-+|n)?")
_LENGTH = re.compile(r"(\d{1,5})(?:%(\d{1,5}))?(\.{0,5})")
_METRE = re.compile(r"\*M(\d+)/(\d+)$")
_TEMPO = re.compile(r"\*MM(\d+(?:\.\d+)?)")
_SIGNATURE = re.compile(r"\*k\[((?:[a-g][#\-n]+)*)\]")
_KEY = re.compile(r"\*([A-Ga-g][#\-]?):")
_CODE = re.compile(r"\*I([a-z]{3,12})\d{0,2}$")
_DYNAMIC = re.compile(r"(?<![a-z])(p{1,4}|f{1,4}|mp|mf)(?![a-z])")
_STEPS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_VELOCITIES = {
    "pppp": 16, "ppp": 24, "pp": 36, "p": 49, "mp": 64, "mf": 80, "f": 96, "ff": 112, "fff": 120,
    "ffff": 127,
}  # fmt: skip
_DEFAULT_VELOCITY = 80
_VOICE = 52
_MAX_TICKS = 32767
_MAX_RECIPROCAL = 2048  # of a rhythm: the shortest note is 1/2048, and the parts of %
_MAX_DENOMINATOR = 10**12  # of a time in quarters; without a bound sums take ever longer
_MAX_DOTS, _MAX_ZEROS = 4, 3
_SHOWN = 200  # characters of what is wrong, which may quote the file


@dataclass(slots=True)
class _Held:
    onset: Fraction
    pitch: int
    end: Fraction
    tied: bool = False


@dataclass
class _Part:
    """What is found of one part; times in quarters."""

    name: str = ""
    code: str = ""  # of *I, such as "violn"
    sung: bool = False  # there is a **text spine to it
    notes: list[_Held] = field(default_factory=list)
    open_ties: dict[int, _Held] = field(default_factory=dict)
    pedals: list[tuple[Fraction, Fraction]] = field(default_factory=list)
    pedal_down: Fraction | None = None
    dynamics: list[tuple[Fraction, int]] = field(default_factory=list)


@dataclass
class _Spine:
    """One column: its kind, its part, and when its last token ends."""

    kind: str
    part: str = ""
    end: Fraction = Fraction(0)


@dataclass
class _State:
    """What is known of the piece so far; times in quarters."""

    spines: list[_Spine] = field(default_factory=list)
    parts: dict[str, _Part] = field(default_factory=dict)
    own_parts: int = 0  # of spines that no *part is named for
    left_out: Counter[str] = field(default_factory=Counter)
    now: Fraction = Fraction(0)
    title: str = ""
    metre: tuple[int, int] | None = None
    bar_onset: Fraction = Fraction(0)
    bars: list[tuple[Fraction, Fraction, tuple[int, int] | None]] = field(default_factory=list)
    tempos: dict[Fraction, float] = field(default_factory=dict)
    keys: dict[Fraction, Key] = field(default_factory=dict)

    @property
    def reached(self) -> Fraction:
        """When the next row sounds: as soon as the first of the tokens that sound has ended."""
        ends = (spine.end for spine in self.spines if spine.kind == "**kern")
        return max(self.now, min(ends, default=self.now))

    def part(self, spine: _Spine) -> _Part:
        """Return the part of a spine.

        Raises:
            ValueError: for more parts than any piece has.
        """
        if spine.part not in self.parts and len(self.parts) >= MAX_PARTS:
            raise ValueError(f"there are more than {MAX_PARTS} parts")
        return self.parts.setdefault(spine.part, _Part())

    def go_to(self, now: Fraction) -> None:
        """Go on to a time.

        Raises:
            ValueError: where no piece is so long.
        """
        if now > MAX_QUARTERS:
            raise ValueError(f"the piece is longer than {MAX_QUARTERS:,} quarters")
        if now.denominator > _MAX_DENOMINATOR:
            raise ValueError("the rhythms of the spines drift apart for ever")
        self.now = max(self.now, now)


def read_kern(path: str | PathLike[str]) -> Score:
    """Return the score of a ``**kern`` file.

    Raises:
        FileError: if it cannot be opened, holds no ``**kern`` spine, or a row does not fit.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror}", "check the name") from error
    return score_of_kern(data, path)


def score_of_kern(data: bytes, path: str | PathLike[str] = "kern data") -> Score:
    """Return the score of the bytes of a ``**kern`` file; ``path`` names it in errors.

    Raises:
        FileError: as ``read_kern``.
    """
    if len(data) > MAX_KERN_BYTES:
        raise FileError(path, f"is larger than {MAX_KERN_BYTES:,} bytes", "split it into movements")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    state = _State()
    for number, line in enumerate(text.splitlines(), 1):
        try:
            _read_line(state, line.rstrip("\r\n"))
        except (MusicError, ValueError, ArithmeticError) as error:
            problem = f"line {number}: {str(error)[:_SHOWN]}"
            raise FileError(path, problem, "correct that line of the kern file") from error
    if not state.own_parts:
        raise FileError(path, "there is no **kern spine in it", "choose a Humdrum kern file")
    _close_bar(state)
    notes = "grace notes"
    signs = {what: count for what, count in sorted(state.left_out.items()) if what != notes}
    tell_left_out(path, {notes: state.left_out[notes]}, signs)
    try:
        return _score(state)
    except MusicError as error:
        raise FileError(path, str(error), "correct the kern file") from error


def _read_line(state: _State, line: str) -> None:
    if line.startswith("!!!OTL") and not state.title:
        state.title = " ".join(line.partition(":")[2].split())
    if not line.strip() or line.startswith("!"):
        return
    tokens = line.split("\t")
    if tokens[0].startswith("**") or not state.spines:
        if not tokens[0].startswith("**"):
            raise ValueError("a row stands before the first **kern")
        state.spines = [_Spine(token, end=state.now) for token in tokens]
        if len(state.spines) > MAX_PARTS:
            raise ValueError(f"there are more than {MAX_PARTS} spines")
        for spine in state.spines:
            _begin_part(state, spine)
        return
    if len(tokens) != len(state.spines):
        raise ValueError(f"{len(tokens)} columns where {len(state.spines)} spines stand")
    if line.startswith("*"):
        _read_interpretations(state, tokens)
    elif line.startswith("="):
        _read_barline(state, tokens)
    else:
        _read_data(state, tokens)


def _begin_part(state: _State, spine: _Spine) -> None:
    """Give a **kern spine a part of its own, until it is assigned to one.

    Other spines, as of dynamics and text, go with the **kern spine to their left.
    """
    if spine.kind == "**kern":
        state.own_parts += 1
    spine.part = f"spine {state.own_parts:03}"
    if spine.kind == "**kern":
        state.part(spine)
    elif spine.kind == "**text" and spine.part in state.parts:
        state.part(spine).sung = True


def _read_interpretations(state: _State, tokens: list[str]) -> None:
    if any(token in ("*^", "*v", "*-", "*+", "*x") for token in tokens):
        _change_spines(state, tokens)
        return
    now = state.reached
    for spine, token in zip(state.spines, tokens, strict=True):
        if token == "*":
            continue
        if token.startswith("**"):
            spine.kind, spine.end = token, state.now
            _begin_part(state, spine)
        elif token.startswith("*part"):
            _assign_part(state, spine, token[5:])
        elif spine.kind == "**kern":
            _read_interpretation(state, spine, token, now)


def _assign_part(state: _State, spine: _Spine, name: str) -> None:
    spine.part = name
    if spine.kind == "**kern":
        state.part(spine)
    elif spine.kind == "**text":
        state.part(spine).sung = True


def _read_interpretation(state: _State, spine: _Spine, token: str, now: Fraction) -> None:
    if found := _METRE.match(token):
        state.metre = (int(found[1]), int(found[2]))
        if int(found[2]) == 0:
            state.metre = None
    elif found := _TEMPO.match(token):
        state.tempos[now] = float(found[1])
    elif found := _SIGNATURE.match(token):
        fifths = found[1].count("#") - found[1].count("-")
        state.keys[now] = Key(max(-7, min(7, fifths)))
    elif found := _KEY.match(token):
        name = found[1].replace("-", "b")
        key = parse_key(f"{name} {'minor' if name[0].islower() else 'major'}")
        signature = state.keys.get(now)
        if signature is None or signature.fifths == key.fifths:
            state.keys[now] = key
    elif token.startswith('*I"'):
        part = state.part(spine)
        part.name = part.name or " ".join(token[3:].replace("\\n", " ").split()).strip(" .:")
    elif found := _CODE.match(token):
        state.part(spine).code = found[1]
    elif token == "*ped":
        part = state.part(spine)
        part.pedal_down = now if part.pedal_down is None else part.pedal_down
    elif token == "*Xped":
        _lift_pedal(state.part(spine), now)


def _lift_pedal(part: _Part, now: Fraction) -> None:
    if part.pedal_down is not None and now > part.pedal_down:
        part.pedals.append((part.pedal_down, now))
    part.pedal_down = None


def _change_spines(state: _State, tokens: list[str]) -> None:
    """Split, join, add, end and exchange columns."""
    out: list[_Spine] = []
    at = 0
    while at < len(tokens):
        spine, token = state.spines[at], tokens[at]
        if token == "*^":
            out += [spine, _Spine(spine.kind, spine.part, spine.end)]
        elif token == "*+":
            out += [spine, _Spine("", spine.part, spine.end)]
        elif token == "*v":
            while tokens[at + 1 : at + 2] == ["*v"]:
                at += 1
                spine.end = max(spine.end, state.spines[at].end)
            out.append(spine)
        elif token == "*x" and at + 1 < len(tokens) and tokens[at + 1] == "*x":
            out += [state.spines[at + 1], spine]
            at += 1
        elif token != "*-":
            out.append(spine)
        at += 1
    if len(out) > MAX_PARTS:
        raise ValueError(f"there are more than {MAX_PARTS} spines")
    state.spines = out


def _read_barline(state: _State, tokens: list[str]) -> None:
    kern = [spine for spine in state.spines if spine.kind == "**kern"]
    state.go_to(max([state.now, *(spine.end for spine in kern)]))
    for spine in kern:
        spine.end = state.now
    length = state.now - state.bar_onset
    whole = Fraction(4 * state.metre[0], state.metre[1]) if state.metre else None
    # A repeat sign inside a bar has no number and does not end the bar.
    numbered = re.match(r"=\d|==", tokens[0]) is not None
    if numbered or (whole is not None and length >= whole):
        _close_bar(state)


def _close_bar(state: _State) -> None:
    ends = [spine.end for spine in state.spines if spine.kind == "**kern"]
    state.go_to(max([state.now, *ends]))
    if state.now > state.bar_onset:
        if len(state.bars) == MAX_BARS:
            raise ValueError(f"the piece has more than {MAX_BARS:,} bars")
        state.bars.append((state.bar_onset, state.now, state.metre))
        state.bar_onset = state.now


def _read_data(state: _State, tokens: list[str]) -> None:
    sounding: list[tuple[_Spine, str, Fraction]] = []
    for spine, token in zip(state.spines, tokens, strict=True):
        if spine.kind == "**kern" and token != ".":
            for what, count in left_out_signs(token):
                state.left_out[what] += count
            length = max(map(_duration, token.split()), default=Fraction(0))
            if length > 0:
                sounding.append((spine, token, length))
    if sounding:
        state.go_to(min(spine.end for spine, _, _ in sounding))
    for spine, token, length in sounding:
        _read_notes(state.part(spine), token, state.now, length)
        spine.end = state.now + length
    for spine, token in zip(state.spines, tokens, strict=True):
        if spine.kind == "**dynam" and (found := _DYNAMIC.search(token)):
            dynamics = state.part(spine).dynamics
            dynamics.append((state.now, _VELOCITIES[found[1]]))


@lru_cache(maxsize=4096)
def _duration(token: str) -> Fraction:
    """Return the quarters that one note or rest lasts; 0 for grace notes and bare signs."""
    if "q" in token:
        return Fraction(0)
    found = _LENGTH.search(token)
    if found is None:
        return Fraction(0)
    digits, dots = found[1], len(found[3])
    largest = max(int(digits), int(found[2] or 1))
    if largest > _MAX_RECIPROCAL or dots > _MAX_DOTS or found[1].startswith("0" * (_MAX_ZEROS + 1)):
        raise ValueError(f"no note has the length {found[0]}")
    if int(digits) == 0:
        length = Fraction(4 * 2 ** len(digits))  # 0 is a breve, 00 a long
    else:
        length = Fraction(4 * int(found[2] or 1), int(digits))
    return length * (2 - Fraction(1, 2**dots))


def _read_notes(part: _Part, token: str, now: Fraction, longest: Fraction) -> None:
    for item in token.split():
        if "r" in item or "q" in item:
            continue
        found = _NOTE.search(item)
        if found is None:
            continue
        pitch = _pitch(found[1], found[2] or "")
        end = now + (_duration(item) or longest)
        held = part.open_ties.get(pitch) if "_" in item or "]" in item else None
        if held is not None and held.end == now:
            held.end = end
            if "]" in item:
                del part.open_ties[pitch]
            continue
        note = _Held(now, pitch, end)
        part.notes.append(note)
        if "[" in item or "_" in item:
            part.open_ties[pitch] = note


def _pitch(letters: str, accidental: str) -> int:
    step = _STEPS[letters[0].lower()]
    octave = 3 + len(letters) if letters[0].islower() else 4 - len(letters)
    alter = accidental.count("#") - accidental.count("-")
    pitch = 12 * (octave + 1) + step + alter
    if not 0 <= pitch <= 127:
        raise MusicError(f"a note lies outside MIDI's 0..127 ({letters}{accidental})")
    return pitch


def _score(state: _State) -> Score:
    parts = _instruments(state)
    times = [time for part in parts.values() for n in part.notes for time in (n.onset, n.end)]
    times += [bar[1] for bar in state.bars]
    needed = lcm(*{time.denominator for time in times}) if times else 1
    ticks = TICKS_PER_QUARTER
    if ticks % needed:
        together = lcm(ticks, needed)
        ticks = together if together <= _MAX_TICKS else needed if needed <= _MAX_TICKS else 10080
    written: list[WrittenBar] = [
        (round(start * ticks), round(end * ticks) - round(start * ticks), metre)
        for start, end, metre in state.bars
    ]
    order = sorted(parts, key=lambda name: (name == "piano", not name.isdecimal(), name.zfill(4)))
    tracks = [_track(parts[name], ticks) for name in order]
    keys: list[KeySignature] = []
    for onset, key in sorted(state.keys.items(), key=lambda item: item[0]):
        if not keys or keys[-1].key != key:
            keys.append(KeySignature(round(onset * ticks), key))
    return Score(
        tuple(unique_names(tracks)),
        ticks,
        tuple(
            Tempo(round(onset * ticks), quarters)
            for onset, quarters in sorted(state.tempos.items())
            if 1.0 <= quarters <= 4000.0
        ),
        time_signatures(written, ticks),
        tuple(keys),
        title=state.title,
        written_length_ticks=round(state.now * ticks),
    )


def _program(part: _Part) -> int:
    """Return the program that a part's code or name gives; the choir for what is sung."""
    found = program_of(part.code, part.name)
    return (_VOICE if part.sung else 0) if found is None else found


def _instruments(state: _State) -> dict[str, _Part]:
    """Return the parts, those without a named instrument joined into one piano.

    Names that are no instrument's (in keyboard music often titles: "Rondo.") distinguish parts only
    where there are three or more, each with a name of its own.
    """
    parts = {name: part for name, part in state.parts.items() if part.notes} or state.parts
    names = {part.name for part in parts.values()} - {""}
    are_told_apart = len(parts) > 2 and len(names) == len(parts)
    out: dict[str, _Part] = {}
    pianos = []
    for name, part in parts.items():
        _lift_pedal(part, state.now)
        known = program_of(part.code, part.name)
        if is_keyboard(part.code, part.name) or (
            known is None and not part.sung and not are_told_apart
        ):
            pianos.append(part)
        else:
            out[name] = part
            part.name = part.name or f"Part {name.removeprefix('spine ').lstrip('0')}"
    if pianos:
        out["piano"] = _Part(
            "Piano",
            notes=[note for part in pianos for note in part.notes],
            pedals=sorted({pedal for part in pianos for pedal in part.pedals}),
            dynamics=sorted({mark for part in pianos for mark in part.dynamics}),
        )
    return out


def _track(part: _Part, ticks: int) -> Track:
    name, program = part.name, _program(part)
    times = [round(time * ticks) for time, _ in part.dynamics]
    notes = []
    for held in part.notes:
        start = round(held.onset * ticks)
        index = bisect_right(times, start) - 1
        velocity = part.dynamics[index][1] if index >= 0 else _DEFAULT_VELOCITY
        length = max(1, round(held.end * ticks) - start)
        notes.append(Note(start, held.pitch, length, velocity))
    pedals = tuple(
        Pedal(round(a * ticks), max(1, round(b * ticks) - round(a * ticks))) for a, b in part.pedals
    )
    return Track(name, tuple(notes), program, pedals=pedals)

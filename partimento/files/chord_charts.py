"""Chord charts of the McGill Billboard project (``salami_chords.txt``) to chord symbols."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from os import PathLike

from partimento.errors import FileError, MusicError
from partimento.files.barlines import WrittenBar, time_signatures
from partimento.files.limits import MAX_BARS, MAX_QUARTERS, MAX_TEXT_BYTES
from partimento.music import Chord, ChordSymbol, Score, Tempo, TimeSignature
from partimento.music.keys import parse_pitch_class
from partimento.music.score import TICKS_PER_QUARTER

__all__ = ["chord_of_harte", "score_of_chart"]

_QUALITIES = {
    "maj": "", "min": "m", "7": "7", "maj7": "maj7", "min7": "m7", "minmaj7": "mmaj7",
    "dim": "dim", "dim7": "dim7", "hdim7": "m7b5", "aug": "aug", "aug(b7)": "aug7", "maj6": "6",
    "min6": "m6", "sus2": "sus2", "sus4": "sus4", "sus4(b7)": "7sus4", "sus4(b7,9)": "7sus4",
    "9": "9", "maj9": "maj9", "min9": "m9", "maj(9)": "add9", "7(b9)": "7b9", "7(b5)": "7b5",
    "11": "11", "13": "13", "5": "5", "1": "5", "min11": "m9", "min13": "m9", "maj13": "maj9",
}  # fmt: skip
_DEGREES = {"1": 0, "2": 2, "3": 4, "4": 5, "5": 7, "6": 9, "7": 11, "9": 2, "11": 5, "13": 9}
_METRE = re.compile(r"\(?(\d{1,3})/(\d{1,3})\)?$")
_SECONDS = re.compile(r"\d{1,9}(\.\d{1,12})?(e-?\d{1,2})?$")
_SHOWN = 200  # characters of what is wrong, which may quote the file


@dataclass
class _Chart:
    metre: tuple[int, int] = (4, 4)
    title: str = ""
    chords: list[ChordSymbol] = field(default_factory=list)
    bars: list[WrittenBar] = field(default_factory=list)
    at: Fraction = Fraction(0)
    first_second: float | None = None
    last_second: float = 0.0


def chord_of_harte(text: str) -> Chord | None:
    """Return the chord of Harte's notation (``A:min7/b3``); None for ``N`` and the unreadable.

    A quality that is not known here loses its added notes: ``7(#9)`` becomes ``7``.
    """
    root, _, rest = text.partition(":")
    quality, _, bass = rest.partition("/")
    if not rest:
        root, _, bass = root.partition("/")
        quality = "maj"
    name = _QUALITIES.get(quality, _QUALITIES.get(quality.partition("(")[0]))
    if name is None:
        return None
    try:
        tonic = parse_pitch_class(root)
    except MusicError:
        return None
    degree = bass.lstrip("#b")
    if degree not in _DEGREES:
        return Chord(tonic, name)
    alter = bass.count("#") - bass.count("b")
    low = (tonic + _DEGREES[degree] + alter) % 12
    return Chord(tonic, name, low if low != tonic else None)


def score_of_chart(text: str, path: str | PathLike[str] = "chart") -> Score:
    """Return the chords of a chart in their bars, at the song's mean tempo.

    The chords of a bar share it evenly; ``.`` is a beat more of the chord before.

    Raises:
        FileError: if there is no bar in it, or one that cannot be.
    """
    if len(text) > MAX_TEXT_BYTES:
        raise FileError(path, f"is larger than {MAX_TEXT_BYTES:,} bytes", "choose one chart")
    chart = _Chart()
    for number, line in enumerate(text.splitlines(), 1):
        try:
            if line.startswith("#"):
                _read_header(chart, line)
            elif "|" in line:
                _read_line(chart, line)
            elif chart.first_second is not None and (seconds := _seconds(line)) is not None:
                # The first line without bars after the music marks where it ended.
                chart.last_second = seconds
                if "end" in line or "silence" in line:
                    break
        except (MusicError, ValueError, ArithmeticError) as error:
            problem = f"line {number}: {str(error)[:_SHOWN]}"
            raise FileError(path, problem, "correct that line of the chart") from error
    if not chart.bars:
        raise FileError(path, "there is no bar of chords in it", "choose a salami_chords.txt")
    seconds = chart.last_second - (chart.first_second or 0.0)
    quarters = float(chart.at / TICKS_PER_QUARTER)
    tempo = 60.0 * quarters / seconds if seconds > 0 else 0.0
    return Score(
        tempos=(Tempo(0, round(tempo, 2)),) if 20.0 <= tempo <= 400.0 else (),
        time_signatures=time_signatures(chart.bars, TICKS_PER_QUARTER),
        chords=tuple(chart.chords),
        title=chart.title,
        written_length_ticks=round(chart.at),
    )


def _seconds(line: str) -> float | None:
    """Return the time that a line begins with; None where it begins with none."""
    word = line.split(maxsplit=1)[0] if line.strip() else ""
    return float(word) if _SECONDS.match(word) else None


def _metre_of(text: str) -> tuple[int, int] | None:
    """Return the metre that a word is; None for another word.

    Raises:
        MusicError: for a metre that cannot be.
    """
    found = _METRE.match(text)
    if found is None:
        return None
    metre = TimeSignature(0, int(found[1]), int(found[2]))
    return metre.numerator, metre.denominator


def _read_header(chart: _Chart, line: str) -> None:
    key, _, value = line.lstrip("# ").partition(":")
    if key == "metre":
        chart.metre = _metre_of(value.strip()) or chart.metre
    elif key == "title":
        chart.title = value.strip()


def _read_line(chart: _Chart, line: str) -> None:
    seconds = _seconds(line)
    if seconds is not None:
        chart.last_second = seconds
        if chart.first_second is None:
            chart.first_second = seconds
    body = line[line.index("|") + 1 : line.rindex("|")]
    times = re.match(r"\s*x(\d{1,6})", line[line.rindex("|") + 1 :])
    for _ in range(int(times[1]) if times else 1):
        for bar in body.split("|"):
            _read_bar(chart, bar.split())


def _read_bar(chart: _Chart, tokens: list[str]) -> None:
    metre = chart.metre
    if tokens and (own := _metre_of(tokens[0])) is not None:
        metre = own
        tokens = tokens[1:]
    length = Fraction(4 * metre[0] * TICKS_PER_QUARTER, metre[1])
    share = length / max(1, len(tokens))
    for index, token in enumerate(tokens):
        if token in (".", "*") or token.startswith("&"):
            continue
        chord = chord_of_harte(token)
        if chord is not None and not (chart.chords and chart.chords[-1].chord == chord):
            chart.chords.append(ChordSymbol(round(chart.at + index * share), chord))
    onset = round(chart.at)
    chart.at += length
    if len(chart.bars) == MAX_BARS or chart.at > MAX_QUARTERS * TICKS_PER_QUARTER:
        raise ValueError(f"the chart has more than {MAX_BARS:,} bars or {MAX_QUARTERS:,} quarters")
    chart.bars.append((onset, round(chart.at) - onset, metre))

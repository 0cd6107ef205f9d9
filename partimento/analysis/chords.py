"""The chord of each beat, bar or window of a piece, estimated from its notes.

Template matching in the manner of Pardo and Birmingham, "Algorithms for Chordal Analysis", Computer
Music Journal 26(2), 2002: every chord of ``FOUND_QUALITIES`` on every root is held against how
long each pitch class sounds. What is added here: a note that is struck off the beat counts less,
so a passing note changes nothing; the lowest note speaks for its own chords; and a tone that is
missing costs, a seventh or a suspended fourth most.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from partimento.errors import MusicError
from partimento.music.chords import QUALITIES, Chord
from partimento.music.score import ChordSymbol, Score, TimeSignature
from partimento.music.timeline import Bar, Timeline, strong_beats

__all__ = [
    "FOUND_QUALITIES",
    "beat_onsets",
    "recognise",
    "recognise_bars",
    "recognise_beats",
    "recognise_spans",
]

# The qualities that are distinguished, the likelier first: a tie goes to the first.
FOUND_QUALITIES = ("", "m", "7", "m7", "dim", "m7b5", "maj7", "sus4", "aug")

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]

_PRIOR = {"": 0.0, "m": 0.0, "7": -0.02, "m7": -0.05, "dim": -0.03, "m7b5": -0.06, "maj7": -0.07}
_PRIOR |= {"sus4": -0.14, "aug": -0.12}
# What it costs that a tone of the chord is missing: by its place in the template.
_MISSING = (0.20, 0.12, 0.04, 0.20)
_PRESENT = 0.14  # this share of all that sounds makes a tone wholly present
_IN_LONG = 3.0  # over several beats two chords together look like a seventh: priors count more
_OUTSIDE = 1.0  # what a share outside the chord costs
_BASS = (0.12, 0.05, 0.02, 0.02)  # what a bass note gives to a chord: by its place in the template
_STRONG, _BEAT, _WEAK = 0.9, 0.75, 0.5  # weight of a note by where it is struck in a span


def _tables() -> tuple[_Floats, _Floats, _Floats, _Floats]:
    """Return (inside (chords, 12), missing (chords, 12), bass (chords, 12), prior (chords,)).

    The chord of row ``12 * q + r`` has quality ``FOUND_QUALITIES[q]`` and root r.
    """
    rows = 12 * len(FOUND_QUALITIES)
    inside, missing, bass = (np.zeros((rows, 12)) for _ in range(3))
    for q, quality in enumerate(FOUND_QUALITIES):
        for place, step in enumerate(QUALITIES[quality]):
            for root in range(12):
                inside[12 * q + root, (root + step) % 12] = 1.0
                missing[12 * q + root, (root + step) % 12] = _MISSING[place]
                bass[12 * q + root, (root + step) % 12] = _BASS[place]
    prior = np.repeat([_PRIOR[quality] for quality in FOUND_QUALITIES], 12)
    return inside, missing, bass, prior


_INSIDE, _MISSING_TABLE, _BASS_TABLE, _PRIORS = _tables()
_CHORDS = tuple(Chord(root, quality) for quality in FOUND_QUALITIES for root in range(12))


def _best(weights: _Floats, bass: _Ints, is_long: npt.NDArray[np.bool_]) -> list[int]:
    """Return n rows of ``_CHORDS`` for weights (n, 12), each row's sum above 0."""
    share = weights / weights.sum(axis=1, keepdims=True)
    absent = np.clip(1.0 - share / _PRESENT, 0.0, 1.0)
    fits = share @ ((1.0 + _OUTSIDE) * _INSIDE - _OUTSIDE).T - absent @ _MISSING_TABLE.T
    fits += _BASS_TABLE[:, bass].T + np.where(is_long[:, None], _IN_LONG, 1.0) * _PRIORS
    # Rounding must not decide a tie.
    best: list[int] = np.argmax(np.round(fits, 9), axis=1).tolist()
    return best


def _notes(score: Score) -> tuple[_Ints, _Ints, _Ints]:
    """Return (onset, end, pitch) of all pitched notes."""
    tracks = [track for track in score.tracks if not track.is_drum]
    rows = [(n.onset_ticks, n.duration_ticks, n.pitch) for t in tracks for n in t.notes]
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return table[:, 0], table[:, 0] + table[:, 1], table[:, 2]


def _struck(onset: _Ints, beats: _Ints, strong: _Ints) -> _Floats:
    """Return (n,): what a note counts by where it is struck."""
    weight = np.full(len(onset), _WEAK)
    weight[np.isin(onset, beats)] = _BEAT
    weight[np.isin(onset, strong)] = _STRONG
    return weight


def _find(
    score: Score, starts: _Ints, ends: _Ints, bars: Sequence[Bar]
) -> tuple[Chord | None, ...]:
    """Return the chord of each span; spans are in order and do not overlap."""
    count = len(starts)
    onset, end, pitch = _notes(score)
    if not len(onset) or not count:
        return (None,) * count
    beats, strong = _beats(bars, score.ticks_per_quarter)
    struck = _struck(onset, beats, strong)
    first = np.searchsorted(ends, onset, side="right")  # the first span that a note reaches
    reach = np.maximum(np.searchsorted(starts, end, side="left") - first, 0)
    note = np.repeat(np.arange(len(onset)), reach)
    span = np.arange(len(note)) - np.repeat(np.cumsum(reach) - reach, reach) + first[note]
    begin = np.maximum(onset[note], starts[span])
    overlap = np.minimum(end[note], ends[span]) - begin
    weight = overlap * np.where(begin == starts[span], 1.0, struck[note])
    flat = np.bincount(12 * span + pitch[note] % 12, weight, minlength=12 * count)
    weights = flat.reshape(count, 12).astype(np.float64)
    # The bass is the lowest of the notes that sound first in the span.
    earliest = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(earliest, span, begin)
    lowest = np.full(count, 128, dtype=np.int64)
    at_once = begin == earliest[span]
    np.minimum.at(lowest, span[at_once], pitch[note][at_once])
    sounding = np.flatnonzero(lowest < 128)
    # Beats are counted where they are struck: a beat holds one, a bar several.
    is_long = (np.searchsorted(beats, ends) - np.searchsorted(beats, starts) > 1)[sounding]
    out: list[Chord | None] = [None] * count
    rows = _best(weights[sounding], lowest[sounding] % 12, is_long)
    for place, row in zip(sounding.tolist(), rows, strict=True):
        out[place] = _CHORDS[row]
    return tuple(out)


def _beat_ticks(metre: TimeSignature, ticks_per_quarter: int) -> int:
    """Return the ticks of a beat: the metre's unit, and three of them in 6/8, 9/8 and 12/8."""
    unit = max(1, 4 * ticks_per_quarter // metre.denominator)
    is_compound = metre.denominator >= 8 and metre.numerator % 3 == 0 and metre.numerator > 3
    return 3 * unit if is_compound else unit


def _beats(bars: Sequence[Bar], ticks_per_quarter: int) -> tuple[_Ints, _Ints]:
    """Return the ticks of (all beats, strong beats) of some bars."""
    beats, strong = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for bar in bars:
        beat = _beat_ticks(bar.time_signature, ticks_per_quarter)
        beats.append(bar.onset_ticks + np.arange(0, bar.length_ticks, beat))
        places = np.array(strong_beats(bar.time_signature, ticks_per_quarter), dtype=np.int64)
        strong.append(bar.onset_ticks + places[places < bar.length_ticks])
    return np.concatenate(beats), np.concatenate(strong)


def beat_onsets(score: Score) -> npt.NDArray[np.int64]:
    """Return (beats,): the tick of every beat of every bar that covers the piece.

    A beat is the unit of the metre (a quarter in 4/4, a half in 2/2), and three of them in 6/8,
    9/8 and 12/8.
    """
    return _beats(Timeline(score).bars, score.ticks_per_quarter)[0]


def recognise_spans(
    score: Score, borders_ticks: Sequence[int] | npt.NDArray[np.int64]
) -> tuple[Chord | None, ...]:
    """Return the chord of each span between neighbouring borders; None where nothing sounds.

    Raises:
        MusicError: unless there are two borders or more, each later than the one before.
    """
    borders = np.asarray(borders_ticks, dtype=np.int64)
    if borders.ndim != 1 or len(borders) < 2 or (np.diff(borders) < 1).any():
        raise MusicError("spans need two borders or more, each later than the one before")
    return _find(score, borders[:-1], borders[1:], Timeline(score).bars)


def recognise_beats(score: Score) -> tuple[Chord | None, ...]:
    """Return the chord of each beat (see ``beat_onsets``); None where nothing sounds.

    Drums are left out. A chord names no bass note: an inversion is its chord.
    """
    bars = Timeline(score).bars
    beats, _ = _beats(bars, score.ticks_per_quarter)
    return _find(score, beats, np.append(beats[1:], bars[-1].end_ticks), bars)


def recognise_bars(score: Score) -> tuple[Chord | None, ...]:
    """Return the one chord that fits each bar best; None where nothing sounds."""
    bars = Timeline(score).bars
    starts = np.array([bar.onset_ticks for bar in bars], dtype=np.int64)
    ends = np.array([bar.end_ticks for bar in bars], dtype=np.int64)
    return _find(score, starts, ends, bars)


def recognise(score: Score, window_quarters: float = 1.0) -> tuple[ChordSymbol, ...]:
    """Return a chord symbol wherever the chord changes, estimated in windows from each bar line.

    The last window of a bar is cut by the bar line. A silent window changes nothing.

    Raises:
        MusicError: if a window is not longer than nothing.
    """
    window = int(window_quarters * score.ticks_per_quarter)
    if window < 1:
        raise MusicError(f"a window lasts longer than nothing, not {window_quarters:g} quarters")
    bars = Timeline(score).bars
    starts = np.concatenate([np.arange(b.onset_ticks, b.end_ticks, window) for b in bars])
    symbols: list[ChordSymbol] = []
    found = _find(score, starts, np.append(starts[1:], bars[-1].end_ticks), bars)
    for tick, chord in zip(starts.tolist(), found, strict=True):
        if chord is not None and (not symbols or symbols[-1].chord != chord):
            symbols.append(ChordSymbol(tick, chord))
    return tuple(symbols)

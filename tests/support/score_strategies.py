"""Hypothesis strategies for scores that files can hold."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from hypothesis import strategies as st

from partimento.errors import FileError
from partimento.files.midi.writer import playable
from partimento.files.names import unique_names
from partimento.files.unsupported import LeftOut
from partimento.music import (
    Chord,
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
from partimento.music.chords import QUALITIES

WORDS = st.text("abcdefghij klmnopqrstuvwxyzäöüßéřЖ音", min_size=1, max_size=12).map(
    lambda text: " ".join(text.split()) or "x"
)
MICROS = st.integers(15_000, 0xFFFFFF)


def notes(step: int, last: int) -> st.SearchStrategy[tuple[Note, ...]]:
    one = st.builds(
        lambda at, pitch, length, velocity: Note(at * step, pitch, length * step, velocity),
        st.integers(0, last),
        st.integers(0, 127),
        st.integers(1, 40),
        st.integers(1, 127),
    )
    return st.lists(one, max_size=12).map(tuple)


@st.composite
def tracks(draw: st.DrawFn, step: int) -> Track:
    played = draw(notes(step, 60))
    starts = sorted({note.onset_ticks for note in played})
    sung = draw(st.lists(st.sampled_from(starts), unique=True)) if starts else []
    pedals = draw(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=3))
    return Track(
        draw(WORDS),
        played,
        draw(st.integers(0, 127)),
        draw(st.booleans()),
        tuple(Pedal(a * step, b * step) for a, b in sorted(pedals)),
        tuple(Lyric(at, draw(WORDS)) for at in sorted(sung)),
        draw(st.integers(0, 127)),
        draw(st.integers(0, 127)),
    )


@st.composite
def scores(draw: st.DrawFn) -> Score:
    """Scores that MIDI can hold as they are, and MusicXML too (metres change at bar lines)."""
    ticks = draw(st.sampled_from([24, 96, 480, 1024, 7]))
    step = draw(st.sampled_from([1, max(1, ticks // 4)]))
    made = tuple(unique_names(draw(st.lists(tracks(step), max_size=3))))
    metre = draw(st.sampled_from([(4, 4), (3, 4), (2, 2)]))
    whole = 4 * metre[0] * ticks // metre[1]
    score = Score(
        made,
        ticks,
        tempos=tuple(
            Tempo(at, 60_000_000 / micros)
            for at, micros in sorted({0: draw(MICROS), whole: draw(MICROS)}.items())
        ),
        time_signatures=(TimeSignature(0, *metre),),
        key_signatures=tuple(
            KeySignature(at * whole, Key(draw(st.integers(-7, 7)), draw(st.booleans())))
            for at in sorted(draw(st.sets(st.integers(0, 2), max_size=2)))
        ),
        chords=tuple(
            ChordSymbol(at * step, draw(chords()))
            for at in sorted(draw(st.sets(st.integers(0, 40), max_size=3)))
        ),
        title=draw(st.one_of(st.just(""), WORDS)),
        written_length_ticks=3 * whole if draw(st.booleans()) else 0,
    )
    return playable(score)


@st.composite
def chords(draw: st.DrawFn) -> Chord:
    root = draw(st.integers(0, 11))
    bass = draw(st.one_of(st.none(), st.integers(0, 11)))
    return Chord(root, draw(st.sampled_from(sorted(QUALITIES))), bass)


def with_whole_bars(score: Score) -> Score:
    """Return the score ended by a bar line, so that all its events lie inside a bar."""
    metre = score.time_signatures[0]
    whole = int(metre.quarters_per_bar * score.ticks_per_quarter)
    events = [e.onset_ticks for e in (*score.chords, *score.key_signatures, *score.tempos)]
    ends = [p.onset_ticks + p.duration_ticks for t in score.tracks for p in t.pedals]
    last = max([score.length_ticks - 1, *events, *ends, 0])
    return replace(score, written_length_ticks=(last // whole + 1) * whole)


@contextmanager
def only_file_errors() -> Iterator[None]:
    """Let the block raise nothing but a FileError of one line; what is left out may be told."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LeftOut)
            yield
    except FileError as error:
        if "\n" in str(error):
            raise AssertionError(f"more than one line: {error}") from error

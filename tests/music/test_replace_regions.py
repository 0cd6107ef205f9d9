from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from partimento.errors import MusicError
from partimento.files.midi.reader import score_of_midi
from partimento.files.midi.writer import midi_bytes, playable
from partimento.files.names import unique_names
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
    Timeline,
    TimeSignature,
    Track,
)
from partimento.music.regions import Region, open_cells
from partimento.music.replace_regions import graft, join_parts

METRES = ((4, 4), (3, 4), (6, 8), (17, 16))


@st.composite
def note_lists(draw: st.DrawFn, step: int, most: int) -> tuple[Note, ...]:
    """Notes on few pitches, so that they meet often."""
    one = st.tuples(
        st.integers(0, 40), st.integers(60, 63), st.integers(1, 12), st.sampled_from([30, 80, 110])
    )
    rows = draw(st.lists(one, max_size=most))
    return tuple(Note(at * step, pitch, long * step, loud) for at, pitch, long, loud in rows)


@st.composite
def pieces(draw: st.DrawFn) -> Score:
    ticks = draw(st.sampled_from([7, 24, 480]))
    step = draw(st.sampled_from([1, max(1, ticks // 4)]))
    count = draw(st.integers(1, 3))
    tracks = [
        Track(
            f"Voice {i}",
            draw(note_lists(step, 10)),
            draw(st.integers(0, 127)),
            draw(st.booleans()) and i == 2,
            tuple(
                Pedal(at * step, 3 * step) for at in draw(st.sets(st.integers(0, 9), max_size=1))
            ),
            (Lyric(step, "la"),) if draw(st.booleans()) else (),
            draw(st.integers(0, 127)),
        )
        for i in range(count)
    ]
    metre, later = draw(st.sampled_from(METRES)), draw(st.sampled_from(METRES))
    changes = (TimeSignature(0, *metre), TimeSignature(5 * ticks, *later))
    score = Score(
        tuple(unique_names(tracks)),
        ticks,
        tempos=(Tempo(0, 100.0), Tempo(3 * step, 66.0)),
        time_signatures=changes if draw(st.booleans()) else changes[:1],
        key_signatures=(KeySignature(0, Key(2)),),
        chords=(ChordSymbol(step, Chord(9, "m")),),
        title="Air",
        written_length_ticks=12 * ticks if draw(st.booleans()) else 0,
    )
    return playable(score)


@st.composite
def places(draw: st.DrawFn, bars: int, tracks: int) -> Region:
    first = draw(st.integers(0, bars - 1))
    some = st.frozensets(st.integers(0, tracks - 1), min_size=1)
    return Region(first, draw(st.integers(first + 1, bars)), draw(st.one_of(st.none(), some)))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_what_was_not_asked_for_does_not_change(data):
    prompt = data.draw(pieces())
    bars, count = Timeline(prompt).bars, len(prompt.tracks)
    somewhere = places(len(bars), count)
    regions = data.draw(st.lists(somewhere, min_size=1, max_size=2))
    locks = data.draw(st.lists(somewhere, max_size=2))
    every = [(i, note) for i, track in enumerate(prompt.tracks) for note in track.notes]
    held = data.draw(st.lists(st.sampled_from(every), max_size=2)) if every else []
    step = max(1, prompt.ticks_per_quarter // 4)
    made = Score(
        tuple(Track("", data.draw(note_lists(step, 12))) for _ in range(count)),
        prompt.ticks_per_quarter,
    )
    result = graft(prompt, made, regions, locks, held)

    cells = open_cells(len(bars), count, regions, locks)
    timeline = Timeline(prompt)
    assert replace(result, tracks=()) == replace(prompt, tracks=())
    for i, (old, now) in enumerate(zip(prompt.tracks, result.tracks, strict=True)):
        assert replace(now, notes=()) == replace(old, notes=())
        kept = [
            note
            for note in old.notes
            if not cells[timeline.bar_at(note.onset_ticks).index, i] or (i, note) in held
        ]
        same = {id(note) for note in kept}
        assert len([note for note in now.notes if id(note) in same]) == len(kept)
        new = [note for note in now.notes if id(note) not in same]
        for note in new:
            sounds_in = [
                bar.index
                for bar in bars
                if bar.onset_ticks < note.end_ticks and note.onset_ticks < bar.end_ticks
            ]
            assert all(cells[bar, i] for bar in sounds_in)
            assert note.end_ticks <= bars[-1].end_ticks
            assert not any(
                other is not note
                and other.pitch == note.pitch
                and other.onset_ticks < note.end_ticks
                and note.onset_ticks < other.end_ticks
                for other in now.notes
            )
    again = score_of_midi(midi_bytes(result))
    assert again == result  # so what is outside comes back from the file too


def line(*notes: tuple[int, int, int], velocity: int = 60) -> Track:
    """Return a track of (beat, pitch, beats)."""
    return Track("V", tuple(Note(480 * at, p, 480 * long, velocity) for at, p, long in notes))


def grafted(old: Track, new: Track, *regions: Region) -> list[tuple[float, int, float]]:
    """Return (beat, pitch, beats) of four bars in which ``new`` is put into ``old``."""
    prompt = Score((old,), written_length_ticks=4 * 1920)
    found = graft(prompt, Score((new,)), regions or (Region(1, 3),))
    return [(n.onset_ticks / 480, n.pitch, n.duration_ticks / 480) for n in found.tracks[0].notes]


def test_new_notes_are_cut_at_the_end_of_the_region():
    assert grafted(line((0, 50, 4)), line((10, 60, 9))) == [(0, 50, 4), (10, 60, 2)]
    meeting = (Region(1, 2), Region(2, 3))
    assert grafted(line(), line((5, 60, 9)), *meeting) == [(5, 60, 7)]


def test_new_notes_do_not_overlap_kept_ones_of_their_pitch():
    held = line((2, 60, 4), (12, 60, 1))
    assert grafted(held, line((4, 60, 4))) == [(2, 60, 4), (6, 60, 2), (12, 60, 1)]
    assert grafted(held, line((4, 60, 2), (5, 61, 1))) == [(2, 60, 4), (5, 61, 1), (12, 60, 1)]


def test_an_old_note_goes_with_the_bar_in_which_it_starts():
    old = line((3, 60, 3), (4, 64, 1), (11, 65, 4), (12, 67, 1))
    assert grafted(old, line((8, 70, 1))) == [(3, 60, 3), (8, 70, 1), (12, 67, 1)]


def test_an_even_eighty_becomes_as_loud_as_what_is_around():
    near = Track("V", tuple(Note(480 * i, 60, 480, 30 if i < 4 else 99) for i in range(32)))
    far = Track("W", tuple(Note(480 * i, 50, 480, 55) for i in range(32)))
    prompt = Score((near, far, Track("New")))
    new = line((5, 72, 1), velocity=80)
    made = Score((new, Track(""), new))
    out = graft(prompt, made, [Region(1, 2, frozenset({0})), Region(0, 8, frozenset({2}))])
    assert [n.velocity for n in out.tracks[0].notes if n.pitch == 72] == [30]
    assert [n.velocity for n in out.tracks[2].notes] == [55]
    uneven = Score((replace(new, notes=(Note(2400, 72, 480, 81),)), Track(""), new))
    out = graft(prompt, uneven, [Region(1, 2)])
    assert [n.velocity for n in out.tracks[2].notes] == [80]
    alone = graft(Score((Track("New"),), written_length_ticks=3840), Score((new,)), [Region(0, 2)])
    assert [n.velocity for n in alone.notes] == [80]


def test_new_notes_come_on_the_tracks_of_the_piece():
    with pytest.raises(MusicError, match="on the 2 tracks of the piece, not on 1"):
        graft(Score((Track("A"), Track("B"))), Score((Track("A"),)), [Region(0, 1)])


def test_pieces_join_track_by_track_even_where_names_are_one():
    piece = Score((line((0, 60, 1)), line((1, 50, 1))), written_length_ticks=1920)
    whole = join_parts([piece, piece], Score((Track("V"), Track("V"))))
    assert [Counter(n.pitch for n in t.notes) for t in whole.tracks] == [{60: 2}, {50: 2}]
    assert [n.onset_ticks for n in whole.tracks[1].notes] == [480, 2400]
    assert [t.notes for t in join_parts([], Score((Track("V"), Track("V")))).tracks] == [(), ()]

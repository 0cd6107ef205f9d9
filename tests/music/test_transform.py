from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from partimento.music import KeySignature, Note, Pedal, Score, Tempo, TimeSignature, Track
from partimento.music.keys import parse_key
from partimento.music.transform import concatenate, crop, join

notes = st.builds(Note, st.integers(0, 9000), st.integers(30, 90), st.integers(1, 400))


def piece(*played: Note, name: str = "T", **maps: object) -> Score:
    return Score((Track(name, played),), written_length_ticks=1920, **maps)


@given(st.lists(notes, max_size=30))
def test_bars_cut_from_a_score_join_to_its_notes(played):
    inside = [n for n in played if n.onset_ticks // 1920 == (n.end_ticks - 1) // 1920]
    whole = Score((Track("T", tuple(inside)),), written_length_ticks=1920 * 5)
    joined = join(crop(whole, 1920 * i, 1920 * (i + 1)) for i in range(5))
    assert joined == whole


def test_join_keeps_maps_where_they_change_and_notes_that_outlast_their_piece():
    three = (TimeSignature(0, 3, 4),)
    joined = join(
        [
            piece(Note(1800, 60, 500), tempos=(Tempo(0, 90.0),), time_signatures=three),
            piece(Note(0, 62, 480), tempos=(Tempo(0, 90.0),), time_signatures=three),
            piece(name="U", tempos=(Tempo(0, 60.0),)),
        ]
    )
    assert joined.tempos == (Tempo(0, 90.0), Tempo(3840, 60.0))
    assert joined.time_signatures == three
    assert [track.name for track in joined.tracks] == ["T", "U"]
    assert joined.tracks[0].notes == (Note(1800, 60, 500), Note(1920, 62, 480))
    assert joined.length_ticks == 3 * 1920
    assert join([]) == Score()


def test_concatenate_puts_the_second_on_the_grid_and_after_the_maps_of_the_first():
    first = piece(Note(0, 60, 480), key_signatures=(KeySignature(0, parse_key("C")),))
    second = Score(
        (Track("T", (Note(0, 64, 96),), pedals=(Pedal(0, 96),)), Track("New", (Note(96, 65, 96),))),
        ticks_per_quarter=96,
        key_signatures=(KeySignature(0, parse_key("C")), KeySignature(96, parse_key("G"))),
        written_length_ticks=384,
    )
    both = concatenate(first, second, 1920)
    assert both.tracks[0].notes == (Note(0, 60, 480), Note(1920, 64, 480))
    assert both.tracks[0].pedals == (Pedal(1920, 480),)
    assert both.tracks[1] == Track("New", (Note(2400, 65, 480),))
    assert [k.onset_ticks for k in both.key_signatures] == [0, 2400]
    assert both.length_ticks == 3840
    onto = concatenate(first, second, 1920, [None, 0])
    assert [track.name for track in onto.tracks] == ["T", "T"]
    assert onto.tracks[0].notes[1:] == (Note(2400, 65, 480),)
    assert replace(onto.tracks[1], pedals=()) == Track("T", (Note(1920, 64, 480),))

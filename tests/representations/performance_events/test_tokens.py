from __future__ import annotations

import numpy as np

from partimento.music import Note, Pedal, Score, Tempo, Track
from partimento.representations.performance_events import PerformanceEvents

REP = PerformanceEvents()


def words(*tracks: Track, **maps: object) -> str:
    """Return the text of a score; at 60 quarters a minute a tick of 100 is 10 ms."""
    maps.setdefault("tempos", (Tempo(0, 60.0),))
    return REP.text(REP.encode(Score(tracks, ticks_per_quarter=100, **maps)))  # type: ignore[arg-type]


def decode(text: str) -> Score:
    """Return the score of words."""
    known = {REP.text([token]): token for token in range(REP.vocabulary.size)}
    return REP.decode(np.array([known[word] for word in text.split()], dtype=np.int64))


def test_the_vocabulary_is_that_of_the_papers() -> None:
    assert list(REP.vocabulary.ranges.values()) == [128, 128, 100, 32, 1, 1]
    assert REP.start_token == 388


def test_a_small_piece_in_words() -> None:
    piano = Track("Piano", (Note(0, 60, 50, 80), Note(50, 64, 250, 81), Note(50, 60, 10, 99)))
    assert words(piano) == (
        "VELOCITY_80 NOTE_ON_60 TIME_SHIFT_50 NOTE_OFF_60 VELOCITY_96 NOTE_ON_60 VELOCITY_80 "
        "NOTE_ON_64 TIME_SHIFT_10 NOTE_OFF_60 TIME_SHIFT_100 TIME_SHIFT_100 TIME_SHIFT_40 "
        "NOTE_OFF_64 END"
    )


def test_a_decoded_score_is_in_milliseconds() -> None:
    score = decode("VELOCITY_80 TIME_SHIFT_3 NOTE_ON_60 TIME_SHIFT_7 NOTE_OFF_60 END")
    assert score.ticks_per_quarter == 500
    assert score.tempos == (Tempo(0, 120.0),)
    assert score.notes == (Note(30, 60, 70, 82),)
    assert score.written_length_ticks == 100


def test_tempo_is_played_out() -> None:
    tempos = (Tempo(0, 60.0), Tempo(100, 120.0))
    assert words(Track("p", (Note(0, 60, 200),)), tempos=tempos) == (
        "VELOCITY_80 NOTE_ON_60 TIME_SHIFT_100 TIME_SHIFT_50 NOTE_OFF_60 END"
    )


def test_the_pedal_holds_notes_until_it_comes_up_or_the_key_is_struck_again() -> None:
    notes = (Note(0, 60, 10), Note(0, 64, 10), Note(30, 60, 100), Note(0, 67, 45))
    text = words(Track("p", notes, pedals=(Pedal(5, 15), Pedal(20, 20))))
    assert text == (
        "VELOCITY_80 NOTE_ON_60 NOTE_ON_64 NOTE_ON_67 TIME_SHIFT_20 NOTE_OFF_60 NOTE_OFF_64 "
        "TIME_SHIFT_10 NOTE_ON_60 TIME_SHIFT_15 NOTE_OFF_67 TIME_SHIFT_85 NOTE_OFF_60 END"
    )
    text = words(Track("p", notes, pedals=(Pedal(5, 45),)))
    assert "TIME_SHIFT_30 NOTE_OFF_60 NOTE_ON_60 TIME_SHIFT_20 NOTE_OFF_64 NOTE_OFF_67" in text


def test_pitched_tracks_become_one_piano_and_drums_are_left_out() -> None:
    one = Track("Violin", (Note(0, 60, 10), Note(0, 70, 5)), program=40, pedals=(Pedal(1, 9),))
    two = Track("Cello", (Note(0, 60, 30),), program=42)
    kit = Track("Kit", (Note(0, 36, 30),), is_drum=True)
    score = REP.quantize(Score((one, two, kit), ticks_per_quarter=100, tempos=(Tempo(0, 60.0),)))
    assert [track.name for track in score.tracks] == ["Piano"]
    assert score.notes == (Note(0, 60, 300, 82), Note(0, 70, 100, 82))


def test_stray_offs_stuck_notes_and_repeated_ons() -> None:
    score = decode(
        "NOTE_OFF_60 NOTE_ON_60 TIME_SHIFT_10 START NOTE_ON_60 TIME_SHIFT_5 NOTE_ON_61 "
        "NOTE_OFF_61 NOTE_ON_62 END TIME_SHIFT_9"
    )
    assert score.notes == (Note(0, 60, 100, 82), Note(100, 60, 50, 82), Note(150, 62, 10, 82))


def test_transposition_stays_on_the_keyboard() -> None:
    tokens = REP.encode(Score((Track("p", (Note(0, 0, 10), Note(0, 127, 10))),)))
    assert REP.transposed(tokens, 1) is None
    assert REP.transposed(tokens, -1) is None
    assert REP.features(tokens).shape == (len(tokens), 0)

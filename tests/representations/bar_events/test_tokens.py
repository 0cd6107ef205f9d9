from __future__ import annotations

import numpy as np
import pytest

from partimento.music import Note, Score, Tempo, TimeSignature, Track
from partimento.representations.bar_events import (
    DRUMS,
    DURATIONS,
    METRE_POSITIONS,
    METRES,
    TEMPOS,
    BarEvents,
    Ruling,
)

REP = BarEvents()
TICKS = 40  # a position, at 480 ticks a quarter


def words(*notes: Note, **maps: object) -> str:
    """Return the text of a score of one piano."""
    return REP.text(REP.encode(Score((Track("Piano", notes),), **maps)))  # type: ignore[arg-type]


def test_the_tables_are_what_they_say() -> None:
    assert len(set(METRES)) == len(METRES)
    assert all(n * 48 % d == 0 and 1 <= n * 48 // d <= 96 for n, d in METRES)
    assert METRE_POSITIONS[METRES.index((6, 8))] == 36
    assert list(DURATIONS) == sorted(set(DURATIONS))
    assert list(TEMPOS) == sorted(set(TEMPOS))
    assert (TEMPOS[0], TEMPOS[-1], len(TEMPOS)) == (24, 300, 32)
    assert list(REP.vocabulary.ranges) == [
        "start", "end", "bar", "metre", "tempo", "position", "instrument", "pitch", "duration",
        "velocity",
    ]  # fmt: skip


def test_a_small_piece_in_words() -> None:
    piano = Track("Piano", (Note(0, 60, 480, 80), Note(0, 64, 480, 80), Note(1920, 67, 240, 90)))
    violin = Track("Violin", (Note(240, 76, 240, 90),), program=40)
    drums = Track("Kit", (Note(1920, 36, 40, 90),), is_drum=True)
    score = Score(
        (piano, violin, drums),
        tempos=(Tempo(0, 120.0), Tempo(1900, 90.0)),
        time_signatures=(TimeSignature(0, 4, 4), TimeSignature(1920, 3, 4)),
        written_length_ticks=1920 + 2 * 1440,
    )
    assert REP.text(REP.encode(score)) == (
        "BAR METRE_4/4 TEMPO_122 POSITION_0 INSTRUMENT_0 VELOCITY_80 PITCH_60 DURATION_12 "
        "PITCH_64 DURATION_12 POSITION_6 INSTRUMENT_40 VELOCITY_88 PITCH_76 DURATION_6 "
        "BAR METRE_3/4 TEMPO_88 POSITION_0 INSTRUMENT_0 PITCH_67 DURATION_6 "
        "INSTRUMENT_128 PITCH_36 DURATION_1 BAR END"
    )
    decoded = REP.decode(REP.encode(score))
    assert [track.name for track in decoded.tracks] == ["Piano", "Violin", "Drums"]
    assert decoded.tracks[0].notes == (
        Note(0, 60, 480, 82),
        Note(0, 64, 480, 82),
        Note(1920, 67, 240, 90),
    )
    assert decoded.tracks[2].is_drum
    assert decoded.time_signatures == score.time_signatures
    assert decoded.tempos == (Tempo(0, 122.0), Tempo(1920, 88.0))
    assert decoded.written_length_ticks == score.written_length_ticks


def test_an_empty_score_is_an_empty_bar() -> None:
    assert REP.text(REP.encode(Score())) == "BAR METRE_4/4 TEMPO_122 END"
    assert REP.decode(REP.encode(Score())).length_ticks == 1920


def test_a_pickup_is_filled_up_at_its_front() -> None:
    cut = (TimeSignature(0, 3, 4), TimeSignature(480, 3, 4))
    own = (TimeSignature(0, 1, 4), TimeSignature(480, 3, 4))
    for signatures in (cut, own):
        text = words(Note(0, 60, 480), Note(480, 62, 480), time_signatures=signatures)
        assert text == (
            "BAR METRE_3/4 TEMPO_122 POSITION_24 INSTRUMENT_0 VELOCITY_80 PITCH_60 DURATION_12 "
            "BAR POSITION_0 PITCH_62 DURATION_12 END"
        )


def test_a_bar_cut_short_takes_a_metre_of_its_length() -> None:
    signatures = (TimeSignature(0, 4, 4), TimeSignature(1920 + 720, 4, 4))
    text = words(Note(1920 + 720, 60, 480), time_signatures=signatures)
    assert text.startswith("BAR METRE_4/4 TEMPO_122 BAR METRE_3/8 BAR METRE_4/4 POSITION_0")


@pytest.mark.parametrize(
    ("metre", "said"),
    [
        ((6, 8), ["METRE_6/8"]),
        ((12, 32), ["METRE_3/8"]),  # one of the same length
        ((11, 16), ["METRE_3/4"]),  # 33 positions: the next longer
        ((9, 4), ["METRE_3/4", "BAR", "BAR"]),  # longer than eight quarters: split
        ((13, 2), ["METRE_1/2", *["BAR"] * 12]),
    ],
)
def test_metres_that_are_not_listed(metre: tuple[int, int], said: list[str]) -> None:
    text = words(Note(0, 60, 1), time_signatures=(TimeSignature(0, *metre),))
    heads = [w for w in text.split() if w.startswith(("BAR", "METRE"))]
    assert heads == ["BAR", *said]


def test_onsets_round_to_the_next_bar_but_stay_in_the_piece() -> None:
    early = REP.quantize(Score((Track("p", (Note(1915, 60, 480), Note(3835, 62, 5))),)))
    assert [n.onset_ticks for n in early.notes] == [1920, 3840 - TICKS]
    assert early.length_ticks == 3840


def test_durations_round_to_the_table_and_end_in_the_piece() -> None:
    assert "DURATION_12 END" in words(Note(0, 60, 13 * TICKS))
    assert "DURATION_1 END" in words(Note(0, 60, 3))
    assert "DURATION_192 BAR BAR" in words(Note(0, 60, 99_999))
    # 47 positions are nearest to 48, which would end past the bar.
    assert "POSITION_1 INSTRUMENT_0 VELOCITY_80 PITCH_60 DURATION_45 END" in words(
        Note(TICKS, 60, 47 * TICKS)
    )


def test_tracks_of_one_program_merge_and_equal_notes_keep_the_longest() -> None:
    one = Track("Right", (Note(0, 60, 240, 100),), program=6)
    two = Track("Left", (Note(0, 60, 480, 50), Note(0, 48, 480, 50)), program=6)
    score = BarEvents({6: "Cembalo"}).quantize(Score((one, two)))
    assert [track.name for track in score.tracks] == ["Cembalo"]
    assert score.tracks[0].notes == (Note(0, 48, 480, 50), Note(0, 60, 480, 50))
    assert REP.track_name(6) == "Harpsichord"
    assert REP.track_name(DRUMS) == "Drums"


def tokens(text: str) -> np.ndarray:
    """Return the tokens of words; the inverse of ``text``."""
    known = {REP.text([token]): token for token in range(REP.vocabulary.size)}
    return np.array([known[word] for word in text.split()])


def test_tokens_out_of_place_are_ignored() -> None:
    nonsense = REP.decode(
        tokens(
            "METRE_3/4 PITCH_1 DURATION_1 POSITION_3 PITCH_2 DURATION_2 START "  # no bar yet
            "BAR PITCH_3 DURATION_3 METRE_2/4 POSITION_24 PITCH_4 DURATION_4 "  # no position yet
            "POSITION_12 METRE_4/4 TEMPO_24 PITCH_60 PITCH_61 DURATION_12 DURATION_6 "
            "PITCH_62 VELOCITY_8 DURATION_12 PITCH_63 END BAR BAR"
        )
    )
    assert nonsense.notes == (Note(480, 61, 480, 82),)
    assert nonsense.time_signatures == (TimeSignature(0, 2, 4),)
    assert nonsense.tempos == (Tempo(0, 122.0),)
    assert nonsense.written_length_ticks == 960


def test_bars_decode_one_by_one() -> None:
    bars = [
        "BAR METRE_3/4 TEMPO_96 POSITION_0 INSTRUMENT_40 VELOCITY_60 PITCH_60 DURATION_48",
        "BAR POSITION_12 PITCH_62 DURATION_12",
        "BAR METRE_2/4",
    ]
    ruling = Ruling()
    onsets, lengths = [], []
    for bar in bars:
        score, ruling = REP.decode_after(ruling, tokens(bar))
        onsets += [(note.onset_ticks, note.velocity) for note in score.notes]
        lengths.append(score.written_length_ticks)
        assert score.tempos == (Tempo(0, 96.0),)
        assert all(track.name == "Violin" for track in score.tracks)
    assert onsets == [(0, 62), (480, 62)]
    assert lengths == [1440, 1440, 960]
    assert REP.decode(tokens(" ".join(bars))).written_length_ticks == sum(lengths)


def test_features_say_position_and_metre() -> None:
    said = "METRE_3/4 BAR METRE_2/4 POSITION_5 PITCH_60 BAR POSITION_0"
    assert REP.features(tokens(said)).tolist() == [
        [0, 0], [0, 2], [0, 2], [0, 3], [6, 3], [6, 3], [0, 3],
    ]  # fmt: skip


def test_drums_are_not_transposed() -> None:
    said = "BAR POSITION_0 PITCH_1 DURATION_1 INSTRUMENT_128 PITCH_36 DURATION_1 INSTRUMENT_5 BAR"
    moved = REP.transposed(tokens(said + " POSITION_0 PITCH_127 DURATION_1"), -1)
    assert moved is not None
    assert REP.text(moved) == (
        "BAR POSITION_0 PITCH_0 DURATION_1 INSTRUMENT_128 PITCH_36 DURATION_1 INSTRUMENT_5 BAR "
        "POSITION_0 PITCH_126 DURATION_1"
    )
    assert REP.transposed(tokens(said), -2) is None
    assert REP.transposed(tokens("PITCH_127"), 1) is None

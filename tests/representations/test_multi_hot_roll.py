"""The multi-hot roll: its laws, and what onset and sustain keep apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.errors import ConfigError, NotSupported
from partimento.music import Note, Score, Track
from partimento.music.transform import transpose
from partimento.representations import make_representation
from partimento.representations.multi_hot_roll import ONSET, SUSTAIN, MultiHotRoll, RollTrack

from support.random_scores import scores

BAND = MultiHotRoll(tuple(RollTrack(name, 40) for name in ("Soprano", "x", "Piano", "Bass")))
NARROW = MultiHotRoll(BAND.tracks, 50, 70, 12)
every = pytest.mark.parametrize("roll", [BAND, NARROW], ids=["wide", "narrow"])
few = settings(max_examples=40, deadline=None)


def piano(*notes: Note) -> Score:
    return Score((Track("Piano", notes),), written_length_ticks=1920)


def sounding(roll: MultiHotRoll, score: Score) -> list[tuple[int, int, int]]:
    return [(n.onset_ticks, n.pitch, n.duration_ticks) for n in roll.quantize(score).notes]


@every
@few
@given(score=scores)
def test_decoding_what_was_encoded_is_quantizing(roll: MultiHotRoll, score: Score) -> None:
    encoded = roll.encode(score)
    assert encoded.shape[:2] == (2, 4)
    assert encoded.shape[3] == roll.pitches
    assert encoded.dtype == np.float32
    quantized = roll.quantize(score)
    assert roll.decode(encoded) == quantized
    assert roll.quantize(quantized) == quantized
    np.testing.assert_array_equal(roll.encode(quantized), encoded)
    assert (encoded[SUSTAIN] >= encoded[ONSET]).all()


@every
@few
@given(seed=st.integers(0, 2**32 - 1))
def test_every_roll_decodes(roll: MultiHotRoll, seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise = rng.normal(0.3, 0.5, (2, 4, 24, roll.pitches)).astype(np.float32)
    score = roll.decode(noise)
    assert score.length_ticks == 24 * 480 // roll.steps_per_quarter
    for track in score.tracks:
        keys = [(note.onset_ticks, note.pitch) for note in track.notes]
        assert len(keys) == len(set(keys))
    heard = roll.encode(score)
    any_sound = (noise >= 0.5).any(axis=0)
    np.testing.assert_array_equal(heard[SUSTAIN] > 0, any_sound)


@every
@few
@given(score=scores, semitones=st.integers(-140, 140))
def test_transposing_the_roll_is_transposing_the_score(
    roll: MultiHotRoll, score: Score, semitones: int
) -> None:
    encoded = roll.encode(score)
    decoded = roll.decode(encoded)
    moved = roll.transposed(encoded, semitones)
    wanted = [note.pitch + semitones for note in decoded.notes]
    if not all(roll.lowest <= pitch <= roll.highest for pitch in wanted):
        assert moved is None
        return
    assert moved is not None
    assert roll.decode(moved).tracks == transpose(decoded, semitones).tracks


@every
def test_it_is_made_again_from_its_spec(roll: MultiHotRoll) -> None:
    assert make_representation(roll.spec()) == roll


def test_a_repeated_note_is_no_held_one() -> None:
    held = piano(Note(0, 60, 480))
    repeated = piano(Note(0, 60, 240), Note(240, 60, 240))
    assert sounding(BAND, held) == [(0, 60, 480)]
    assert sounding(BAND, repeated) == [(0, 60, 240), (240, 60, 240)]
    layers = [BAND.encode(score) for score in (held, repeated)]
    np.testing.assert_array_equal(layers[0][SUSTAIN], layers[1][SUSTAIN])
    assert (layers[0][ONSET] != layers[1][ONSET]).sum() == 1


def test_a_note_struck_while_it_sounds_ends_there() -> None:
    again = piano(Note(0, 60, 1920), Note(480, 60, 240))
    assert sounding(BAND, again) == [(0, 60, 480), (480, 60, 240)]


def test_of_equal_onsets_the_longest_stays() -> None:
    assert sounding(BAND, piano(Note(0, 60, 120), Note(1, 60, 720))) == [(0, 60, 720)]


def test_sustain_alone_starts_a_note() -> None:
    roll = np.zeros((2, 4, 4, 128), dtype=np.float32)
    roll[SUSTAIN, 0, 1:3, 60] = 1
    assert [(n.onset_ticks, n.duration_ticks) for n in BAND.decode(roll).notes] == [(120, 240)]


def test_drums_and_pitches_outside_are_left_out_and_too_many_tracks_refused() -> None:
    drums = Track("Drums", (Note(0, 36, 120),), is_drum=True)
    high = Track("Piano", (Note(0, 100, 120), Note(0, 60, 120)))
    assert [n.pitch for n in NARROW.quantize(Score((drums, high))).notes] == [60]
    many = Score(tuple(Track(f"T{i}", (Note(0, 60, 120),)) for i in range(5)))
    with pytest.raises(NotSupported, match="holds 4 tracks, not 5"):
        BAND.encode(many)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"tracks": "Piano"}, "representation.tracks"),
        ({"tracks": []}, "representation.tracks"),
        ({"tracks": [{"name": "a"}, {"name": "a"}]}, "representation.tracks"),
        ({"tracks": [{"name": 1}]}, "representation.tracks"),
        ({"tracks": [{"voices": 1}]}, "representation.tracks"),
        ({"lowest": 90, "highest": 80}, "representation.lowest"),
        ({"steps_per_quarter": 7}, "representation.steps_per_quarter"),
        ({"lowest": "a"}, "representation.lowest"),
        ({"velocity": 1}, "representation.velocity"),
    ],
)
def test_a_wrong_spec_is_refused_with_its_path(change: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError) as refused:
        make_representation({**BAND.spec(), **change})
    assert refused.value.where == path

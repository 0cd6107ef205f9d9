"""The same music played otherwise."""

from __future__ import annotations

import numpy as np
import pytest

from partimento.music import Audio, Note, Score, Tempo, Track
from partimento.seeds import generator
from partimento.sound.variation import Playing, draw_playing, only_tracks, place, play_otherwise


def score(pitch: int = 60) -> Score:
    tracks = [
        Track(name, tuple(Note(480 * i, pitch + i, 480, 60 + 10 * i) for i in range(5)), 52)
        for name in ("a", "b", "c")
    ]
    drums = Track("kit", (Note(0, 36, 120), Note(480, 38, 120)), is_drum=True)
    return Score(tracks=(*tracks, drums), tempos=(Tempo(0, 100.0),))


def test_a_plain_playing_changes_nothing() -> None:
    assert play_otherwise(score(), Playing()) == score()


def test_tempo_key_instruments_and_places_change() -> None:
    played = play_otherwise(score(), Playing(1.25, 3, (48, 19), None, 1.0))
    assert played.tempos[0].quarters_per_minute == pytest.approx(125)
    assert [track.notes[0].pitch for track in played.tracks] == [63, 63, 63, 36]
    assert [track.program for track in played.tracks[:3]] == [48, 19, 48]
    pans = [track.pan for track in played.tracks]
    assert pans[0] < pans[1] == 64 < pans[2]
    assert pans[3] == 64


def test_the_touch_keeps_accents_around_another_mean_and_repeats() -> None:
    loud = play_otherwise(score(), Playing(velocity=100.0, seed=4))
    soft = play_otherwise(score(), Playing(velocity=40.0, seed=4))
    assert loud == play_otherwise(score(), Playing(velocity=100.0, seed=4))
    assert loud != play_otherwise(score(), Playing(velocity=100.0, seed=5))
    for one, two in zip(loud.tracks, soft.tracks, strict=True):
        velocities = np.array([n.velocity for n in one.notes])
        assert velocities.min() >= 1
        assert velocities.mean() > np.mean([n.velocity for n in two.notes]) + 20


def test_what_would_leave_the_keyboard_moves_less() -> None:
    high = play_otherwise(score(122), Playing(semitones=5))
    assert max(note.pitch for track in high.tracks for note in track.notes) == 127


def test_playings_are_drawn_inside_their_ranges() -> None:
    draw = generator(1)
    drawn = [
        draw_playing(draw, tempo=(0.5, 2.0), semitones=2, velocity=(50, 60), room=(0.1, 0.2))
        for _ in range(200)
    ]
    tempi = np.array([playing.tempo for playing in drawn])
    assert 0.5 <= tempi.min() < 0.6
    assert 1.8 < tempi.max() <= 2
    assert abs(np.log(tempi).mean()) < 0.1
    assert {playing.semitones for playing in drawn} == {-2, -1, 0, 1, 2}
    assert all(50 <= (playing.velocity or 0) <= 60 for playing in drawn)
    assert all(0.1 <= playing.room <= 0.2 and playing.level_db == -1 for playing in drawn)
    assert draw_playing(generator(2)) == draw_playing(generator(2))


def test_a_room_adds_an_echo_and_the_level_is_kept() -> None:
    click = np.zeros((2, 8000), dtype=np.float32)
    click[:, 10] = 0.5
    dry, wet = (place(Audio(click, 8000), room, -6.0).samples for room in (0.0, 0.5))
    assert np.abs(dry).max() == pytest.approx(10 ** (-6 / 20), abs=1e-6)
    assert np.abs(wet).max() == pytest.approx(10 ** (-6 / 20), abs=1e-6)
    assert not dry[:, 20:].any()
    assert wet.shape[1] > dry.shape[1]
    assert 0.01 < np.abs(wet[:, 200:]).max() < 0.3
    assert not np.array_equal(wet[0], wet[1])
    assert not place(Audio(np.zeros((2, 99), np.float32), 8000), 0.5, -6.0).samples.any()


def test_tracks_are_chosen_by_name_or_as_drums() -> None:
    assert only_tracks(score(), None) == score()
    assert [track.name for track in only_tracks(score(), ("B",)).tracks] == ["b"]
    assert [track.name for track in only_tracks(score(), ("drums",)).tracks] == ["kit"]

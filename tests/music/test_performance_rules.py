from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partimento.analysis.phrases import structure_of
from partimento.music import Lyric, Note, Score, Tempo, TimeSignature, Track
from partimento.music.performance_rules import (
    Structure,
    at_level,
    end_tempo,
    perform_score,
    phrase_arch,
    ritard_times,
)

from support.random_scores import scores

BAR = 1920
amounts = st.floats(0.01, 1)


def hand(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def chorale(bars: int = 8, **maps: object) -> Score:
    """Return four voices in quarters at one velocity; the last chord fills the last bar."""
    tracks = []
    for name, pitch in (("Soprano", 72), ("Alto", 67), ("Tenor", 60), ("Bass", 48)):
        notes = [Note(480 * i, pitch + i % 3, 480) for i in range(4 * (bars - 1))]
        tracks.append(Track(name, (*notes, Note(BAR * (bars - 1), pitch, BAR))))
    return Score(tuple(tracks), tempos=(Tempo(0, 80.0),), **maps)


PHRASES = Structure((0, 4 * BAR), 7 * BAR)


@given(scores)
def test_amount_zero_is_the_identity(score):
    both = perform_score(score, structure_of(score), 0.0, hand())
    assert both.played is score
    assert both.notated is score


@given(scores, amounts, st.integers(0, 9))
def test_what_every_performance_keeps(score, amount, seed):
    both = perform_score(score, structure_of(score), amount, hand(seed))
    assert both.played.length_ticks == score.length_ticks
    for before, after, notated in zip(
        score.tracks, both.played.tracks, both.notated.tracks, strict=True
    ):
        assert all(1 <= note.velocity <= 127 for note in after.notes)
        assert [(n.onset_ticks, n.end_ticks, n.pitch) for n in notated.notes] == [
            (n.onset_ticks, n.end_ticks, n.pitch) for n in before.notes
        ]
        assert sorted((n.end_ticks, n.pitch) for n in after.notes) == sorted(
            (n.end_ticks, n.pitch) for n in before.notes
        )
        # No note reaches, or passes, the next onset of its track; so order stays.
        onsets = sorted({n.onset_ticks for n in before.notes})
        places = [np.searchsorted(onsets, n.onset_ticks, side="right") for n in after.notes]
        assert sorted(places) == sorted(
            np.searchsorted(onsets, n.onset_ticks, side="right") for n in before.notes
        )
        if before.is_drum:
            assert [n.onset_ticks for n in after.notes] == [n.onset_ticks for n in before.notes]


@given(scores, amounts)
def test_nothing_sounds_that_did_not_and_every_onset_is_still_one(score, amount):
    played = perform_score(score, structure_of(score), amount, hand()).played
    onsets = {n.onset_ticks for n in played.notes}
    assert {n.onset_ticks for n in score.notes} <= onsets
    for before, after in zip(score.tracks, played.tracks, strict=True):
        left = list(before.notes)
        for note in sorted(after.notes, key=lambda n: -n.onset_ticks):
            match = [
                n
                for n in left
                if (n.end_ticks, n.pitch) == (note.end_ticks, note.pitch)
                and n.onset_ticks <= note.onset_ticks
            ]
            assert match
            left.remove(max(match))


def test_the_same_seed_plays_alike_and_another_does_not():
    first, again, other = (perform_score(chorale(), PHRASES, 0.5, hand(s)) for s in (3, 3, 4))
    assert first == again
    assert first != other


def test_notes_of_a_chord_have_lateness_of_their_own_behind_the_melody():
    played = perform_score(chorale(), PHRASES, 1.0, hand()).played
    soprano, alto, tenor, bass = (
        np.array([n.onset_ticks for n in track.notes])
        - np.array([*range(0, 7 * BAR, 480), 7 * BAR])
        for track in played.tracks
    )
    assert not soprano.any()
    assert len(set(zip(alto, tenor, bass, strict=True))) > 20
    seconds = 60 / 80 / 480
    assert 0.020 < np.mean(alto[:-1]) * seconds < 0.035
    assert 0.010 < np.mean(bass[:-1]) * seconds < 0.020
    assert not any(part[-1] for part in (alto, tenor, bass))  # the last chord is one


def test_the_melody_is_louder_than_inner_voices_and_the_mean_level_stays():
    played = perform_score(chorale(), PHRASES, 0.5, hand()).played
    means = [np.mean([n.velocity for n in track.notes]) for track in played.tracks]
    assert means[0] > means[3] > max(means[1], means[2])
    assert abs(np.mean(means) - 80) < 1.5


def test_a_phrase_is_loudest_and_fastest_inside():
    score = Score(
        (Track("T", tuple(Note(480 * i, 60, 480) for i in range(64))),), tempos=(Tempo(0, 90.0),)
    )
    structure = Structure((0, 8 * BAR))
    played = perform_score(score, structure, 1.0, hand()).played
    by_bar = np.array([n.velocity for n in played.tracks[0].notes]).reshape(16, 4).mean(axis=1)
    for first in (0, 8):
        assert 1 <= int(by_bar[first : first + 8].argmax()) <= 5
        assert by_bar[first + 7] < by_bar[first : first + 7].min()
    second = [t.quarters_per_minute for t in played.tempos if t.onset_ticks >= 8 * BAR]
    assert 0 < int(np.argmax(second)) < len(second) - 1
    assert max(t.quarters_per_minute for t in played.tempos) == 90.0
    assert min(second) == pytest.approx(90 / 1.3, abs=0.5)


@pytest.mark.parametrize("amount", [0.1, 0.5, 1.0])
def test_the_ritardando_slows_down_to_the_tempo_of_the_last_chord(amount):
    both = perform_score(chorale(), PHRASES, amount, hand())
    for score in (both.played, both.notated):
        slowing = [t for t in score.tempos if 6 * BAR <= t.onset_ticks <= 7 * BAR]
        assert all(a.quarters_per_minute > b.quarters_per_minute for a, b in pairwise(slowing))
        assert slowing[-1] == Tempo(7 * BAR, round(80.0 * end_tempo(amount), 2))
        assert score.tempos[-1] == Tempo(8 * BAR, 80.0)
    assert all(t.onset_ticks == 0 or t.onset_ticks >= 6 * BAR for t in both.notated.tempos)


def test_drums_keep_their_grid_and_no_phrase_bends_their_tempo():
    drums = Track("Drums", tuple(Note(240 * i, 42, 120) for i in range(64)), is_drum=True)
    score = chorale()
    score = score.with_tracks((*score.tracks, drums))
    played = perform_score(score, PHRASES, 1.0, hand()).played
    assert [n.onset_ticks for n in played.track("Drums").notes] == [240 * i for i in range(64)]
    assert {t.quarters_per_minute for t in played.tempos if t.onset_ticks < 6 * BAR} == {80.0}


def test_downbeats_are_louder_than_what_is_between_beats():
    notes = tuple(Note(240 * i, 60, 240) for i in range(60))
    score = Score((Track("T", notes),), time_signatures=(TimeSignature(0, 3, 4),))
    played = perform_score(score, Structure(()), 1.0, hand()).played
    by_place = np.array([n.velocity for n in played.tracks[0].notes]).reshape(10, 6).mean(axis=0)
    assert by_place[0] > by_place[[2, 4]].max()
    assert by_place[[2, 4]].min() > by_place[[1, 3, 5]].max()


def test_syllables_go_with_their_notes():
    score = chorale()
    alto = score.tracks[1]
    sung = Track("Alto", alto.notes, lyrics=tuple(Lyric(n.onset_ticks, "la") for n in alto.notes))
    played = perform_score(
        score.with_tracks((score.tracks[0], sung)), PHRASES, 1.0, hand()
    ).played.track("Alto")
    assert [w.onset_ticks for w in played.lyrics] == [n.onset_ticks for n in played.notes]


def test_levels_are_decibels_of_the_square_of_velocity():
    assert at_level(np.array([64, 64, 127, 1]), np.array([0.0, 12.04, 9.0, -40.0])).tolist() == [
        64,
        127,
        127,
        1,
    ]


def test_the_ritardando_is_the_integral_of_its_tempo():
    where = np.linspace(0, 1, 20001)
    for q, w in ((3.0, 0.4), (2.0, 0.6)):
        tempo = (1 + (w**q - 1) * where) ** (1 / q)  # v(x)
        summed = np.concatenate([[0], np.cumsum((1 / tempo[1:] + 1 / tempo[:-1]) / 2)]) / 20000
        assert ritard_times(where, w, q) == pytest.approx(summed, abs=1e-6)


def test_an_arch_is_least_at_its_turn():
    where = np.linspace(0, 1, 101)
    arch = phrase_arch(where, 0.15, 0.3)
    assert (arch[0], arch[30], arch[-1]) == (0.15, pytest.approx(0), pytest.approx(0.3))
    assert int(arch.argmin()) == 30

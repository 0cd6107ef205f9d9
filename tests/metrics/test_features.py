from __future__ import annotations

import math

import numpy as np
import pytest

from partimento.metrics.features import HISTOGRAMS, SCALARS, estimate_tonic, features
from partimento.metrics.notes import note_table, time_class, voices
from partimento.music import Note, Score, TimeSignature, Track
from partimento.music.transform import rescale, transpose

from support.tiny_music import drums, solo, two_part


def test_values_of_a_scale_by_hand() -> None:
    found = features(solo([60, 62, 64, 65, 67, 69, 71, 72]))
    share = np.array([2, 1, 1, 1, 1, 1, 1]) / 8
    assert found.pitch.pitch_class_entropy == pytest.approx(-(share * np.log2(share)).sum())
    assert found.pitch.scale_consistency == 1.0
    assert found.time.groove_consistency == 1.0
    assert (found.time.polyphony, found.time.polyphony_rate) == (1.0, 0.0)
    assert (found.time.notes_per_bar, found.time.notes_per_quarter) == (4.0, 1.0)
    assert (found.pitch.pitch_range, found.pitch.pitches_used) == (12.0, 8.0)
    assert found.pitch.pitch_mean == pytest.approx(66.25)
    assert found.pitch.pitch_variance == pytest.approx(np.var([60, 62, 64, 65, 67, 69, 71, 72]))
    assert (found.time.inter_onset_mean, found.time.duration_mean) == (1.0, 1.0)
    assert found.time.empty_bar_rate == 0.0
    assert found.histograms.intervals[14] == pytest.approx(5 / 7)
    assert found.histograms.durations[8] == 1.0


def test_polyphony_counts_time_not_notes() -> None:
    long = Track("a", (Note(0, 60, 1920),))
    short = Track("b", (Note(0, 64, 480), Note(480, 65, 480)))
    found = features(Score((long, short)))
    assert found.time.polyphony == pytest.approx(1.5)
    assert found.time.polyphony_rate == pytest.approx(0.5)


def test_groove_and_empty_bars() -> None:
    first = [Note(k * 480, 60, 100) for k in range(4)]
    second = [Note(1920 + k * 960, 60, 100) for k in range(2)]
    score = Score((Track("x", (*first, *second)),), written_length_ticks=4 * 1920)
    found = features(score)
    assert found.time.empty_bar_rate == 0.5
    assert found.time.groove_consistency == pytest.approx(1 - (2 / 16 + 2 / 16 + 0) / 3)
    held = Score((Track("x", (Note(0, 60, 2 * 1920),)),))
    assert features(held).time.empty_bar_rate == 0.0


def test_key_and_tick_grid_do_not_matter() -> None:
    score = two_part(np.random.default_rng(0))
    found = features(score)
    for other in (transpose(score, 3), rescale(score, 96)):
        seen = features(other)
        for name in HISTOGRAMS:
            assert np.allclose(getattr(found.histograms, name), getattr(seen.histograms, name))
        assert seen.pitch.pitch_class_entropy == pytest.approx(found.pitch.pitch_class_entropy)


def test_tonic() -> None:
    weights = np.bincount([0, 2, 4, 5, 7, 9, 11, 0, 4, 7, 0], minlength=12).astype(float)
    assert estimate_tonic(weights) == 0
    assert estimate_tonic(np.roll(weights, 5)) == 5
    assert estimate_tonic(np.zeros(12)) == 0


@pytest.mark.parametrize("score", [Score(), Score((Track("x"),)), drums()])
def test_without_pitched_notes_values_are_nan(score: Score) -> None:
    found = features(score)
    assert math.isnan(found.pitch.pitch_class_entropy)
    assert math.isnan(found.pitch.pitch_range)
    assert np.isnan(found.histograms.pitch_classes).all()
    assert found.time.empty_bar_rate == (0.0 if score.end_ticks else 1.0)
    assert set(found.as_dict()) == {*SCALARS, *HISTOGRAMS}


def test_one_note() -> None:
    found = features(solo([60]))
    assert found.pitch.pitch_range == 0.0
    assert math.isnan(found.time.groove_consistency)
    assert math.isnan(found.time.inter_onset_mean)


def test_time_classes() -> None:
    assert time_class([24, 12, 6, 36, 8, 48, 1, 10**6]).tolist() == [8, 6, 4, 9, 5, 10, 0, 16]


def test_bars_of_changing_metre() -> None:
    metres = (TimeSignature(0, 3, 4), TimeSignature(1440, 4, 4))
    notes = (Note(0, 60, 480), Note(1440 + 960, 62, 480))
    table = note_table(Score((Track("x", notes),), time_signatures=metres))
    assert table.bar_steps.tolist() == [72, 96]
    assert table.bar.tolist() == [0, 1]
    assert table.in_bar.tolist() == [0, 48]


def test_skyline_keeps_the_tune_above_its_accompaniment() -> None:
    tune = [Note(0, 76, 960), Note(960, 74, 960)]
    below = [Note(k * 240, 60 + k % 3, 240) for k in range(8)]
    (voice,) = voices(Score((Track("Piano", (*tune, *below)),)))
    assert voice.pitch.tolist() == [76, 74]
    legato = [Note(0, 76, 500), Note(480, 74, 480)]
    (voice,) = voices(Score((Track("Piano", tuple(legato)),)))
    assert voice.pitch.tolist() == [76, 74]
    assert voices(drums()) == []

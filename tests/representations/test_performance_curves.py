"""Performance curves: what is read off a performance, and what it means for a score."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.errors import ConfigError
from partimento.music import Note, Score, Tempo, TimeSignature, Track
from partimento.representations.performance_curves import (
    LIMBS,
    PerformanceCurves,
    cells_of,
    shifts,
)

KICK, SNARE, HAT = 36, 38, 42


def drums(*notes: Note, **changes: object) -> Score:
    return Score((Track("Drums", notes, is_drum=True),), **changes)  # type: ignore[arg-type]


def test_a_performance_becomes_its_curves() -> None:
    score = drums(Note(0, KICK, 60, 127), Note(250, SNARE, 60, 64), Note(230, HAT, 60, 1))
    curves = PerformanceCurves().encode(score)
    assert curves.onset.shape == (3, 3)
    assert np.argwhere(curves.onset).tolist() == [[0, 0], [2, 1], [2, 2]]
    assert curves.velocity[0, 0] == 1.0
    np.testing.assert_allclose(curves.offset[2], [0.0, 10 / 120, -10 / 120], atol=1e-6)
    assert curves.velocity[~curves.onset].max() == 0


def test_the_loudest_of_a_cell_tells() -> None:
    score = drums(Note(118, SNARE, 9, 90), Note(124, 40, 9, 30), Note(121, 45, 9, 20))
    curves = PerformanceCurves().encode(score)
    assert curves.velocity[1, 1] == pytest.approx(90 / 127)
    assert curves.offset[1, 1] == pytest.approx(-2 / 120)
    pooled = PerformanceCurves(channels="pooled").encode(score)
    assert pooled.onset.shape == (2, 1)


def test_parts_with_pitch_go_with_a_limb() -> None:
    bass = Track("Bass", (Note(0, 36, 9), Note(480, 40, 9)), program=33)
    voice = Track("Voice", (Note(0, 60, 9),))
    cells = cells_of(Score((bass, voice, Track("none"))))
    assert [LIMBS[i] for i in cells.limb] == ["foot", "foot", "metal"]
    assert cells.track.tolist() == [0, 0, 1]
    assert len(cells_of(Score()).step) == 0


def test_an_empty_score_has_no_steps() -> None:
    assert PerformanceCurves().encode(Score()).onset.shape == (0, 3)


@given(
    onsets=st.lists(st.integers(0, 4000), min_size=1, max_size=40, unique=True),
    quarter=st.sampled_from([240, 480, 960]),
    seed=st.integers(0, 9),
)
@settings(max_examples=40, deadline=None)
def test_notes_of_a_channel_keep_their_order_under_any_curves(
    onsets: list[int], quarter: int, seed: int
) -> None:
    score = drums(*(Note(at, HAT, 1) for at in sorted(onsets)), ticks_per_quarter=quarter)
    cells = cells_of(score)
    assert np.abs(cells.rest).max() <= 0.5
    draw = np.random.default_rng(seed)
    offset = draw.uniform(-2, 2, size=int(cells.step.max()) + 1).astype(np.float32)
    at = cells.step + cells.rest + shifts(cells.rest, offset[cells.step])
    assert (np.diff(at) > -1e-5).all()
    assert np.abs(at - cells.step).max() <= 0.5 + 1e-5


def test_a_condition_says_where_a_step_is() -> None:
    score = Score(
        tempos=(Tempo(0, 60.0), Tempo(1920, 240.0)),
        time_signatures=(TimeSignature(0, 4, 4), TimeSignature(1920, 3, 4)),
    )
    curves = PerformanceCurves()
    steps = np.array([0, 8, 13, 16, 28])
    found = curves.condition(score, steps, np.zeros((5, 3), dtype=bool))
    assert found.shape == (5, curves.feature_count)
    assert found[:, 3:7].argmax(1).tolist() == [0, 0, 1, 0, 0]  # the sixteenth of the quarter
    np.testing.assert_allclose(found[:, 7], [0, 0, -np.sin(3 * np.pi / 8), 0, 0], atol=1e-6)
    np.testing.assert_allclose(found[:, 9], [1, -1, np.cos(13 * np.pi / 8), 1, 1], atol=1e-6)
    np.testing.assert_allclose(found[:, -1], [-1, -1, -1, 1, 1])


def test_a_score_without_maps_is_in_four_four_at_120() -> None:
    found = PerformanceCurves().condition(Score(), np.arange(17), np.ones((17, 3), dtype=bool))
    np.testing.assert_allclose(found[16], found[0], atol=1e-6)
    assert found[:, :3].all()
    assert not found[:, -1].any()


def test_the_spec_makes_it_again() -> None:
    for curves in (PerformanceCurves(), PerformanceCurves(150, "pooled")):
        assert PerformanceCurves.of_spec(curves.spec()) == curves


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "bar_events"},
        {"name": "performance_curves", "stepz": 3},
        {"name": "performance_curves", "steps": 2},
        {"name": "performance_curves", "channels": "fingers"},
    ],
)
def test_a_wrong_spec_is_refused(spec: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="representation"):
        PerformanceCurves.of_spec(spec)

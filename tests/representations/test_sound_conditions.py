"""The conditions of a moment of sound."""

from __future__ import annotations

import numpy as np

from partimento.representations.sound_conditions import (
    CONDITIONS,
    beat_conditions,
    density_condition,
    latent_middles,
    loudness_condition,
    stack_conditions,
    tempo_condition,
)


def test_common_values_lie_between_nought_and_one() -> None:
    assert density_condition(8.0) == 1
    assert np.array_equal(loudness_condition([-90.0, -60.0, -30.0, 0.0, 3.0]), [0, 0, 0.5, 1, 1])
    assert np.array_equal(tempo_condition([60.0, 120.0, 180.0]), [0, 0.5, 1])
    cosine, sine = beat_conditions([0.0, 0.25, 7.5])
    assert np.allclose(cosine, [1, 0, -1])
    assert np.allclose(sine, [0, 1, 0])


def test_a_latent_is_told_about_its_middle() -> None:
    assert np.allclose(latent_middles(3, 4096, 4096), [0.5, 1.5, 2.5])


def test_single_numbers_are_told_everywhere() -> None:
    told = stack_conditions(2.0, [-30.0, -60.0], 120.0, None)
    assert told.shape == (2, len(CONDITIONS))
    assert told.dtype == np.float32
    assert np.allclose(told, [[0.25, 0.5, 0.5, 0, 0], [0.25, 0, 0.5, 0, 0]])

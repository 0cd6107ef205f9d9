from __future__ import annotations

import numpy as np
import pytest

from partimento.errors import MusicError
from partimento.metrics.distributions import (
    Distance,
    compare_values,
    density,
    kld,
    overlap,
    pair_distances,
)


def test_density_is_the_sum_of_gaussians() -> None:
    at = np.linspace(-5, 8, 512)
    found = density(np.array([0.0, 2.0]), at, 0.5)
    exact = np.exp(-0.5 * (at / 0.5) ** 2) + np.exp(-0.5 * ((at - 2) / 0.5) ** 2)
    assert found.mass == pytest.approx(exact / exact.sum(), abs=1e-4)
    with pytest.raises(MusicError, match="at least one value"):
        density(np.zeros(0), at, 1.0)


def test_overlap_and_kld_of_known_densities() -> None:
    at = np.linspace(-10, 10, 512)
    first, second = density(np.zeros(1), at, 1.0), density(np.ones(1), at, 1.0)
    assert overlap(first, first) == pytest.approx(1.0)
    assert kld(first, first) == pytest.approx(0.0)
    # Two normal curves one deviation apart: 2 Phi(-1/2), and KL = 1/2.
    assert overlap(first, second) == pytest.approx(0.6171, abs=5e-3)
    assert kld(first, second) == pytest.approx(0.5, abs=1e-2)


def test_pair_distances() -> None:
    points = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
    assert pair_distances(points) == pytest.approx([5, 1, np.sqrt(18)])
    assert pair_distances(points, points[:1]) == pytest.approx([0, 5, 1])


def test_alike_sets_overlap_and_far_sets_do_not() -> None:
    rng = np.random.default_rng(0)
    real, same, far = rng.normal(0, 1, 200), rng.normal(0, 1, 200), rng.normal(6, 1, 200)
    near, apart = compare_values(same, real), compare_values(far, real)
    assert near.overlap is not None
    assert near.overlap > 0.95
    assert near.value_overlap is not None
    assert near.value_overlap > 0.85
    assert near.kld is not None
    assert near.kld < 0.02
    assert apart.overlap is not None
    assert apart.overlap < 0.1
    assert apart.value_overlap is not None
    assert apart.value_overlap < 0.05
    assert apart.kld is not None
    assert apart.kld > 1


def test_units_do_not_matter() -> None:
    rng = np.random.default_rng(1)
    made, real = rng.normal(1, 1, 50), rng.normal(0, 1, 50)
    first, second = compare_values(made, real), compare_values(1e6 * made, 1e6 * real)
    assert first.overlap == pytest.approx(second.overlap)
    assert first.kld == pytest.approx(second.kld)


def test_constant_and_identical_sets() -> None:
    ones = np.ones(10)
    equal = compare_values(ones, ones)
    assert equal.overlap == pytest.approx(1.0)
    assert equal.kld == pytest.approx(0.0)
    assert equal.value_overlap == pytest.approx(1.0)
    other = compare_values(ones + 1, ones)
    assert other.overlap is not None
    assert other.overlap < 0.05
    rng = np.random.default_rng(2)
    table = rng.random((20, 5))
    assert compare_values(table, table).value_overlap == pytest.approx(table.mean(0).sum())


def test_too_few_pieces_are_not_defined() -> None:
    nothing = Distance(None, None, None)
    assert compare_values([], [1.0, 2.0]) == nothing
    assert compare_values([1.0], [1.0]) == nothing
    assert compare_values([np.nan, np.nan], [1.0, 2.0]) == nothing
    assert compare_values([1.0], [1.0, 2.0]).overlap is not None
    assert compare_values([1.0], [1.0, 2.0]).value_overlap is None


def test_widths_must_agree() -> None:
    with pytest.raises(MusicError, match="width 2 do not compare with 3"):
        compare_values(np.zeros((4, 2)), np.zeros((4, 3)))
    with pytest.raises(MusicError, match="shape"):
        compare_values(np.zeros((4, 2, 2)), np.zeros((4, 2)))

"""Latent coordinates: any piece of the path is the path, circles close, slerp keeps its length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.representations.latent_coordinates import (
    Interpolation,
    LatentCoordinates,
    blend,
    blend_weights,
)

TOLD = np.array([0.3, 0.6, 0.5, 1.0, 0.0], dtype=np.float32)


def small(period: int | None = None, interpolation: Interpolation = "slerp") -> LatentCoordinates:
    return LatentCoordinates(7, 6, 5, 4, 24, 50, interpolation, period)


@settings(max_examples=30, deadline=None)
@given(
    start=st.integers(-300, 300),
    length=st.integers(1, 200),
    cut=st.integers(0, 200),
    period=st.one_of(st.none(), st.integers(1, 150)),
)
def test_a_piece_of_the_path_is_the_path(
    start: int, length: int, cut: int, period: int | None
) -> None:
    path, stop = small(period), start + length
    cut = min(start + cut, stop)
    whole = path.inputs(start, stop, TOLD, 0.8, 0.4)
    pieces = [path.inputs(a, b, TOLD, 0.8, 0.4) for a, b in ((start, cut), (cut, stop))]
    assert whole.shape == (length, 6 + 5 + 4 + 5)
    assert np.array_equal(np.concatenate(pieces), whole)


@pytest.mark.parametrize("period", [1, 5, 24, 25, 61, 120])
def test_a_circle_comes_round(period: int) -> None:
    path = small(period)
    turn = [path.inputs(k * period, (k + 1) * period, TOLD, movement=1.0) for k in (-1, 0, 3)]
    assert np.array_equal(turn[0], turn[1])
    assert np.array_equal(turn[0], turn[2])


@pytest.mark.parametrize("period", [None, 60, 61, 24])
def test_steps_along_the_path_are_small(period: int | None) -> None:
    path = small(period).coordinates(-100, 200)
    assert np.abs(np.diff(path, axis=0)).max() < 0.35


def test_far_places_cost_no_more() -> None:
    far = small().inputs(10**9, 10**9 + 3, TOLD)
    assert far.shape == (3, 20)
    assert np.isfinite(far).all()


def test_anchors_are_on_the_path() -> None:
    path = small()
    for place in (-1, 0, 2):
        anchor = path.anchor(1, place, 6)
        assert np.allclose(path.coordinates(24 * place, 24 * place + 1)[0], anchor, atol=1e-6)


def test_slerp_keeps_its_length_and_a_line_does_not() -> None:
    one, other = np.eye(2) * 3.0
    half = np.array([0.5])
    assert np.linalg.norm(blend(one, other, half, "slerp")) == pytest.approx(3.0)
    assert np.linalg.norm(blend(one, other, half, "linear")) == pytest.approx(3.0 * 0.5**0.5)


def test_equal_and_opposite_anchors_are_joined_by_a_line() -> None:
    steps = np.linspace(0, 1, 5)
    for cosine in (1.0, -1.0):
        near, far = blend_weights(cosine, steps, "slerp")
        assert np.array_equal(near, 1 - steps)
        assert np.array_equal(far, steps)


def test_variation_scales_path_and_style_alone() -> None:
    path = small()
    full, half = path.inputs(0, 9, TOLD), path.inputs(0, 9, TOLD, 0.5)
    assert np.allclose(half[:, :11], full[:, :11] / 2)
    assert np.array_equal(half[:, 11:], full[:, 11:])


def test_controls_may_change_on_the_way() -> None:
    path = small()
    moving = np.linspace(0, 1, 9, dtype=np.float32)
    styles = path.styles(0, 9, movement=moving)
    for place in (0, 4, 8):
        alone = path.styles(place, place + 1, movement=float(moving[place]))
        assert np.allclose(styles[place], alone[0], atol=1e-6)


def test_style_stands_still_unless_it_moves() -> None:
    path = small()
    assert np.ptp(path.styles(0, 80), axis=0).max() == 0
    assert np.ptp(path.styles(0, 80, movement=0.7), axis=0).max() > 0.5
    strong = np.concatenate([LatentCoordinates(s).styles(0, 9, movement=0.6) for s in range(20)])
    assert 0.85 < strong.std() < 1.15


def test_seeds_differ_and_agree() -> None:
    one, again = LatentCoordinates(3), LatentCoordinates(3)
    assert np.array_equal(one.inputs(-5, 5, TOLD), again.inputs(-5, 5, TOLD))
    assert not np.allclose(one.noises(0, 5), LatentCoordinates(4).noises(0, 5))


def test_noise_is_drawn_for_each_place() -> None:
    noise = LatentCoordinates(1, noise=16).noises(-200, 200)
    assert abs(noise.mean()) < 0.05
    assert abs(noise.std() - 1) < 0.05
    assert len(np.unique(noise[:, 0])) == 400


def test_a_loop_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one latent"):
        LatentCoordinates(1, period=0)


def test_homes_mix_into_each_other() -> None:
    one, two = LatentCoordinates(1), LatentCoordinates(2)
    mixed = LatentCoordinates(1, other=2)
    for name in ("coordinates", "styles"):
        still = {"movement": 0.0}
        ends = [getattr(each, name)(0, 3, **still) for each in (one, two)]
        for mix, expected in zip((0.0, 1.0), ends, strict=True):
            np.testing.assert_allclose(
                getattr(mixed, name)(0, 3, mix=mix, **still), expected, 1e-5, 1e-6
            )
        shares = np.linspace(0, 1, 5, dtype=np.float32)
        along = getattr(mixed, name)(0, 5, mix=shares, **still)
        for place, share in enumerate(shares):
            alone = getattr(mixed, name)(place, place + 1, mix=float(share), **still)
            np.testing.assert_array_equal(along[place : place + 1], alone)
    free = mixed.coordinates(0, 3, movement=1.0, mix=0.7)
    np.testing.assert_array_equal(free, one.coordinates(0, 3))  # on the way home has no say


def test_what_does_not_move_stands_still() -> None:
    path = LatentCoordinates(5)
    still = path.coordinates(0, 900, movement=0.0)
    assert np.ptp(still, axis=0).max() == 0
    lengths = [
        np.square(LatentCoordinates(s).coordinates(0, 9, movement=0.5)).mean() for s in range(30)
    ]
    assert 0.9 < np.mean(lengths) < 1.1  # moving or not, they are as far out as what was learnt

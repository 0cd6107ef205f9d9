"""Unmasking against worlds whose distribution is known exactly, and its promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.errors import CannotBeMet, ConfigError, ModelError
from partimento.representations.track_grid import EMPTY, MASK, Cells
from partimento.samplers.picks import Pick
from partimento.samplers.unmasking import (
    ORDERS,
    TIMES,
    Predict,
    guided,
    masked_shares,
    sharpened,
    unmask,
)

V1, V2 = 6, 4

# Two cells, each EMPTY or one of two notes (of one length): the probability of each two.
WORLD = np.array([[0.05, 0.30, 0.05], [0.25, 0.02, 0.03], [0.05, 0.05, 0.20]])
# Two cells that seldom go together but in three ways.
PAIRS = np.array([[0.005, 0.31, 0.005], [0.37, 0.005, 0.005], [0.005, 0.005, 0.29]])
MANY = 4000  # worlds, one a slot


def exact(world: npt.NDArray[np.float64]) -> Predict:
    """The exact conditionals of each cell of a world, given the other one where it is known."""

    def model(cells: Cells, t: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        what = cells[..., 0]
        first = np.empty((*what.shape, 3))
        for column, joint in ((0, world), (1, world.T)):
            other = what[:, 1 - column]
            given = joint[:, np.maximum(other, 0)].T
            first[:, column] = np.where((other == MASK)[:, None], joint.sum(axis=1), given)
        second = np.broadcast_to([3.0, 0.0], (*what.shape, 2))  # as if rests were the likeliest
        return np.log(first).astype(np.float32), second.astype(np.float32)

    return model


def frequencies(world: npt.NDArray[np.float64] = WORLD, **options: Any) -> npt.NDArray[np.float64]:
    """How often each two of a world's cells came out; every pair is checked to be whole."""
    cells = np.zeros((MANY, 2, 2), dtype=np.int64)
    targets = np.ones_like(cells, dtype=bool)
    out = unmask(exact(world), cells, targets, np.random.default_rng(3), **options)
    np.testing.assert_array_equal(out[..., 1], out[..., 0] != EMPTY)
    counts = np.bincount(3 * out[:, 0, 0] + out[:, 1, 0], minlength=9)
    return counts.reshape(3, 3) / MANY


def bounds(joint: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Four standard deviations of a frequency."""
    return 4 * np.sqrt(joint * (1 - joint) / MANY)


@pytest.mark.parametrize(
    "options",
    [
        {"order": "confidence", "steps": 100},
        {"order": "confidence", "steps": 100, "noise": 0.0},
        {"order": "confidence", "steps": 5, "spacing": "cosine"},
    ],
)
def test_cells_written_one_after_another_follow_the_joint(options: dict[str, Any]) -> None:
    assert (np.abs(frequencies(**options) - WORLD) < bounds(WORLD)).all()


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("steps", [3, 100])
def test_the_chain_gives_the_joint_but_for_cells_of_one_step(schedule: str, steps: int) -> None:
    shares = masked_shares(schedule)
    times = np.round(TIMES * (1 - np.arange(steps) / steps)).astype(int)
    left = np.append(shares[times], 0.0) / shares[-1]
    at_once = (np.diff(left) ** 2).sum()  # the chance that one step writes both
    alone = np.outer(WORLD.sum(axis=1), WORLD.sum(axis=0))
    wanted = (1 - at_once) * WORLD + at_once * alone
    found = frequencies(order="ancestral", steps=steps, schedule=schedule)
    assert (np.abs(found - wanted) < bounds(wanted)).all()


def test_one_step_gives_the_marginals_and_refinements_mend_what_does_not_go_together() -> None:
    alone = np.outer(PAIRS.sum(axis=1), PAIRS.sum(axis=0))
    once = frequencies(PAIRS, steps=1)
    assert (np.abs(once - alone) < bounds(alone)).all()
    seldom = PAIRS < 0.05
    refined = frequencies(PAIRS, steps=1, refinements=6)
    assert once[seldom].sum() > 0.6
    assert refined[seldom].sum() < 0.1
    # What went together before is let be: no way crowds out the others.
    assert np.abs(refined - PAIRS).max() < 0.06
    untouched = frequencies(PAIRS, steps=1, refinements=6, doubt=0.0)
    np.testing.assert_array_equal(untouched, once)


def flat(cells: Cells, t: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """A model that changes its mind with what it sees, and knows nothing."""
    assert cells.dtype == np.int64
    assert 1 <= t <= TIMES
    seed = int(np.abs(cells).sum()) + t
    rng = np.random.default_rng(seed)
    shape = cells.shape[:2]
    first, second = rng.normal(size=(*shape, V1)), rng.normal(size=(*shape, V2))
    return first.astype(np.float32), second.astype(np.float32)


def whole(rng: np.random.Generator, shape: tuple[int, int]) -> Cells:
    """Cells of whole pairs."""
    cells = rng.integers(1, (V1, V2), size=(*shape, 2))
    cells[rng.random(shape) < 0.4] = EMPTY
    return cells


@given(
    seed=st.integers(0, 2**32),
    steps=st.sampled_from([1, 2, 7, 10, 100]),
    order=st.sampled_from(ORDERS),
    spacing=st.sampled_from(["even", "cosine"]),
    schedule=st.sampled_from(["linear", "cosine"]),
    refinements=st.integers(0, 2),
    temperature=st.sampled_from([0.0, 0.8]),
)
@settings(max_examples=40, deadline=None)
def test_conditions_stay_pairs_are_whole_and_promises_hold(
    seed: int, refinements: int, temperature: float, **options: Any
) -> None:
    rng = np.random.default_rng(seed)
    cells = whole(rng, (3, 8))
    before = cells.copy()
    targets = rng.random(cells.shape) < 0.5
    allowed, lengths = rng.random((3, 8, V1)) < 0.5, rng.random((3, 8, V2)) < 0.6
    allowed[..., EMPTY] |= ~allowed[..., 1:].any(axis=-1)
    lengths[..., EMPTY] = True
    # A note that is given in part needs something to go with it.
    allowed[..., V1 - 1] |= ~targets[..., 1] & (cells[..., 1] != EMPTY)
    allowed[..., EMPTY] |= ~targets[..., 1] & (cells[..., 1] == EMPTY)
    allowed[..., EMPTY] |= targets.all(axis=-1)
    lengths[..., V2 - 1] |= ~targets[..., 0] & (cells[..., 0] != EMPTY)
    options |= {"allowed": allowed, "allowed_second": lengths, "refinements": refinements}
    options |= {"pick": Pick(temperature, top_p=0.9)}
    out = unmask(flat, cells, targets, np.random.default_rng(seed), **options)
    np.testing.assert_array_equal(cells, before)
    np.testing.assert_array_equal(out[~targets], cells[~targets])
    assert (out != MASK).all()
    np.testing.assert_array_equal(out[..., 0] == EMPTY, out[..., 1] == EMPTY)
    for part, mask in enumerate((allowed, lengths)):
        kept = np.take_along_axis(mask, out[..., part, None], axis=-1)[..., 0]
        assert kept[targets[..., part]].all()
    again = unmask(flat, cells, targets, np.random.default_rng(seed), **options)
    np.testing.assert_array_equal(out, again)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("steps", [1, 10, 100])
def test_conditions_are_seen_at_every_step_and_masks_only_where_asked(
    order: str, steps: int
) -> None:
    rng = np.random.default_rng(0)
    cells = whole(rng, (2, 16))
    targets = np.zeros(cells.shape, dtype=bool)
    targets[1, 4:12] = True
    asked: list[tuple[int, int]] = []

    def watched(seen: Cells, t: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        np.testing.assert_array_equal(seen[~targets], cells[~targets])
        asked.append((t, int((seen[..., 0] == MASK).sum())))
        return flat(seen, t)

    heard: list[tuple[int, int, int]] = []
    out = unmask(
        watched,
        cells,
        targets,
        rng,
        steps=steps,
        order=order,
        on_step=lambda done, total, seen: heard.append((done, total, int((seen < 0).sum()))),
    )
    assert (out != MASK).all()
    assert asked[0][1] == 8
    assert order == "ancestral" or asked[0][0] == 100
    assert sorted(asked, reverse=True) == asked
    assert len(asked) <= min(steps, 8)
    assert [done for done, _, _ in heard] == list(range(1, steps + 1))
    assert {total for _, total, _ in heard} == {steps}
    assert heard[-1][2] == 0


def test_confidence_writes_an_even_share_of_each_slot() -> None:
    cells = np.zeros((2, 20, 2), dtype=np.int64)
    targets = np.ones_like(cells, dtype=bool)
    targets[1, :10] = False
    left: list[list[int]] = []
    unmask(
        flat,
        cells,
        targets,
        np.random.default_rng(0),
        steps=5,
        on_step=lambda done, total, seen: left.append((seen[..., 0] == MASK).sum(1).tolist()),
    )
    assert left == [[15, 7], [11, 5], [7, 3], [3, 1], [0, 0]]


def test_without_noise_the_surest_cells_come_first() -> None:
    def model(cells: Cells, t: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        first = np.zeros((1, 8, V1), dtype=np.float32)
        first[0, :, 2] = np.arange(8)
        return first, np.zeros((1, 8, V2), dtype=np.float32)

    cells = np.zeros((1, 8, 2), dtype=np.int64)
    seen: list[Cells] = []
    unmask(
        model,
        cells,
        np.ones_like(cells, bool),
        np.random.default_rng(0),
        steps=2,
        noise=0.0,
        on_step=lambda done, total, now: seen.append(now),
    )
    assert (seen[0][0, :, 0] == MASK).tolist() == [True] * 3 + [False] * 5


def test_cells_that_can_only_be_empty_are_so_before_the_first_step() -> None:
    cells = np.zeros((1, 4, 2), dtype=np.int64)
    allowed = np.ones((1, 4, V1), dtype=bool)
    allowed[0, 2:, 1:] = False

    def model(seen: Cells, t: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        assert (seen[0, 2:] == EMPTY).all()
        return flat(seen, t)

    targets = np.ones_like(cells, bool)
    rng = np.random.default_rng(0)
    out = unmask(model, cells, targets, rng, allowed=allowed, refinements=2)
    assert (out[0, 2:] == EMPTY).all()
    nothing = unmask(_never, cells, np.zeros_like(targets), rng, refinements=2)
    np.testing.assert_array_equal(nothing, cells)


def _never(cells: Cells, t: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    raise AssertionError("nothing was to be asked")


def test_what_is_unknown_and_not_asked_for_stays_unknown() -> None:
    cells = np.zeros((2, 5, 2), dtype=np.int64)
    cells[1] = MASK
    targets = np.zeros_like(cells, dtype=bool)
    targets[0] = True
    out = unmask(flat, cells, targets, np.random.default_rng(0))
    assert (out[1] == MASK).all()
    assert (out[0] != MASK).all()


def test_values_that_the_model_calls_impossible_do_not_come() -> None:
    def model(cells: Cells, t: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        first, second = flat(cells, t)
        first[..., 4:] = second[..., 0] = second[..., 3:] = -np.inf
        return first, second

    cells = np.zeros((2, 200, 2), dtype=np.int64)
    targets = np.ones_like(cells, bool)
    out = unmask(model, cells, targets, np.random.default_rng(0), steps=3, refinements=1)
    assert out[..., 0].max() == 3
    assert out[..., 1].max() == 2
    assert (out[..., 0] == EMPTY).any()


def test_what_cannot_be_is_refused() -> None:
    cells = np.zeros((2, 3, 2), dtype=np.int64)
    targets = np.ones_like(cells, bool)
    allowed = np.ones((2, 3, V1), dtype=bool)
    allowed[1, 2] = False
    rng = np.random.default_rng(0)
    with pytest.raises(CannotBeMet, match="column 3 of slot 2"):
        unmask(flat, cells, targets, rng, allowed=allowed)
    with pytest.raises(CannotBeMet, match="column 1 of slot 1"):
        unmask(_with(0, -np.inf), cells, targets, rng)
    with pytest.raises(ModelError, match="NaN"):
        unmask(_with(1, np.nan), cells, targets, rng)
    with pytest.raises(ValueError, match="cells and targets"):
        unmask(flat, cells, targets[:1], rng)
    with pytest.raises(ValueError, match="allowed is"):
        unmask(flat, cells, targets, rng, allowed=allowed[:1])


def _with(part: int, value: float) -> Predict:
    def model(cells: Cells, t: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        both = flat(cells, t)
        both[part][:] = value
        return both

    return model


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"steps": 0}, "steps"),
        ({"steps": 101}, "steps"),
        ({"order": "best"}, "order"),
        ({"spacing": "odd"}, "spacing"),
        ({"schedule": "square"}, "schedule"),
        ({"noise": -1.0}, "noise"),
        ({"refinements": -1}, "refinements"),
        ({"doubt": 1.5}, "doubt"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], where: str) -> None:
    cells = np.zeros((1, 2, 2), dtype=np.int64)
    with pytest.raises(ConfigError, match=where):
        unmask(flat, cells, cells == 0, np.random.default_rng(0), **options)


def test_the_shares_go_from_none_to_all() -> None:
    for schedule in ("linear", "cosine"):
        for times in (1, 4, 100):
            shares = masked_shares(schedule, times)
            assert len(shares) == times + 1
            assert shares[0] == 0.0
            assert (np.diff(shares) > 0).all()
            assert shares[-1] == pytest.approx(1.0, abs=1e-5)
    with pytest.raises(ConfigError, match="times"):
        masked_shares("linear", 0)


def test_guidance_is_the_difference_of_logits_and_keeps_what_is_impossible() -> None:
    ours = np.array([[[0.0, 1.0, -np.inf, 2.0, -np.inf]]], dtype=np.float32)
    theirs = np.array([[[1.0, 0.5, -np.inf, -np.inf, 0.0]]], dtype=np.float32)
    cells = np.zeros((1, 1, 2), dtype=np.int64)
    model = guided(lambda c, t: (ours, ours), lambda c, t: (theirs, theirs), 2.0)
    for part in model(cells, 5):
        assert part.dtype == np.float32
        np.testing.assert_array_equal(part[0, 0], [-2.0, 2.0, -np.inf, -np.inf, -np.inf])
    with pytest.raises(ConfigError, match="weight"):
        guided(flat, flat, -1.0)
    alone = guided(flat, _never, 0.0)
    np.testing.assert_array_equal(alone(cells, 3)[0], flat(cells, 3)[0])


def test_a_temperature_on_pitches_leaves_the_rhythm() -> None:
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(3, 8, 6)).astype(np.float32)
    logits[0, 0, 4:] = -np.inf  # what a cell cannot have stays impossible
    logits[1, 1, 1:] = -np.inf

    def predict(cells: Cells, t: int) -> tuple[np.ndarray, np.ndarray]:
        return logits, logits

    def odds(x: np.ndarray) -> np.ndarray:
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

    cells = np.zeros((3, 8, 2), dtype=np.int64)
    assert sharpened(predict, 1.0) is predict
    first, second = sharpened(predict, 0.5)(cells, 1)
    before, after = odds(logits), odds(first)
    np.testing.assert_allclose(after[..., 0], before[..., 0], atol=1e-5)
    squares = before[0, 1, 1:] ** 2
    wanted = (1 - before[0, 1, 0]) * squares / squares.sum()
    np.testing.assert_allclose(after[0, 1, 1:], wanted, atol=1e-5)
    assert (after[0, 0, 4:] == 0).all()
    assert second is logits

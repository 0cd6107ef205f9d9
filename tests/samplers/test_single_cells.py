"""Single cells: conditions stay, targets are written, masks hold, and the draws are the model's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from partimento.errors import CannotBeMet
from partimento.representations.track_grid import MASK
from partimento.samplers.single_cells import unmask_cells

VALUES = 5


def predict(cells: np.ndarray, time: int) -> np.ndarray:
    """Return logits by which a cell is likely one more than the known cell before it."""
    assert 1 <= time <= 100
    logits = np.zeros((*cells.shape, VALUES), dtype=np.float32)
    before = np.roll(cells, 1, axis=1)
    for slot, column in zip(*np.nonzero(before != MASK), strict=True):
        logits[slot, column, (before[slot, column] + 1) % VALUES] = 20.0
    return logits


@pytest.mark.parametrize("order", ["confidence", "ancestral"])
def test_single_cells_are_written_and_the_others_stay(order: str) -> None:
    rng = np.random.default_rng(0)
    cells = rng.integers(0, VALUES, (2, 12))
    targets = rng.random(cells.shape) < 0.5
    made = unmask_cells(predict, cells, targets, rng, steps=8, order=order)
    np.testing.assert_array_equal(made[~targets], cells[~targets])
    assert ((made >= 0) & (made < VALUES)).all()


def test_an_unknown_condition_stays_unknown() -> None:
    cells = np.array([[1, MASK, MASK, 4]])
    targets = np.array([[False, False, True, False]])
    made = unmask_cells(predict, cells, targets, np.random.default_rng(0), steps=2)
    assert made[0].tolist()[:2] == [1, MASK]
    assert made[0, 2] != MASK


def test_zero_is_a_value_like_any_other() -> None:
    """Draws follow the model: here each value a fifth of the time, 0 among them."""
    cells = np.zeros((4, 500), dtype=np.int64)
    flat = np.zeros((4, 500, VALUES), dtype=np.float32)
    made = unmask_cells(
        lambda _cells, _time: flat, cells, np.ones(cells.shape, bool), np.random.default_rng(1)
    )
    shares = np.bincount(made.ravel(), minlength=VALUES) / made.size
    np.testing.assert_allclose(shares, 1 / VALUES, atol=0.04)


def test_masks_hold_and_a_cell_without_any_value_is_refused() -> None:
    cells = np.zeros((1, 6), dtype=np.int64)
    allowed = np.zeros((1, 6, VALUES), dtype=bool)
    allowed[..., 3] = True
    targets = np.ones(cells.shape, dtype=bool)
    made = unmask_cells(predict, cells, targets, np.random.default_rng(0), allowed=allowed)
    assert (made == 3).all()
    with pytest.raises(CannotBeMet):
        unmask_cells(predict, cells, targets, np.random.default_rng(0), allowed=allowed & False)


def test_steps_are_reported_as_single_cells() -> None:
    seen: list[Any] = []
    cells = np.zeros((1, 6), dtype=np.int64)
    made = unmask_cells(
        predict,
        cells,
        np.ones(cells.shape, bool),
        np.random.default_rng(0),
        steps=3,
        refinements=1,
        on_step=lambda *step: seen.append(step),
    )
    assert [step[:2] for step in seen] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    np.testing.assert_array_equal(seen[-1][2], made)

from __future__ import annotations

import numpy as np
import pytest

from partimento.errors import CannotBeMet
from partimento.samplers.gibbs import gibbs, masking_shares
from partimento.samplers.picks import Pick


def test_masking_shares_fall_as_published() -> None:
    shares = masking_shares(100)
    plain = [max(0.1, 0.9 - 0.8 * n / (0.7 * 100)) for n in range(100)]
    np.testing.assert_allclose(shares, plain)
    assert shares[0] == 0.9
    assert shares[-1] == 0.1


def fair(values: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    return np.zeros((*values.shape, 3), dtype=np.float32)


def test_conditions_stay_and_only_what_is_allowed_is_drawn() -> None:
    values = np.array([[2, 2, 2, 2]])
    targets = np.array([[False, True, True, False]])
    allowed = np.zeros((1, 4, 3), dtype=bool)
    allowed[0, 1, 0] = allowed[0, 2, 1] = True
    rng = np.random.default_rng(0)
    made = gibbs(fair, values, targets, allowed, masking_shares(5), Pick(), rng)
    assert made.tolist() == [[2, 0, 1, 2]]
    assert values.tolist() == [[2, 2, 2, 2]]


def test_a_cell_that_may_be_nothing_is_refused() -> None:
    targets = np.ones((1, 2), dtype=bool)
    allowed = np.zeros((1, 2, 3), dtype=bool)
    with pytest.raises(CannotBeMet):
        gibbs(
            fair, np.zeros((1, 2), dtype=np.int64), targets, allowed, masking_shares(2), Pick(),
            np.random.default_rng(0),
        )  # fmt: skip


def test_the_chain_reaches_the_joint_distribution() -> None:
    """Two cells that mostly agree: their conditionals, drawn in turn, give the joint."""
    joint = np.array([[0.5, 0.1], [0.1, 0.3]])

    def ask(values: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        odds = np.empty((1, 2, 2))
        for cell, table in enumerate((joint, joint.T)):  # rows: the values of the cell
            other = 1 - cell
            known = table.sum(axis=1) if hidden[0, other] else table[:, values[0, other]]
            odds[0, cell] = known / known.sum()
        logits: np.ndarray = np.log(odds).astype(np.float32)
        return logits

    rng = np.random.default_rng(1)
    targets, allowed = np.ones((1, 2), dtype=bool), np.ones((1, 2, 2), dtype=bool)
    shares, counts = np.full(12, 0.4), np.zeros((2, 2))
    for _ in range(1500):
        start = np.zeros((1, 2), dtype=np.int64)
        a, b = gibbs(ask, start, targets, allowed, shares, Pick(), rng)[0]
        counts[a, b] += 1
    # Hidden together the two are drawn independently, which pulls the joint a little to its
    # product of margins; alone they would agree .8 of the time, independently .52.
    agree = np.trace(counts) / counts.sum()
    assert 0.66 < agree < 0.83
    np.testing.assert_allclose(counts.sum(axis=1) / counts.sum(), joint.sum(axis=1), atol=0.05)

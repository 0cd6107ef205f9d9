"""Blocked Gibbs sampling: hide a random part of the cells, draw all of it at once, again and again.

Huang et al. (2017), "Counterpoint by Convolution", section 4.2: each step hides every cell with
probability a_n, which falls linearly from ``most`` to ``least`` over the share ``eta`` of the steps
(Yao et al. 2014, annealed masking), and draws the hidden cells independently given the others.

================================================  ====================
a_n = max(a_min, a_max - n (a_max - a_min) / (eta N))  ``masking_shares``
one step of the blocked sampler                        ``gibbs``
================================================  ====================
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from partimento.errors import CannotBeMet
from partimento.samplers.picks import Pick

__all__ = ["gibbs", "masking_shares"]

_Bools = npt.NDArray[np.bool_]
_Floats = npt.NDArray[np.float32]
_Ints = npt.NDArray[np.int64]

# (values (V, N), hidden (V, N)) -> logits (V, N, P); values of hidden cells are not looked at
Ask = Callable[[_Ints, _Bools], _Floats]


def masking_shares(
    steps: int, least: float = 0.1, most: float = 0.9, eta: float = 0.7
) -> npt.NDArray[np.float64]:
    """Return (steps,): the probability with which each step hides a cell; defaults as published."""
    step = np.arange(steps)
    shares: npt.NDArray[np.float64] = np.maximum(
        least, most - step * (most - least) / (eta * steps)
    )
    return shares


def gibbs(
    ask: Ask,
    values: _Ints,
    targets: _Bools,
    allowed: _Bools,
    shares: npt.NDArray[np.float64],
    pick: Pick,
    rng: np.random.Generator,
) -> _Ints:
    """Return the values (V, N) after all steps; cells outside ``targets`` never change.

    The first step draws all targets from the model that sees none of them.

    Args:
        ask: the model.
        values: (V, N), those outside ``targets`` are conditions.
        targets: (V, N), the cells to be drawn.
        allowed: (V, N, P), what each cell may be.
        shares: (steps,), see ``masking_shares``.
        pick: temperature and cuts of the draw.
        rng: the generator of every draw.

    Raises:
        CannotBeMet: if a target may be nothing at all.
    """
    if not allowed[targets].any(axis=1).all():
        raise CannotBeMet("nothing may sound in a cell that has to be written")
    values = values.copy()
    for step, share in enumerate(shares.tolist()):
        hidden = targets if step == 0 else targets & (rng.random(targets.shape) < share)
        if hidden.any():
            logits = np.where(allowed, ask(values, hidden), -np.inf)[hidden]
            count = len(logits)
            values[hidden] = pick.batch(logits, [None] * count, [rng] * count)
    return values

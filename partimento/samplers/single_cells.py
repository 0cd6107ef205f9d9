"""Masked sampling of cells that hold one value each: codes of a codec, pitches of a roll.

``partimento.samplers.unmasking`` writes pairs (what starts, how long it lasts). A single value is a
pair whose second half is given, and whose first is never EMPTY, so that all of its orders,
schedules, masks and refinements serve here too. MaskGIT (arXiv 2202.04200) and VampNet (arXiv
2307.04686) sample in this way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from partimento.representations.track_grid import EMPTY, MASK
from partimento.samplers.unmasking import unmask

__all__ = ["PredictCells", "unmask_cells"]

_Bools = npt.NDArray[np.bool_]
_Floats = npt.NDArray[np.float32]
_Ints = npt.NDArray[np.int64]
_GIVEN = EMPTY + 1

# (cells (S, T), time 1..100) -> logits (S, T, V)
PredictCells = Callable[[_Ints, int], _Floats]


def unmask_cells(
    predict: PredictCells,
    cells: _Ints,
    targets: _Bools,
    rng: np.random.Generator,
    *,
    allowed: _Bools | None = None,
    **options: Any,
) -> _Ints:
    """Return cells (S, T) with every cell that ``targets`` (S, T) holds true written.

    The others are conditions and never change; a MASK among them is unknown and stays.

    Args:
        predict: the model: logits (S, T, V) of values 0..V-1; -inf is a value a cell cannot have.
        cells: (S, T), 0..V-1 or MASK.
        targets: (S, T), any of the cells.
        rng: the generator of every draw.
        allowed: (S, T, V), which values each cell may take.
        options: ``steps``, ``order``, ``spacing``, ``schedule``, ``pick``, ``noise``,
            ``refinements``, ``doubt`` and ``on_step``, as in ``unmask``; ``on_step`` is given the
            cells (S, T).

    Raises:
        ConfigError, CannotBeMet, ModelError, ValueError: as in ``unmask``.
    """
    on_step = options.pop("on_step", None)

    def pairs(values: _Ints) -> _Ints:
        first = np.where(values == MASK, MASK, values + 1)
        return np.stack([first, np.full_like(first, _GIVEN)], axis=-1)

    def singles(made: _Ints) -> _Ints:
        out: _Ints = np.where(made[..., 0] == MASK, MASK, made[..., 0] - 1)
        return out

    def ask(made: _Ints, time: int) -> tuple[_Floats, _Floats]:
        logits = predict(singles(made), time).astype(np.float32)
        never = np.full((*made.shape[:2], 1), -np.inf, dtype=np.float32)
        # The second half is given; its logits are never drawn from.
        given = np.zeros((*made.shape[:2], _GIVEN + 1), dtype=np.float32)
        return np.concatenate([never, logits], axis=-1), given

    if allowed is not None:
        allowed = np.concatenate([np.zeros((*cells.shape, 1), dtype=bool), allowed], axis=-1)
    report = (
        None if on_step is None else lambda done, whole, made: on_step(done, whole, singles(made))
    )
    asked = np.stack([targets, np.zeros_like(targets)], axis=-1)
    return singles(
        unmask(ask, pairs(cells), asked, rng, allowed=allowed, on_step=report, **options)
    )

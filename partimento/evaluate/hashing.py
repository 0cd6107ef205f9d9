"""A hash of integer columns that is the same on every machine and in every process."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["hash_columns"]

# The multipliers and shifts of splitmix64 (Steele, Lea, Flood 2014).
_SEED = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def hash_columns(columns: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Return one 64-bit hash a row of ``columns`` (n, width); width may be 0."""
    rows = np.ascontiguousarray(columns, dtype=np.int64).astype(np.uint64)
    state = np.full(len(rows), _SEED, dtype=np.uint64)
    for column in rows.T:
        state = (state ^ column) + _SEED
        state = (state ^ (state >> np.uint64(30))) * _FIRST
        state = (state ^ (state >> np.uint64(27))) * _SECOND
        state = state ^ (state >> np.uint64(31))
    return state

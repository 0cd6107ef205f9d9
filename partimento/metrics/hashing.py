"""A hash of integer columns that is the same on every machine and in every process."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

__all__ = ["hash_columns", "hash_prefixes", "hash_row_prefixes"]

# The increment and the multipliers of splitmix64 (Steele, Lea, Flood 2014).
_SEED = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB
_MASK = (1 << 64) - 1


def hash_prefixes(columns: npt.NDArray[np.int64]) -> list[npt.NDArray[np.uint64]]:
    """Return the hashes (n,) of the first 0, 1, ..., width columns of ``columns`` (n, width)."""
    rows = np.ascontiguousarray(columns.T, dtype=np.int64).astype(np.uint64)
    state = np.full(columns.shape[0], _SEED, dtype=np.uint64)
    states = [state]
    for column in rows:
        state = (state ^ column) + np.uint64(_SEED)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(_FIRST)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(_SECOND)
        state = state ^ (state >> np.uint64(31))
        states.append(state)
    return states


def hash_columns(columns: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Return one 64-bit hash a row of ``columns`` (n, width); width may be 0."""
    return hash_prefixes(columns)[-1]


def hash_row_prefixes(row: Iterable[int]) -> list[int]:
    """Return what ``hash_prefixes`` returns of one row, in plain integers: faster for one."""
    state = _SEED
    states = [state]
    for value in row:
        state = ((state ^ (value & _MASK)) + _SEED) & _MASK
        state = ((state ^ (state >> 30)) * _FIRST) & _MASK
        state = ((state ^ (state >> 27)) * _SECOND) & _MASK
        state = state ^ (state >> 31)
        states.append(state)
    return states

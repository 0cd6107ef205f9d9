"""Structure over time: how like each bar is to the bar so many bars before.

Museformer (Yu et al., NeurIPS 2022, arXiv 2210.10349, section 4.4): the similarity of two bars is
|A & B| / |A | B| of their sets of notes, a note being its pitch, its onset in the bar and its
duration; the similarity error SE is the mean absolute gap between the curves of generated and of
real music over the lags 1..40.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from partimento.errors import MusicError
from partimento.metrics.hashing import hash_columns
from partimento.metrics.notes import note_table
from partimento.music import Score

__all__ = ["MAX_LAG", "SimilarityCurve", "similarity_curve", "similarity_error"]

MAX_LAG = 40


@dataclass(frozen=True, eq=False)
class SimilarityCurve:
    """Mean similarity (0..1) by lag in bars; both arrays have shape (lags,), lag 1 first.

    ``pairs`` counts the pairs of bars behind each value; without any the value is NaN.
    """

    similarity: npt.NDArray[np.float64]
    pairs: npt.NDArray[np.int64]


def _sums(score: Score, max_lag: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return (sum of similarities, pairs of bars) by lag; pairs of two empty bars count not."""
    table = note_table(score)
    total = np.zeros(max_lag)
    pairs = np.zeros(max_lag, dtype=np.int64)
    kinds = [table.pitch, table.in_bar, table.duration, table.is_drum.astype(np.int64)]
    _, kind = np.unique(hash_columns(np.stack(kinds, axis=1)), return_inverse=True)
    width = int(kind.max()) + 1 if len(kind) else 1
    cells = np.unique(table.bar * width + kind)
    sizes = np.bincount(cells // width, minlength=table.bars)
    for lag in range(1, min(max_lag, table.bars - 1) + 1):
        shared = cells[np.isin(cells + lag * width, cells, assume_unique=True)] // width
        both = np.bincount(shared, minlength=table.bars)[: table.bars - lag]
        either = sizes[:-lag] + sizes[lag:] - both
        total[lag - 1] = (both[either > 0] / either[either > 0]).sum()
        pairs[lag - 1] = int((either > 0).sum())
    return total, pairs


def similarity_curve(scores: Iterable[Score], max_lag: int = MAX_LAG) -> SimilarityCurve:
    """Return the mean similarity by lag over all pairs of bars of all scores.

    Raises:
        MusicError: if ``max_lag`` is below 1.
    """
    if max_lag < 1:
        raise MusicError(f"the largest lag is 1 bar or more, not {max_lag}")
    total = np.zeros(max_lag)
    pairs = np.zeros(max_lag, dtype=np.int64)
    for score in scores:
        one_total, one_pairs = _sums(score, max_lag)
        total += one_total
        pairs += one_pairs
    return SimilarityCurve(np.where(pairs > 0, total / np.maximum(pairs, 1), np.nan), pairs)


def similarity_error(generated: SimilarityCurve, reference: SimilarityCurve) -> float | None:
    """Return SE (0..1, 0 is best) over the lags that both curves have; None where there are none.

    Raises:
        MusicError: if the curves have different numbers of lags.
    """
    if len(generated.similarity) != len(reference.similarity):
        raise MusicError("curves compare only when they have the same number of lags")
    both = (generated.pairs > 0) & (reference.pairs > 0)
    if not both.any():
        return None
    return float(np.abs(generated.similarity[both] - reference.similarity[both]).mean())

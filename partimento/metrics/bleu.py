"""BLEU of token sequences against many references at once, self-BLEU, and other n-gram figures.

Papineni et al. 2002: modified precision (a candidate's n-gram counts at most as often as it stands
in the one reference that holds it most often), orders 1 to 4 weighted alike, geometric mean, for
each sequence by itself. An order without any match counts ``0.1 / candidates``, as method 1 of
Chen and Cherry 2014. All sequences have one length, so brevity is never penalised.

A thousand candidates against a thousand references of 32 tokens take a fraction of a second: what
a reference allows does not depend on the candidate, so it is counted once.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["bleu", "distinct", "novelty", "self_bleu"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_SMALL = 0.1


def _numbered(sequences: Ints, order: int) -> tuple[Ints, int]:
    """Return (S, L-n+1): a number for each n-gram, equal ones alike; and how many there are."""
    rows, length = sequences.shape
    if length < order:
        raise ValueError(f"sequences of {length} tokens have no {order}-grams")
    _, keys = np.unique(sequences, return_inverse=True)
    keys = keys.reshape(rows, length).astype(np.int64)
    base = int(keys.max(initial=0)) + 1
    out = keys[:, : length - order + 1]
    for at in range(1, order):
        # Numbered again at each order, so that no product grows beyond 64 bits.
        joined = out * base + keys[:, at : length - order + 1 + at]
        _, fresh = np.unique(joined, return_inverse=True)
        out = fresh.reshape(joined.shape).astype(np.int64)
    return out, int(out.max(initial=-1)) + 1


def _counted(grams: Ints, kinds: int) -> tuple[Ints, Ints, Ints]:
    """Return (row, n-gram, count) of each n-gram in each row."""
    rows = np.arange(len(grams))[:, None]
    found, counts = np.unique(rows * kinds + grams, return_counts=True)
    return found // kinds, found % kinds, counts.astype(np.int64)


def _scores(precisions: list[Floats]) -> Floats:
    scores: Floats = np.exp(np.mean([np.log(each) for each in precisions], axis=0))
    return scores


def _precision(row: Ints, allowed: Ints, counts: Ints, rows: int, places: int) -> Floats:
    matched = np.bincount(row, weights=np.minimum(counts, allowed), minlength=rows)
    out: Floats = np.where(matched > 0, matched, _SMALL) / places
    return out


def bleu(candidates: Ints, references: Ints, order: int = 4) -> Floats:
    """Return (C,): BLEU of each candidate (C, L) against all references (R, L) together.

    Raises:
        ValueError: if lengths differ or are shorter than ``order``, or there is no reference.
    """
    if candidates.shape[1] != references.shape[1] or not len(references):
        raise ValueError("candidates and references have one length, and there are references")
    rows, precisions = len(candidates), []
    for n in range(1, order + 1):
        grams, kinds = _numbered(np.concatenate([candidates, references]), n)
        _, kind, counts = _counted(grams[rows:], kinds)
        most = np.zeros(kinds, dtype=np.int64)
        np.maximum.at(most, kind, counts)
        row, kind, counts = _counted(grams[:rows], kinds)
        precisions.append(_precision(row, most[kind], counts, rows, grams.shape[1]))
    return _scores(precisions)


def self_bleu(sequences: Ints, order: int = 4) -> Floats:
    """Return (S,): BLEU of each sequence (S, L) against all the others; high is monotonous.

    Raises:
        ValueError: if there are fewer than two sequences, or they are shorter than ``order``.
    """
    rows, precisions = len(sequences), []
    if rows < 2:
        raise ValueError("self-BLEU needs two sequences at least")
    for n in range(1, order + 1):
        grams, kinds = _numbered(sequences, n)
        row, kind, counts = _counted(grams, kinds)
        # What the others allow: the largest count, or the second where the largest is one's own.
        by_count = np.lexsort((counts, kind))
        last = np.searchsorted(kind[by_count], np.arange(kinds), side="right") - 1
        most, owner = counts[by_count][last], row[by_count][last]
        has_two = np.diff(last, prepend=-1) > 1
        second = np.where(has_two, counts[by_count][last - 1], 0)
        allowed = np.where(owner[kind] == row, second[kind], most[kind])
        precisions.append(_precision(row, allowed, counts, rows, grams.shape[1]))
    return _scores(precisions)


def distinct(sequences: Ints, order: int = 4) -> float:
    """Return the share of n-grams of sequences (S, L) that are different ones, 0..1."""
    grams, kinds = _numbered(sequences, order)
    return kinds / grams.size


def novelty(sequences: Ints, known: Ints, order: int = 4) -> float:
    """Return the share of n-grams of sequences (S, L) that stand nowhere in ``known`` (K, M)."""
    if sequences.shape[1] != known.shape[1]:
        raise ValueError("both have one length")
    grams, _ = _numbered(np.concatenate([sequences, known]), order)
    return float(1 - np.isin(grams[: len(sequences)], grams[len(sequences) :]).mean())

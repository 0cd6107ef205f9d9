"""Codebooks for playing: vectors to codes and back, in numpy, with no weights but the codebooks.

The same as ``training.nn.quantisers`` in torch, held equal by tests:

- ``nearest``, ``vectors_of``: one codebook (van den Oord et al. 2017, VQ-VAE, Eq. 1 and 2);
- ``residual_codes``, ``residual_vectors``: codebook after codebook, each of what the ones before it
  left (Zeghidour et al. 2021, SoundStream, Algorithm 1);
- ``scalar_codes``, ``scalar_vectors``: each number rounded by itself (Mentzer et al. 2023, FSQ,
  Section 3.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "CodebookUse",
    "codebook_use",
    "nearest",
    "residual_codes",
    "residual_vectors",
    "scalar_codes",
    "scalar_vectors",
    "vectors_of",
]

F32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
_PIECE = 4096  # vectors compared with all entries at a time
_SPARE = 1e-3  # by which tanh reaches beyond the outermost levels


def nearest(vectors: F32, codebook: F32) -> Ints:
    """Return the codes (...) of vectors (..., D): the nearest of the entries (K, D), Eq. 1.

    The first of equals.
    """
    flat = np.asarray(vectors, dtype=np.float32).reshape(-1, codebook.shape[1])
    squares = np.einsum("kd,kd->k", codebook, codebook)
    out = np.empty(len(flat), dtype=np.int64)
    for at in range(0, len(flat), _PIECE):
        part = flat[at : at + _PIECE]
        out[at : at + _PIECE] = (squares - 2 * (part @ codebook.T)).argmin(axis=1)
    return out.reshape(vectors.shape[:-1])


def vectors_of(codes: Ints, codebook: F32) -> F32:
    """Return the entries (..., D) of codes (...), Eq. 2.

    Raises:
        IndexError: for a code that the codebook does not have.
    """
    if codes.size and not 0 <= codes.min() <= codes.max() < len(codebook):
        raise IndexError(f"codes are 0..{len(codebook) - 1}")
    out: F32 = codebook[codes]
    return out


def residual_codes(vectors: F32, codebooks: Sequence[F32]) -> Ints:
    """Return the codes (..., Q) of vectors (..., D), one for each codebook (K, D)."""
    left = np.asarray(vectors, dtype=np.float32).copy()
    codes = []
    for codebook in codebooks:
        codes.append(nearest(left, codebook))
        left -= codebook[codes[-1]]
    return np.stack(codes, axis=-1)


def residual_vectors(codes: Ints, codebooks: Sequence[F32]) -> F32:
    """Return the vectors (..., D) of codes (..., q); fewer codes than codebooks are coarser."""
    total = vectors_of(codes[..., 0], codebooks[0])
    for level in range(1, codes.shape[-1]):
        total = total + vectors_of(codes[..., level], codebooks[level])
    return total


def scalar_codes(vectors: F32, levels: Sequence[int]) -> Ints:
    """Return the codes (...) of vectors (..., D) with ``levels`` (D) of each number.

    A code counts the levels as digits, those of the first number fastest.
    """
    sizes = np.asarray(levels, dtype=np.int64)
    half = (sizes - 1) * (1 + _SPARE) / 2
    offset = np.where(sizes % 2 == 0, 0.5, 0.0)
    bounded = np.tanh(vectors + np.arctanh(offset / half)) * half - offset
    digits = np.rint(bounded).astype(np.int64) + sizes // 2
    out: Ints = (digits * _bases(sizes)).sum(axis=-1)
    return out


def scalar_vectors(codes: Ints, levels: Sequence[int]) -> F32:
    """Return the vectors (..., D) of codes (...), each number in -1..1."""
    sizes = np.asarray(levels, dtype=np.int64)
    digits = (codes[..., None] // _bases(sizes)) % sizes
    out: F32 = ((digits - sizes // 2) / (sizes // 2)).astype(np.float32)
    return out


def _bases(sizes: Ints) -> Ints:
    return np.concatenate([[1], np.cumprod(sizes[:-1])]).astype(np.int64)


@dataclass(frozen=True)
class CodebookUse:
    """How a codebook is used: perplexity 1..K, entries never used, entropy of a code in bits."""

    perplexity: float
    dead: int
    bits: float


def codebook_use(codes: Ints, size: int) -> CodebookUse:
    """Return how often ``codes`` use a codebook of ``size`` entries; no codes use none of it."""
    counts = np.bincount(codes.reshape(-1), minlength=size).astype(np.float64)
    share = counts[counts > 0] / max(1.0, counts.sum())
    bits = float(-(share * np.log2(share)).sum())
    return CodebookUse(2.0**bits if len(share) else 0.0, int((counts == 0).sum()), bits)

"""Finite scalar quantisation: each number of a vector is bounded and rounded by itself.

Mentzer et al. 2023 (arXiv 2309.15505), Section 3.1 and Appendix A.1: there is no codebook to learn,
no loss of its own and nothing that can die; the code counts the levels as digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from partimento.training.nn.quantisers.quantised import Quantised, straight_through

__all__ = ["ScalarQuantiser"]

_SPARE = 1e-3  # by which tanh reaches beyond the outermost levels


class ScalarQuantiser(nn.Module):
    """``levels`` (D), each 2 or more, of the numbers of vectors (B, T, D); outputs are -1..1."""

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        if any(level < 2 for level in levels):
            raise ValueError(f"a number has two levels or more, not {min(levels)}")
        self.levels = tuple(levels)
        self.size, self.width = prod(levels), len(levels)
        sizes = np.asarray(levels)
        half = (sizes - 1) * (1 + _SPARE) / 2
        offset = np.where(sizes % 2 == 0, 0.5, 0.0)
        owned = {
            "reach": half,
            "offset": offset,
            "shift": np.arctanh(offset / half),
            "steps": sizes // 2,
            "sizes": sizes,
            "bases": np.concatenate([[1], np.cumprod(sizes[:-1])]),
        }
        self.reach: Tensor
        self.offset: Tensor
        self.shift: Tensor
        self.steps: Tensor
        self.sizes: Tensor
        self.bases: Tensor
        for name, value in owned.items():
            kind = torch.float32 if name in ("reach", "offset", "shift") else torch.int64
            self.register_buffer(name, torch.tensor(value, dtype=kind), persistent=False)

    def _rounded(self, x: Tensor) -> Tensor:
        """Return whole numbers from -levels // 2 on, with the gradient of the bounded ones."""
        bounded = torch.tanh(x + self.shift) * self.reach - self.offset
        return straight_through(bounded, bounded.round())

    def codes_of(self, x: Tensor) -> Tensor:
        """Return the codes (...) of vectors (..., D)."""
        digits = self._rounded(x.detach().float()).long() + self.steps
        return (digits * self.bases).sum(-1)

    def vectors_of(self, codes: Tensor) -> Tensor:
        """Return the vectors (..., D) of codes (...)."""
        digits = (codes[..., None] // self.bases) % self.sizes
        return (digits - self.steps) / self.steps

    def forward(self, x: Tensor) -> Quantised:
        """Return vectors rounded to their levels; the loss is nothing."""
        whole = self._rounded(x.float())
        codes = ((whole.detach().long() + self.steps) * self.bases).sum(-1)
        return Quantised(whole / self.steps, codes, x.new_zeros(()))

"""Residual vector quantisation: each codebook rounds what those before it left.

Zeghidour et al. 2021 (SoundStream), Algorithm 1. In training the number of codebooks of a batch may
be drawn (their Section III-C, quantiser dropout), so that fewer codes give coarser sound.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from partimento.training.nn.quantisers.quantised import Quantised, straight_through
from partimento.training.nn.quantisers.vector import VectorQuantiser

__all__ = ["ResidualQuantiser"]


class ResidualQuantiser(nn.Module):
    """``depth`` codebooks of ``size`` entries, one after another; codes are (B, T, depth).

    ``dropout`` is the share of batches in which only the first few codebooks, a number drawn, are
    used; codes of the others are -1 there.
    """

    def __init__(
        self,
        depth: int,
        size: int,
        width: int,
        *,
        commitment: float = 0.25,
        decay: float = 0.99,
        restart_below: float = 1.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.depth, self.size, self.width, self.dropout = depth, size, width, dropout
        self.levels = nn.ModuleList(
            VectorQuantiser(
                size, width, commitment=commitment, decay=decay, restart_below=restart_below
            )
            for _ in range(depth)
        )

    @property
    def quantisers(self) -> Iterator[VectorQuantiser]:
        """The quantisers of the levels, first to last."""
        return (level for level in self.levels if isinstance(level, VectorQuantiser))

    @property
    def codebooks(self) -> Tensor:
        """All codebooks (depth, size, width)."""
        return torch.stack([level.codebook for level in self.quantisers])

    def codes_of(self, x: Tensor) -> Tensor:
        """Return the codes (..., depth) of vectors (..., width)."""
        left, codes = x.detach().float(), []
        for level in self.quantisers:
            codes.append(level.codes_of(left))
            left = left - level.vectors_of(codes[-1])
        return torch.stack(codes, dim=-1)

    def vectors_of(self, codes: Tensor) -> Tensor:
        """Return the vectors (..., width) of codes (..., q), q at most ``depth``."""
        used = list(self.quantisers)[: codes.shape[-1]]
        parts = [level.vectors_of(codes[..., at]) for at, level in enumerate(used)]
        return torch.stack(parts).sum(0)

    def forward(self, x: Tensor) -> Quantised:
        """Return vectors (B, T, width) rounded; the loss is the mean over the codebooks used."""
        x = x.float()
        used = self._used()
        left, losses = x, []
        codes: list[Tensor] = []
        for at, level in enumerate(self.quantisers):
            if at >= used:
                codes.append(torch.full_like(codes[0], -1))
                continue
            said: Quantised = level(left)
            codes.append(said.codes)
            losses.append(said.loss)
            left = left - level.vectors_of(said.codes)
        rounded = (x - left).detach()
        loss = torch.stack(losses).mean()
        return Quantised(straight_through(x, rounded), torch.stack(codes, dim=-1), loss)

    def _used(self) -> int:
        if self.training and self.dropout and float(torch.rand(())) < self.dropout:
            return int(torch.randint(1, self.depth + 1, ()))
        return self.depth

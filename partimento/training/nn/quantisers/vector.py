"""Vector quantisation whose codebook follows the encoder by moving averages.

::

    Eq. 1   code = argmin_k |x - e_k|                                      -> codes_of
    Eq. 2   N_k <- g N_k + (1 - g) n_k,  m_k <- g m_k + (1 - g) sum x,
            e_k = m_k / N_k                                                -> _follow
    Eq. 3   loss = b |x - sg(e)|^2                                         -> forward

(van den Oord et al. 2017, Eq. 1 and Appendix A.1). As Jukebox does (Dhariwal et al. 2020, Section
3.1 and Appendix B.1), the codebook begins as outputs of the encoder, and an entry whose average use
falls below a threshold is put at an output of the batch in hand: random restart.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from partimento.training import distributed
from partimento.training.nn.quantisers.quantised import Quantised, straight_through

__all__ = ["VectorQuantiser"]

_SMALL = 1e-5
_APART = 0.01  # deviation between entries that begin at the same output


class VectorQuantiser(nn.Module):
    """A codebook of ``size`` entries of ``width`` numbers; learns in training mode alone.

    ``restart_below`` is the average use, in vectors a batch, under which an entry is restarted; 0
    never does. Draws come from torch's generator, which the training loop seeds each step.
    """

    def __init__(
        self,
        size: int,
        width: int,
        *,
        commitment: float = 0.02,
        decay: float = 0.99,
        restart_below: float = 1.0,
    ) -> None:
        super().__init__()
        self.size, self.width = size, width
        self.commitment, self.decay, self.restart_below = commitment, decay, restart_below
        self.codebook: Tensor
        self.counts: Tensor
        self.sums: Tensor
        self.begun: Tensor
        self.register_buffer("codebook", torch.randn(size, width))
        self.register_buffer("counts", torch.ones(size))
        self.register_buffer("sums", torch.zeros(size, width))
        self.register_buffer("begun", torch.zeros((), dtype=torch.bool))

    def codes_of(self, x: Tensor) -> Tensor:
        """Return the codes (...) of vectors (..., width)."""
        with torch.autocast(x.device.type, enabled=False):  # Eq. 1
            flat = x.detach().float().reshape(-1, self.width)
            codes = torch.addmm(
                self.codebook.square().sum(1)[None], flat, self.codebook.T, alpha=-2
            ).argmin(1)
        return codes.view(x.shape[:-1])

    def vectors_of(self, codes: Tensor) -> Tensor:
        """Return the entries (..., width) of codes (...)."""
        return self.codebook[codes]

    def forward(self, x: Tensor) -> Quantised:
        """Return vectors (B, T, width) rounded to the codebook, which learns from them."""
        x = x.float()
        if self.training and not self.begun:
            self._begin(x.detach())
        codes = self.codes_of(x)
        rounded = self.vectors_of(codes)
        loss = self.commitment * (x - rounded).square().mean()  # Eq. 3
        if self.training:
            self._follow(x.detach(), codes)
        return Quantised(straight_through(x, rounded), codes, loss)

    @torch.no_grad()
    def _begin(self, x: Tensor) -> None:
        """Put the entries at outputs of the encoder; where those are too few, near them."""
        self.codebook.copy_(self._outputs(x))
        distributed.share(self)
        self.sums.copy_(self.codebook)
        self.counts.fill_(1.0)
        self.begun.fill_(True)

    def _outputs(self, x: Tensor) -> Tensor:
        """Return ``size`` outputs drawn from a batch."""
        flat = x.reshape(-1, self.width)
        if len(flat) >= self.size:
            return flat[torch.randperm(len(flat), device=x.device)[: self.size]]
        chosen = flat[torch.randint(len(flat), (self.size,), device=x.device)]
        return chosen + _APART * flat.std().nan_to_num() * torch.randn_like(chosen)

    @torch.no_grad()
    def _follow(self, x: Tensor, codes: Tensor) -> None:
        flat, at = x.reshape(-1, self.width), codes.reshape(-1)
        used = torch.bincount(at, minlength=self.size).float()
        total = torch.zeros_like(self.sums).index_add_(0, at, flat)
        ranks = distributed.world_size()
        used, total = distributed.average(used) * ranks, distributed.average(total) * ranks
        self.counts.lerp_(used, 1 - self.decay)  # Eq. 2
        self.sums.lerp_(total, 1 - self.decay)
        followed = self.sums / self.counts.clamp_min(_SMALL)[:, None]
        if self.restart_below:
            lost = self.counts < self.restart_below
            fresh = self._outputs(x)
            followed = torch.where(lost[:, None], fresh, followed)
            self.sums.copy_(torch.where(lost[:, None], fresh * self.restart_below, self.sums))
            self.counts.copy_(self.counts.clamp_min(self.restart_below))
        self.codebook.copy_(followed)
        if self.restart_below:
            distributed.share(self)

"""The bottleneck of a VAE: a Gaussian of each vector, with the divergence from the standard one.

Kingma and Welling 2014 (arXiv 1312.6114), Eq. 10 and Appendix B. Beside the quantisers for
comparison: what it passes on is no code, and its rate is the divergence in bits.
"""

from __future__ import annotations

from math import log

import torch
from torch import Tensor, nn

from partimento.training.nn.quantisers.quantised import Quantised

__all__ = ["Gaussian"]


class Gaussian(nn.Module):
    """Takes means and log variances (B, T, 2 width); returns a draw (B, T, width).

    The loss is ``weight`` times the divergence in nats, the mean over vectors; `rate_bits` is
    what a code of a vector would cost.
    """

    def __init__(self, width: int, weight: float = 1.0) -> None:
        super().__init__()
        self.width, self.weight = width, weight

    def divergence(self, x: Tensor) -> Tensor:
        """Return KL(N(mean, variance) || N(0, 1)) in nats (B, T): Appendix B, its sign turned."""
        mean, variance = x.float().chunk(2, dim=-1)
        return 0.5 * (mean.square() + variance.exp() - 1 - variance).sum(-1)

    def rate_bits(self, x: Tensor) -> float:
        """Return the mean divergence of vectors in bits."""
        return float(self.divergence(x.detach()).mean()) / log(2)

    def forward(self, x: Tensor) -> Quantised:
        """Return a draw in training (Eq. 10), the mean otherwise; the codes are empty."""
        mean, variance = x.float().chunk(2, dim=-1)
        loss = self.weight * self.divergence(x).mean()
        drawn = mean + (0.5 * variance).exp() * torch.randn_like(mean) if self.training else mean
        return Quantised(drawn, drawn.new_zeros(drawn.shape[:-1], dtype=torch.int64), loss)

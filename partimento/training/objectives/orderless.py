"""Order-agnostic likelihood: cells are hidden at random, and each is judged by what is left.

Uria, Murray, Larochelle (2014), "A Deep and Tractable Density Estimator", as used by Coconet
(Huang et al. 2017, section 3.2, Eq. 2): the size of the hidden set is drawn evenly from 1..D, then
the set. The mean over the hidden cells times D is an unbiased estimate of the negative
log-likelihood averaged over all orders.

===============================  =================
hidden set of a drawn size       ``hidden_cells``
Eq. 2, mean over the hidden set  ``orderless_loss``
===============================  =================
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.nn import functional

__all__ = ["hidden_cells", "orderless_loss"]


def hidden_cells(
    targets: npt.NDArray[np.bool_], draw: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Return which of the targets, of any shape, are hidden: 1..D of D, evenly; none of none."""
    places = np.flatnonzero(targets)
    out = np.zeros(targets.size, dtype=bool)
    if len(places):
        out[draw.permutation(places)[: int(draw.integers(1, len(places) + 1))]] = True
    return out.reshape(targets.shape)


def orderless_loss(logits: Tensor, values: Tensor, hidden: Tensor) -> Tensor:
    """Return (B,): the mean surprise, in nats, of each example's hidden cells.

    Args:
        logits: (B, ..., P).
        values: (B, ...), 0..P-1 where hidden.
        hidden: (B, ...), bool. An example without hidden cells gives 0.
    """
    flat = functional.cross_entropy(
        logits.flatten(0, -2).float(), (values * hidden).flatten(), reduction="none"
    )
    weight = hidden.float()
    per_example = (flat.view_as(weight) * weight).flatten(1).sum(dim=1)
    return per_example / weight.flatten(1).sum(dim=1).clamp(min=1.0)  # Eq. 2

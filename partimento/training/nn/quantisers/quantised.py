"""What every quantiser returns."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

__all__ = ["Quantised", "straight_through"]


class Quantised(NamedTuple):
    """Vectors (B, T, D), their codes (int64; (B, T), or (B, T, Q) of Q codebooks), and a loss.

    The gradient of the vectors is that of the encoder's output. The loss has the quantiser's own
    weight already.
    """

    vectors: Tensor
    codes: Tensor
    loss: Tensor


def straight_through(given: Tensor, rounded: Tensor) -> Tensor:
    """Return ``rounded`` with the gradient of ``given`` (van den Oord et al. 2017, Section 3.2)."""
    return given + (rounded - given).detach()

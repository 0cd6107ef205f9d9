"""Maximum likelihood of token sequences."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from partimento.training.contract import Loss

__all__ = ["next_token_loss"]


def next_token_loss(logits: Tensor, targets: Tensor, mask: Tensor) -> Loss:
    """Return the mean negative log-likelihood, in nats a token, over places where mask is true.

    logits (B, L, V); targets and mask (B, L).
    """
    nll = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none")
    weight = mask.flatten().to(nll.dtype)
    total = (nll * weight).sum() / weight.sum().clamp(min=1)
    return Loss(total, {"nll": total.detach()})

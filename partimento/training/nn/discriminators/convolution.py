"""Discriminators of token sequences: SeqGAN's text CNN, and one that scores every prefix.

Yu et al. 2016 (arXiv 1609.05473), appendix::

    Eq. 9, embedded sequence as a matrix  -> ConvDiscriminator.features
    Eq. 10, kernels over time             -> ConvDiscriminator.features
    Eq. 11, 12, highway                   -> Highway.forward
    Eq. 13, probability of being real     -> ConvDiscriminator.forward (its logit)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from partimento.errors import TrainingError
from partimento.runtime.presets import TransformerConfig
from partimento.training.nn.transformer import Block

__all__ = ["ConvDiscriminator", "Highway", "PrefixDiscriminator"]

_CARRY = -2.0  # the gate's first bias: the layer begins by letting its input through


class Highway(nn.Module):
    """t relu(W x) + (1 - t) x, where t = sigma(W_t x) (Srivastava et al. 2015)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner, self.gate = nn.Linear(width, width), nn.Linear(width, width)
        nn.init.constant_(self.gate.bias, _CARRY)

    def forward(self, x: Tensor) -> Tensor:  # Eq. 11, 12
        """Return (B, width) of (B, width)."""
        passed = torch.sigmoid(self.gate(x))
        return passed * F.relu(self.inner(x)) + (1 - passed) * x


class ConvDiscriminator(nn.Module):
    """Logits (B,) that sequences are real, of tokens (B, L) or one-hot tokens (B, L, V).

    ``kernels`` are (how many tokens a filter spans, how many filters).

    Raises:
        TrainingError: if a filter spans more tokens than ``length``.
    """

    def __init__(
        self,
        vocabulary: int,
        length: int,
        width: int = 64,
        kernels: Sequence[tuple[int, int]] = ((2, 32), (3, 32), (4, 32), (8, 32)),
        dropout: float = 0.25,
    ) -> None:
        super().__init__()
        longest = max(span for span, _ in kernels)
        if longest > length:
            raise TrainingError(
                f"the discriminator's filters span {longest} tokens, the sequences have {length}; "
                "use longer sequences or narrower filters"
            )
        self.token = nn.Embedding(vocabulary, width)
        self.filters = nn.ModuleList(nn.Conv1d(width, count, span) for span, count in kernels)
        whole = sum(count for _, count in kernels)
        self.highway = Highway(whole)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(whole, 1)

    def forward(self, tokens: Tensor) -> Tensor:  # Eq. 13
        """Return logits (B,)."""
        logits: Tensor = self.head(self.dropout(self.highway(self.features(tokens))))
        return logits[:, 0]

    def features(self, tokens: Tensor) -> Tensor:  # Eq. 9, 10
        """Return (B, filters): each filter's largest answer over time."""
        soft = tokens.dim() == 3
        x = tokens @ self.token.weight if soft else self.token(tokens)  # (B, L, width)
        x = x.transpose(1, 2)  # (B, width, L)
        return torch.cat([F.relu(each(x)).amax(dim=2) for each in self.filters], dim=1)

    def penalty(self) -> Tensor:
        """Return half the squared size of the last layer, which the paper keeps small."""
        out: Tensor = (self.head.weight.square().sum() + self.head.bias.square().sum()) / 2
        return out


class PrefixDiscriminator(nn.Module):
    """Logits (B, L) that each prefix is the beginning of a real sequence, in one causal pass.

    Tokens are (B, L), or one-hot (B, L, V). Place t has seen the tokens up to t itself and none
    after, so one pass rewards each step (Li et al. 2017, arXiv 1701.06547, section 3.2); the last
    place is the verdict on the whole.
    """

    def __init__(self, config: TransformerConfig, vocabulary: int) -> None:
        super().__init__()
        self.token = nn.Embedding(vocabulary, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits (B, L)."""
        x = tokens @ self.token.weight if tokens.dim() == 3 else self.token(tokens)
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x))
        return logits[..., 0]

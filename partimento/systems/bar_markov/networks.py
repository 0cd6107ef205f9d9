"""The network of Bar Markov: a log-linear Markov chain of order m, a bar of eighths.

The order is that of Brooks et al. 1957; the form is the log-bilinear model of Mnih and Hinton 2007.

Eq. 1 -> BarMarkov.forward
"""

from __future__ import annotations

from torch import Tensor, nn

from partimento.runtime.presets import RecurrentConfig, TokenPreset
from partimento.training.nn.embedding import ColumnEmbedding

__all__ = ["BarMarkov", "network"]


class BarMarkov(nn.Module):
    """Logits (B, L, V) of the token at each place, from columns (B, L, m + features)."""

    def __init__(
        self, config: RecurrentConfig, vocabulary: int, feature_sizes: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.embedding = ColumnEmbedding(
            vocabulary, feature_sizes, config.width, config.local_width, config.token_width
        )
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.width, vocabulary)

    def forward(self, columns: Tensor) -> Tensor:
        """Return logits: p(x_t | x_(t-m) .. x_(t-1)) = softmax(H sum_k C_k e(x_(t-k)) + b)."""
        logits: Tensor = self.head(self.dropout(self.embedding(columns)))  # Eq. 1
        return logits


def network(preset: TokenPreset, vocabulary: int, feature_sizes: tuple[int, ...]) -> BarMarkov:
    """Return the network of a preset."""
    assert isinstance(preset.network, RecurrentConfig)
    return BarMarkov(preset.network, vocabulary, feature_sizes)

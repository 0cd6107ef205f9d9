"""An LSTM over token columns: the recurrent sibling of ``CausalTransformer``."""

from __future__ import annotations

from torch import Tensor, nn

from partimento.runtime.presets import RecurrentConfig
from partimento.training.nn.embedding import ColumnEmbedding

__all__ = ["CausalLSTM"]


class CausalLSTM(nn.Module):
    """Logits (B, L, V) of the token at each place, from columns (B, L, C) known before it."""

    def __init__(
        self, config: RecurrentConfig, vocabulary: int, feature_sizes: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.config = config
        self.embedding = ColumnEmbedding(
            vocabulary, feature_sizes, config.width, config.local_width, config.token_width
        )
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(
            nn.LSTM(config.width, config.width, batch_first=True) for _ in range(config.layers)
        )
        self.head = nn.Linear(config.width, vocabulary)

    def forward(self, columns: Tensor) -> Tensor:
        """Return logits; the recurrence starts from zeros."""
        x = self.dropout(self.embedding(columns))
        for layer in self.layers:
            x = self.dropout(layer(x)[0])
        logits: Tensor = self.head(x)
        return logits

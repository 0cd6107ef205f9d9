"""The network of Performance RNN: stacked LSTMs over one token at a time (Oore et al. 2018)."""

from __future__ import annotations

from partimento.runtime.presets import RecurrentConfig, TokenPreset
from partimento.training.nn.recurrent import CausalLSTM

__all__ = ["network"]


def network(preset: TokenPreset, vocabulary: int, feature_sizes: tuple[int, ...]) -> CausalLSTM:
    """Return the network of a preset: columns (B, L, C) -> logits (B, L, V)."""
    assert isinstance(preset.network, RecurrentConfig)
    return CausalLSTM(preset.network, vocabulary, feature_sizes)

"""The networks of SeqGAN (Yu et al. 2016, arXiv 1609.05473).

Equations and where they live::

    Eq. 9-12 of the appendix, the LSTM  -> training/nn/recurrent.py  CausalLSTM
    the critic: CNN and highway         -> training/nn/discriminators/convolution.py    ConvCritic
"""

from __future__ import annotations

from partimento.runtime.presets import RecurrentConfig, TokenPreset
from partimento.systems.seqgan import CriticConfig
from partimento.training.nn.discriminators.convolution import ConvCritic
from partimento.training.nn.recurrent import CausalLSTM

__all__ = ["critic", "network"]


def critic(config: CriticConfig, vocabulary: int, length: int) -> ConvCritic:
    """Return the critic: tokens (B, L) -> logits (B,) that they are real."""
    return ConvCritic(vocabulary, length, config.width, config.kernels, config.dropout)


def network(preset: TokenPreset, vocabulary: int, feature_sizes: tuple[int, ...]) -> CausalLSTM:
    """Return the generator of a preset: columns (B, L, C) -> logits (B, L, V)."""
    assert isinstance(preset.network, RecurrentConfig)
    return CausalLSTM(preset.network, vocabulary, feature_sizes)

"""The networks of SeqGAN (Yu et al. 2016, arXiv 1609.05473).

Equations and where they live::

    Eq. 9-12 of the appendix, the LSTM  -> training/nn/recurrent.py  CausalLSTM
    D: CNN and highway -> training/nn/discriminators/convolution.py  ConvDiscriminator
"""

from __future__ import annotations

from partimento.runtime.presets import RecurrentConfig, TokenPreset
from partimento.systems.seqgan.card import ConvDiscriminatorConfig
from partimento.training.nn.discriminators.convolution import ConvDiscriminator
from partimento.training.nn.recurrent import CausalLSTM

__all__ = ["discriminator", "network"]


def discriminator(
    config: ConvDiscriminatorConfig, vocabulary: int, length: int
) -> ConvDiscriminator:
    """Return the discriminator: tokens (B, L) -> logits (B,) that they are real."""
    return ConvDiscriminator(vocabulary, length, config.width, config.kernels, config.dropout)


def network(preset: TokenPreset, vocabulary: int, feature_sizes: tuple[int, ...]) -> CausalLSTM:
    """Return the generator of a preset: columns (B, L, C) -> logits (B, L, V)."""
    assert isinstance(preset.network, RecurrentConfig)
    return CausalLSTM(preset.network, vocabulary, feature_sizes)

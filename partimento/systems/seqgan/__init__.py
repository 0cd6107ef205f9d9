"""SeqGAN: an LSTM that learns from a CNN discriminator by policy gradient (Yu et al. 2016)."""

from partimento.systems.seqgan.card import CARD, PRESETS

__all__ = ["CARD", "PRESETS"]

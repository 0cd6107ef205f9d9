"""Transformer GAN: a Transformer generator and discriminator, trained by policy gradient."""

from partimento.systems.transformer_gan.card import CARD, PRESETS

__all__ = ["CARD", "PRESETS"]

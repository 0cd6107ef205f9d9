"""TTS-GAN: a Transformer that makes time series, here what makes a performance human."""

from partimento.systems.tts_gan.card import CARD, PRESETS

__all__ = ["CARD", "PRESETS"]

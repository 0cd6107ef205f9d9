"""Music Transformer: a causal Transformer with relative attention (Huang et al. 2018)."""

from partimento.systems.music_transformer.card import CARD, PRESETS

__all__ = ["CARD", "PRESETS"]

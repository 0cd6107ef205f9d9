"""MeLoDy: sound that a language model of semantic tokens leads, made by dual-path diffusion."""

from partimento.systems.melody.card import CARD, PRESETS

__all__ = ["CARD", "PRESETS"]

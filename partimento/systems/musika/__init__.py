"""Musika: endless sound from a generator of latents and a fast decoder."""

from partimento.systems.musika.card import CARD, PRESETS

__all__ = ["CARD", "PRESETS"]

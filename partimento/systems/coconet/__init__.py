"""Coconet: counterpoint by convolution and Gibbs sampling."""

from partimento.systems.coconet.card import CARD, PRESETS

__all__ = ["CARD", "PRESETS"]

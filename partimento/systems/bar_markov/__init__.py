"""Bar Markov: the next eighth from the last bar of eighths (Brooks et al. 1957)."""

from partimento.systems.bar_markov.card import CARD, PRESETS

__all__ = ["CARD", "PRESETS"]

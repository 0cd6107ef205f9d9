"""Performance RNN: the LSTM baseline (Oore et al. 2018)."""

from partimento.systems.performance_rnn.card import CARD, PRESETS

__all__ = ["CARD", "PRESETS"]

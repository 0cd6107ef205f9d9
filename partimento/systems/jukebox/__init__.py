"""Jukebox: music in pure sound, as codes on several levels, each with a prior."""

from partimento.systems.jukebox.card import CARD, PRESETS

__all__ = ["CARD", "PRESETS"]

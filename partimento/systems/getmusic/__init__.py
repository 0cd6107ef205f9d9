"""GETMusic: any part from any part, by diffusion over a grid of tracks and sixteenths."""

from partimento.systems.getmusic.card import CARD, PRESETS

__all__ = ["CARD", "PRESETS"]

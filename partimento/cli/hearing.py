"""``partimento play``, and what ``--play`` does after a piece is written."""

from __future__ import annotations

from pathlib import Path

from partimento import api
from partimento.cli import show
from partimento.generation.prompts import Sketch
from partimento.playback.sinks import Loudspeaker

__all__ = ["check_loudspeaker", "listen", "play"]


def play(piece: Path, /, *, soundfont: str | None = None) -> int:
    """Play a file through the loudspeakers.

    Parameters
    ----------
    piece
        Notes (.mid, .musicxml, .mxl, .abc) or sound (.wav, .flac, .ogg, .mp3).
    soundfont
        An .sf2 or .sf3 file, or the name of an installed one, to play notes through.
    """
    return listen(piece, soundfont)


def check_loudspeaker() -> None:
    """Check, before long work, that sound can be played.

    Raises:
        MissingExtra, NotSupported: if it cannot; names the remedy.
    """
    Loudspeaker().close("")


def listen(piece: Sketch, soundfont: str | None = None) -> int:
    """Play a piece until it ends or Ctrl-C, and return the exit code."""
    try:
        api.play(piece, soundfont=soundfont)
    except KeyboardInterrupt:
        show.note("Stopped playing")
    return 0

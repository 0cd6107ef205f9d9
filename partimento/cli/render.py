"""``partimento render``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from partimento import api
from partimento.cli import show
from partimento.errors import FileError
from partimento.files import AUDIO_SUFFIXES
from partimento.playback.destinations import check_output

__all__ = ["render"]


def render(
    piece: Path,
    /,
    *,
    out: Annotated[list[Path] | None, Parameter(name=["--out", "-o"])] = None,
    stems: Path | None = None,
    soundfont: Path | None = None,
) -> None:
    """Turn MIDI, MusicXML or ABC into sound, or into another format.

    Parameters
    ----------
    piece
        The piece to render.
    out
        Where to write: .wav .flac .ogg .mp3, or .mid .musicxml .mxl .png; may be repeated.
        Left out, it is the piece's name with .wav in the current folder.
    stems
        A folder for one PIECE_TRACK.wav a track as well; it is made if it is missing.
    soundfont
        An SF2 or SF3 file to play through with FluidSynth, where that is installed.
    """
    targets = out or ([] if stems is not None else [Path(f"{piece.stem}.wav")])
    for target in targets:
        check_output(target)
    score = api.read_score(piece)
    is_heard = stems is not None or any(t.suffix.lower() in AUDIO_SUFFIXES for t in targets)
    if is_heard and not score.notes:
        raise FileError(
            piece, "has no notes, so there is nothing to hear", "give a piece with notes"
        )
    written = [api.write(score, target, soundfont=soundfont) for target in targets]
    if stems is not None:
        written += api.write_stems(score, stems, piece.stem, soundfont=soundfont)
    show.say(f"Wrote {', '.join(map(str, written))}")

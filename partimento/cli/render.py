"""``partimento render``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from partimento import api
from partimento.cli import screen, show
from partimento.cli.hearing import check_loudspeaker, listen
from partimento.cli.options import Force, Out, Play
from partimento.errors import FileError
from partimento.files import AUDIO_SUFFIXES
from partimento.music import Audio, Score
from partimento.playback.destinations import check_new, check_output, check_source

__all__ = ["render"]


def render(
    piece: Path,
    /,
    *,
    out: Out = None,
    force: Force = False,
    play: Play = False,
    stems: Path | None = None,
    soundfont: str | None = None,
    no_repeats: bool = False,
) -> int:
    """Turn MIDI, MusicXML or ABC into sound, or into another format.

    Parameters
    ----------
    piece
        The piece to render.
    stems
        A folder for one PIECE_TRACK.wav per track; it is made if it does not exist.
    soundfont
        An .sf2 or .sf3 file, or the name of an installed one, to play through with FluidSynth.
    no_repeats
        Play every bar once, in the order in which it is written; otherwise repeats are played out.
    """
    targets = out or ([] if stems is not None else [Path(f"{piece.stem}.wav")])
    for target in targets:
        check_output(target)
        check_source(target, piece)
    check_new(targets, force)
    if play:
        check_loudspeaker()
    score = api.read_score(piece)
    if no_repeats:
        score = replace(score, repeats=())
    needs_sound = play or any(t.suffix.lower() in AUDIO_SUFFIXES for t in targets)
    if (needs_sound or stems is not None) and not score.notes:
        raise FileError(piece, "has no notes, so there is nothing to hear", "give one with notes")
    if stems is not None:
        check_new(api.stem_paths(score, stems, piece.stem), force)
    heard: Score | Audio = score
    if needs_sound:
        heard = api.render(score, soundfont=soundfont)
    with screen.bar_progress(piece.name, "files") as progress:
        written: list[Path] = []
        for target in targets:
            is_sound = target.suffix.lower() in AUDIO_SUFFIXES
            written.append(api.write(heard if is_sound else score, target))
            if progress is not None:
                progress(len(written), len(targets) + (stems is not None))
        if stems is not None:
            written += api.write_stems(score, stems, piece.stem, soundfont=soundfont)
    show.say(f"Wrote {', '.join(map(str, written))}")
    return listen(heard) if play else 0

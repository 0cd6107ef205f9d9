"""``partimento render``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from partimento import api
from partimento.cli import screen, show
from partimento.cli.hearing import check_loudspeaker, listen
from partimento.cli.options import Force, Out, Play, parse_settings
from partimento.errors import FileError, NotSupported
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
    model: str | None = None,
    text: str | None = None,
    seed: int | None = None,
    set: list[str] | None = None,
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
    model
        A model that realises scores as produced sound, in place of the synthesiser.
    text
        What it is to sound like, for such a model: 'slow dark strings'.
    seed
        The same seed gives the same sound, for such a model.
    set
        NAME=VALUE for any other control of such a model (see describe); repeatable.
    """
    _check_model(model, text is not None or seed is not None or bool(set), stems, soundfont)
    targets = _targets(piece, out, stems, force)
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
    if needs_sound and model is not None:
        heard = _by_model(score, model, text, seed, set or [])
    elif needs_sound:
        heard = api.render(score, soundfont=soundfont)
    _write(piece, score, heard, targets, stems, soundfont)
    return listen(heard) if play else 0


def _write(
    piece: Path,
    score: Score,
    heard: Score | Audio,
    targets: list[Path],
    stems: Path | None,
    soundfont: str | None,
) -> None:
    """Write the files and stems of a piece, and say so."""
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


def _targets(piece: Path, out: Out, stems: Path | None, force: bool) -> list[Path]:
    """Return the files to write; PIECE.wav where none is named."""
    targets = out or ([] if stems is not None else [Path(f"{piece.stem}.wav")])
    for target in targets:
        check_output(target)
        check_source(target, piece)
    check_new(targets, force)
    return targets


def _check_model(
    model: str | None, is_led: bool, stems: Path | None, soundfont: str | None
) -> None:
    """Raise NotSupported for options that go with the other way of rendering."""
    if model is None and is_led:
        raise NotSupported("text, seed and set are for a model that renders; name one by --model")
    if model is not None and (stems is not None or soundfont is not None):
        raise NotSupported("a model renders a score as a whole: no stems, and no soundfont")


def _by_model(
    score: Score, model: str, text: str | None, seed: int | None, settings: list[str]
) -> Audio:
    """Return the sound that a model makes of a score."""
    instrument = api.load(model)
    controls = parse_settings(settings, "--set")
    if text is not None:
        controls["text"] = text
    with screen.bar_progress(instrument.name, "s") as progress:
        result = instrument.render_score(score, seed=seed, progress=progress, **controls)
    return result.audio

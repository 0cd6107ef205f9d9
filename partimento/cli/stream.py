"""``partimento stream``."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from partimento import api
from partimento.cli import show
from partimento.cli.main import EXIT_INTERRUPTED, STARTED
from partimento.cli.options import CommandOptions, ConfigPath, Force, Loading, Sketch, Taste, gather
from partimento.cli.sounding import stream_sound, written_paths
from partimento.cli.stopping import stop_once
from partimento.errors import FileError, NotSupported
from partimento.files import AUDIO_SUFFIXES
from partimento.generation import streaming as live
from partimento.generation.instrument import Instrument, Plan
from partimento.generation.prompts import read_sketch
from partimento.generation.requests import as_written
from partimento.playback.destinations import check_new, check_output
from partimento.playback.sinks import Loudspeaker, Sink, WavPipe, sink_of
from partimento.recipe import Recipe
from partimento.runtime.contract import Task

__all__ = ["stream"]

_PIPE = Path("-")
Out = Annotated[list[Path] | None, Parameter(name=["--out", "-o"], allow_leading_hyphen=True)]
_NO_SOUNDFONT = "a stream is played by the built-in synthesiser, not by PARTIMENTO_SOUNDFONT"


def stream(
    *,
    sketch: Sketch | None = None,
    taste: Taste | None = None,
    loading: Loading | None = None,
    out: Out = None,
    force: Force = False,
    play: bool = False,
    raw: bool = False,
    prompt: Path | None = None,
    verbose: bool = False,
    config: ConfigPath = None,
) -> int:
    """Generate music endlessly, until Ctrl-C; what was written until then is whole.

    Parameters
    ----------
    out
        File to write: a sound file, .mid, .musicxml, or - for WAV on stdout; repeatable.
    play
        Play through the loudspeakers; this is the default where there is no -o.
    raw
        With -o -, raw 16-bit stereo samples at 44100 Hz instead of WAV.
    prompt
        A piece to continue; sound, for a model that makes sound.
    verbose
        Report the time of the first note and every bar.
    """
    settings = gather(sketch, taste, loading, config, out)
    paths = [path for path in settings.out if path != _PIPE]
    for path in paths:
        check_output(path)
    _check(settings, raw)
    check_new(paths, force)
    instrument, plan = _prepare(settings, prompt)
    stop_once()
    is_heard = play or not settings.out
    if instrument.makes == "audio":
        return stream_sound(
            instrument, plan, settings.out, is_heard=is_heard, is_raw=raw, verbose=verbose
        )
    if plan.recipe.soundfont:
        show.warn(_NO_SOUNDFONT)
    is_endless = plan.request.endless
    plan = replace(plan, recipe=plan.recipe.model_copy(update={"soundfont": ""}))
    sinks = _sinks(settings, plan.recipe, is_heard, raw)
    outcome = live.perform_live(
        instrument,
        plan,
        sinks,
        keeps_pieces=any(path.suffix.lower() not in AUDIO_SUFFIXES for path in paths),
        is_paced=is_endless and not is_heard and _PIPE not in settings.out,
        on_bar=_tell if verbose else None,
    )
    _finish(instrument, plan, outcome, paths)
    if verbose and outcome.bars:
        show.note(f"First note {outcome.first_note_at - STARTED:.2f} s after the start")
    if outcome.error is not None:
        raise outcome.error
    return EXIT_INTERRUPTED if outcome.is_stopped and not is_endless else 0


def _check(settings: CommandOptions, is_raw: bool) -> None:
    if settings.num_samples != 1:
        raise NotSupported("num_samples is for generate and continue; a stream is one")
    if is_raw and _PIPE not in settings.out:
        raise NotSupported("--raw is for -o -, samples into a pipe")


def _prepare(settings: CommandOptions, prompt: Path | None) -> tuple[Instrument, Plan]:
    task = Task.GENERATE if prompt is None else Task.CONTINUE
    given = None if prompt is None else read_sketch(prompt)
    instrument = api.load(
        settings.model,
        threads=settings.threads,
        precision=settings.precision,
        task=task,
        prompt=None if given is None else given.piece,
    )
    if instrument.makes == "audio":
        for path in settings.out:
            if path != _PIPE:
                check_output(path, "audio")
    wishes = as_written(settings.wishes)
    with settings.placed():
        plan = instrument.plan(
            task,
            wishes,
            settings.controls,
            seed=settings.seed,
            prompt=given,
            endless=wishes.is_endless,
        )
    return instrument, plan


def _sinks(settings: CommandOptions, recipe: Recipe, is_heard: bool, is_raw: bool) -> list[Sink]:
    text = recipe.model_copy(update={"streamed": True}).to_json()
    sinks: list[Sink] = [Loudspeaker()] if is_heard else []
    for path in settings.out:
        if path == _PIPE:
            sinks.append(WavPipe(sys.stdout.buffer, is_raw))
        elif path.suffix.lower() in AUDIO_SUFFIXES:
            sinks.append(sink_of(path, text))
    return sinks


def _tell(bars: int, seconds: float) -> None:
    show.note(
        f"bar {bars}, {show.long_time(seconds)} of music, at {time.perf_counter() - STARTED:.2f} s"
    )


def _finish(
    instrument: Instrument, plan: Plan, outcome: live.StreamOutcome, paths: list[Path]
) -> None:
    """Write the notes where they were asked for, and report what there is."""
    for path in paths if outcome.bars else ():
        if path.suffix.lower() not in AUDIO_SUFFIXES:
            try:
                live.result_of(instrument, plan, outcome).save(path)
            except FileError as error:  # the other files are still written
                outcome.error = outcome.error or error
    how = "Stopped after" if outcome.is_stopped else "Played"
    names = written_paths(paths, outcome) if outcome.bars else []
    written = f"; wrote {', '.join(names)}" if names else ""
    bars = f"{outcome.bars} bar{'' if outcome.bars == 1 else 's'}"
    show.note(
        f"{how} {bars} ({show.long_time(outcome.seconds)}) by {instrument.name}, "
        f"seed {plan.recipe.seed}{written}"
    )

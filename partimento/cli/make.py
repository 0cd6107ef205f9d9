"""``partimento generate`` and ``partimento continue``."""

from __future__ import annotations

from pathlib import Path

from partimento import api
from partimento.cli import screen, show
from partimento.cli.hearing import check_loudspeaker, listen
from partimento.cli.main import EXIT_INTERRUPTED
from partimento.cli.options import (
    CodesOut,
    CommandOptions,
    ConfigPath,
    Force,
    Loading,
    Out,
    Play,
    Samples,
    Sketch,
    Taste,
    gather,
)
from partimento.cli.sounding import check_codes, play_to_files
from partimento.files import AUDIO_SUFFIXES
from partimento.generation.instrument import Instrument
from partimento.generation.prompts import read_sketch
from partimento.generation.requests import seeds_from
from partimento.generation.result import Result
from partimento.playback.destinations import destinations
from partimento.runtime.contract import Task

__all__ = ["continue_", "generate", "report"]


def generate(
    *,
    sketch: Sketch | None = None,
    taste: Taste | None = None,
    loading: Loading | None = None,
    out: Out = None,
    force: Force = False,
    play: Play = False,
    num_samples: Samples = None,
    codes: CodesOut = None,
    config: ConfigPath = None,
) -> int:
    """Generate a piece of music."""
    settings = gather(sketch, taste, loading, config, out, num_samples)
    return _play(settings, None, codes, force, play)


def continue_(
    prompt: Path,
    /,
    *,
    sketch: Sketch | None = None,
    taste: Taste | None = None,
    loading: Loading | None = None,
    out: Out = None,
    force: Force = False,
    play: Play = False,
    num_samples: Samples = None,
    codes: CodesOut = None,
    config: ConfigPath = None,
) -> int:
    """Continue a piece: all its notes are kept, and exactly BARS bars (8) are added.

    Parameters
    ----------
    prompt
        The piece to continue: .mid, .musicxml, .mxl or .abc; or sound: .wav .flac .ogg .mp3; or
        codes of sound (.npz), which are completed to SECONDS in all.
    """
    settings = gather(sketch, taste, loading, config, out, num_samples)
    return _play(settings, prompt, codes, force, play)


def _play(
    settings: CommandOptions, prompt: Path | None, codes: Path | None, force: bool, is_heard: bool
) -> int:
    """Make every sample of the settings; write and report each as soon as it is ready."""
    if is_heard:
        check_loudspeaker()
    task = Task.GENERATE if prompt is None else Task.CONTINUE
    seeds = seeds_from(settings.num_samples, settings.seed)
    planned = destinations(settings.out, seeds, prompt, force=force)
    given = None if prompt is None else read_sketch(prompt)
    instrument = api.load(
        settings.model,
        threads=settings.threads,
        precision=settings.precision,
        task=task,
        prompt=None if given is None else given.piece,
    )
    if codes is not None:
        check_codes(instrument, codes, len(seeds), force)
    if instrument.makes == "audio":
        planned = destinations(settings.out, seeds, prompt, "audio", force)
    heard: Result | Path | None = None
    for number, (seed, paths) in enumerate(zip(seeds, planned, strict=True)):
        with settings.placed():
            plan = instrument.plan(
                task, settings.wishes, settings.controls, seed=seed, prompt=given
            )
        try:
            if instrument.makes == "audio":
                code = play_to_files(instrument, plan, paths, codes)
                if code:
                    return code
                heard = heard or next((p for p in paths if p.suffix.lower() != ".png"), None)
                continue
            with screen.bar_progress(_name(instrument, number, len(seeds))) as progress:
                result = instrument.perform(plan, progress)
            report(result, [str(result.save(path)) for path in paths])
            heard = heard or result
        except KeyboardInterrupt:
            if not number:
                raise
            show.note(f"Stopped after {number} of {len(seeds)} pieces")
            return EXIT_INTERRUPTED
    return listen(heard) if is_heard and heard is not None else 0


def _name(instrument: Instrument, number: int, count: int) -> str:
    return instrument.name if count == 1 else f"{instrument.name}, {number + 1} of {count}"


def report(result: Result, written: list[str]) -> None:
    """Say what was made and where it is."""
    show.say(result.summary())
    heard = [name for name in written if Path(name).suffix.lower() in AUDIO_SUFFIXES]
    hint = "" if heard else f"; to hear it: partimento play {written[0]}"
    is_midi = written[0].endswith(".mid")
    show.say(f"Wrote {' and '.join(written)}{hint if is_midi else ''}")

"""``partimento generate`` and ``partimento continue``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from partimento import api
from partimento.cli import screen, show
from partimento.cli.options import Loading, Settings, Sketch, Taste, gather
from partimento.cli.sounding import play_to_files
from partimento.files import AUDIO_SUFFIXES
from partimento.generation.prompts import read_sketch
from partimento.generation.result import Result
from partimento.playback.destinations import destinations
from partimento.runtime.contract import Task
from partimento.seeds import new_seed

__all__ = ["Config", "Out", "Samples", "continue_", "generate", "report"]

Out = Annotated[
    list[Path] | None,
    Parameter(
        name=["--out", "-o"],
        help="Where to write: .mid .wav .flac .ogg .mp3 .musicxml .mxl .png; may be repeated.",
    ),
]
Samples = Annotated[int | None, Parameter(help="So many pieces, with the seeds SEED, SEED+1, ...")]
Config = Annotated[
    Path | None, Parameter(help="A .toml or .json file with a table of the same options.")
]


def generate(
    *,
    sketch: Sketch | None = None,
    taste: Taste | None = None,
    loading: Loading | None = None,
    out: Out = None,
    num_samples: Samples = None,
    config: Config = None,
) -> int:
    """Make music from nothing but your wishes.

    With no option at all it writes partimento-SEED.mid and .wav into the current folder. A model
    that makes sound is asked in --seconds, and its .png is a spectrogram.
    """
    settings = gather(sketch, taste, loading, config, out, num_samples)
    return _play(settings, None)


def continue_(
    prompt: Path,
    /,
    *,
    sketch: Sketch | None = None,
    taste: Taste | None = None,
    loading: Loading | None = None,
    out: Out = None,
    num_samples: Samples = None,
    config: Config = None,
) -> int:
    """Go on from a piece: keep all its notes and add exactly BARS bars (8 if left out).

    New bars start at the next bar line. Tempo and metre go on as they are unless you ask. To sound
    exactly so many --seconds are added.

    Parameters
    ----------
    prompt
        The piece to go on from: .mid, .musicxml, .mxl or .abc; or sound: .wav .flac .ogg .mp3.
    """
    return _play(gather(sketch, taste, loading, config, out, num_samples), prompt)


def _play(settings: Settings, prompt: Path | None) -> int:
    """Make every sample of the settings, write it and say so."""
    task = Task.GENERATE if prompt is None else Task.CONTINUE
    first = new_seed() if settings.seed is None else settings.seed
    seeds = range(first, first + settings.num_samples)
    planned = destinations(settings.out, seeds, prompt)
    given = None if prompt is None else read_sketch(prompt)
    instrument = api.load(
        settings.model,
        threads=settings.threads,
        precision=settings.precision,
        task=task,
        prompt=None if given is None else given.piece,
    )
    if instrument.makes == "audio":
        planned = destinations(settings.out, seeds, prompt, "audio")
    for seed, paths in zip(seeds, planned, strict=True):
        with settings.placed():
            plan = instrument.plan(
                task, settings.wishes, settings.controls, seed=seed, prompt=given
            )
        if instrument.makes == "audio":
            code = play_to_files(instrument, plan, paths)
            if code:
                return code
            continue
        with screen.bar_progress(instrument.name) as progress:
            result = instrument.perform(plan, progress)
        written = [str(result.save(path)) for path in paths]
        report(result, written)
    return 0


def report(result: Result, written: list[str]) -> None:
    """Say what was made and where it is."""
    show.say(result.summary())
    heard = [name for name in written if Path(name).suffix.lower() in AUDIO_SUFFIXES]
    hint = "" if heard else f"; to hear it: partimento render {written[0]} -o it.wav"
    is_midi = written[0].endswith(".mid")
    show.say(f"Wrote {' and '.join(written)}{hint if is_midi else ''}")

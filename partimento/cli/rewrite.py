"""``partimento accompany`` and ``partimento infill``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from partimento import api
from partimento.cli import screen
from partimento.cli.hearing import check_loudspeaker, listen
from partimento.cli.make import report
from partimento.cli.options import (
    Care,
    CommandOptions,
    ConfigPath,
    Force,
    Keeping,
    Loading,
    Out,
    Play,
    Samples,
    gather_rewrite,
)
from partimento.generation.prompts import read_prompt
from partimento.generation.requests import seeds_from
from partimento.playback.destinations import destinations
from partimento.runtime.contract import Task

__all__ = ["accompany", "infill"]

Lock = Annotated[
    list[str] | None,
    Parameter(help="Keep this too: Viola, 9:10, Viola:9:10, 'Viola 9.2 C4'; repeatable."),
]


def accompany(
    prompt: Path,
    /,
    *,
    tracks: Annotated[
        list[str] | None,
        Parameter(help="Parts to add, such as Alto,Tenor,Bass; default: all that are missing."),
    ] = None,
    lock: Lock = None,
    keeping: Keeping | None = None,
    care: Care | None = None,
    loading: Loading | None = None,
    out: Out = None,
    force: Force = False,
    play: Play = False,
    num_samples: Samples = None,
    config: ConfigPath = None,
) -> int:
    """Add parts to a melody, a bass, or any other part; existing parts stay as they are.

    Parameters
    ----------
    prompt
        The piece to add to: .mid, .musicxml, .mxl or .abc. The file is not modified.
    """
    asked = {"tracks": tracks, "lock": lock}
    settings = gather_rewrite(keeping, care, loading, asked, config, out, num_samples)
    return _rewrite(Task.ACCOMPANY, settings, prompt, force, play)


def infill(
    prompt: Path,
    /,
    *,
    bars: Annotated[
        list[str] | None,
        Parameter(help="Bars from 1, such as 9:12 or 9:12,20:24; default: all; repeatable."),
    ] = None,
    tracks: Annotated[
        list[str] | None,
        Parameter(help="Names or numbers, such as Viola or Alto,2; default: all but drums."),
    ] = None,
    lock: Lock = None,
    keeping: Keeping | None = None,
    care: Care | None = None,
    loading: Loading | None = None,
    out: Out = None,
    force: Force = False,
    play: Play = False,
    num_samples: Samples = None,
    config: ConfigPath = None,
) -> int:
    """Regenerate some bars of some tracks; every other note and mark stays as it is.

    Parameters
    ----------
    prompt
        The piece to edit: .mid, .musicxml, .mxl or .abc. The file is not modified.
    """
    asked = {"bars": bars, "tracks": tracks, "lock": lock}
    settings = gather_rewrite(keeping, care, loading, asked, config, out, num_samples)
    return _rewrite(Task.INFILL, settings, prompt, force, play)


def _rewrite(
    task: Task, settings: CommandOptions, prompt: Path, force: bool, is_heard: bool
) -> int:
    """Make every alternative, write them in the order of their ranks and say so."""
    if is_heard:
        check_loudspeaker()
    seeds = seeds_from(settings.num_samples, settings.seed)
    is_one = len(seeds) == 1
    # Alternatives are named by their rank, which is known only when all are made.
    names = seeds if is_one else range(1, len(seeds) + 1)
    planned = destinations(settings.out, names, prompt, force=force)
    given = read_prompt(prompt)
    instrument = api.load(
        settings.model,
        threads=settings.threads,
        precision=settings.precision,
        task=task,
        prompt=given.score,
    )
    with settings.placed(), screen.bar_progress(instrument.name) as progress:
        ranked = instrument.rewrite(
            task,
            given,
            settings.rewrite,
            settings.wishes,
            settings.controls,
            seeds,
            progress,
        )
    rows: list[tuple[str, ...]] = []
    for one, paths in zip(ranked, planned, strict=True):
        written = [str(one.result.save(path)) for path in paths]
        if is_one:
            report(one.result, written)
        reasons = "; ".join(one.reasons)
        rows.append((str(one.place), ", ".join(written), str(one.result.seed), reasons))
    if not is_one:
        screen.table(("rank", "file", "seed", "why"), rows)
    return listen(ranked[0].result) if is_heard else 0

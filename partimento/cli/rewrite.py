"""``partimento accompany`` and ``partimento infill``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from partimento import api
from partimento.cli import screen
from partimento.cli.make import Config, Out, Samples, report
from partimento.cli.options import Care, Keeping, Loading, Settings, gather_rewrite
from partimento.generation.prompts import read_prompt
from partimento.generation.requests import seeds_from
from partimento.playback.destinations import destinations
from partimento.runtime.contract import Task

__all__ = ["accompany", "infill"]

Lock = Annotated[
    list[str] | None,
    Parameter(help="Keep this too: Viola, 9:10, Viola:9:10, 'Viola 9.2 C4'; may be repeated."),
]


def accompany(
    prompt: Path,
    /,
    *,
    tracks: Annotated[
        list[str] | None,
        Parameter(help="The parts to add: Alto,Tenor,Bass; all that are missing if left out."),
    ] = None,
    lock: Lock = None,
    keeping: Keeping | None = None,
    care: Care | None = None,
    loading: Loading | None = None,
    out: Out = None,
    num_samples: Samples = None,
    config: Config = None,
) -> None:
    """Add parts to a melody, a bass, or any other part; what is there stays as it is.

    A part that you name and that is there already is written anew. With --num-samples the
    alternatives are ranked, and OUT-1 is the best.

    Parameters
    ----------
    prompt
        The piece to add to: .mid, .musicxml, .mxl or .abc. It is not touched.
    """
    asked = {"tracks": tracks, "lock": lock}
    settings = gather_rewrite(keeping, care, loading, asked, config, out, num_samples)
    _rewrite(Task.ACCOMPANY, settings, prompt)


def infill(
    prompt: Path,
    /,
    *,
    bars: Annotated[
        list[str] | None,
        Parameter(help="Bars from 1: 9:12, or 9:12,20:24; all if left out; may be repeated."),
    ] = None,
    tracks: Annotated[
        list[str] | None,
        Parameter(help="Names or numbers: Viola, or Alto,2; all but drums if left out."),
    ] = None,
    lock: Lock = None,
    keeping: Keeping | None = None,
    care: Care | None = None,
    loading: Loading | None = None,
    out: Out = None,
    num_samples: Samples = None,
    config: Config = None,
) -> None:
    """Write some bars of some tracks anew; every other note, mark and word stays as it is.

    With --num-samples the alternatives are ranked, and OUT-1 is the best.

    Parameters
    ----------
    prompt
        The piece to write in: .mid, .musicxml, .mxl or .abc. It is not touched.
    """
    asked = {"bars": bars, "tracks": tracks, "lock": lock}
    settings = gather_rewrite(keeping, care, loading, asked, config, out, num_samples)
    _rewrite(Task.INFILL, settings, prompt)


def _rewrite(task: Task, settings: Settings, prompt: Path) -> None:
    """Make every alternative, write them in the order of their ranks and say so."""
    seeds = seeds_from(settings.num_samples, settings.seed)
    is_one = len(seeds) == 1
    # Alternatives are named by their place, which is known only when all are there.
    planned = destinations(settings.out, seeds if is_one else range(1, len(seeds) + 1), prompt)
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
        screen.table(("place", "file", "seed", "why"), rows)

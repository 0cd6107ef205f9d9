"""``partimento humanize``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from partimento import api
from partimento.cli import show
from partimento.playback.destinations import check_output, check_source

__all__ = ["humanize"]


def humanize(
    score: Path,
    /,
    *,
    out: Annotated[list[Path] | None, Parameter(name=["--out", "-o"])] = None,
    amount: float = 1.0,
    seed: int | None = None,
    model: str | None = None,
    threads: int | None = None,
) -> None:
    """Make a score sound played: each note a little louder or softer, earlier or later.

    No note changes its pitch or its place among its neighbours; tempo, metre and words stay.

    Parameters
    ----------
    score
        The score: .mid, .musicxml, .mxl or .abc; drums, other parts, or both. It is not touched.
    out
        Where to write: .mid .wav .flac .ogg .mp3 .musicxml .mxl .png; may be repeated. Left out,
        it is SCORE-humanized.mid in the current folder.
    amount
        0 leaves the notes as they are, 1 moves them as far as players do.
    seed
        The same seed plays it alike.
    model
        A model that humanizes, or its folder.
    threads
        Threads to compute with.
    """
    targets = out or [Path(f"{score.stem}-humanized.mid")]
    for target in targets:
        check_output(target)
        check_source(target, score)
    result = api.humanize(score, amount, seed, model, threads=threads)
    written = [str(result.save(target)) for target in targets]
    notes = sum(len(track.notes) for track in result.score.tracks)
    show.say(
        f"Humanized {notes:,} notes with {result.recipe.model}, amount {amount:g}, "
        f"seed {result.seed}, in {result.seconds_taken:.1f} s"
    )
    show.say(f"Wrote {' and '.join(written)}")

"""``partimento humanize``."""

from __future__ import annotations

from pathlib import Path

from partimento import api
from partimento.cli.hearing import check_loudspeaker, listen
from partimento.cli.make import report
from partimento.cli.options import Force, Out, Play
from partimento.playback.destinations import check_new, check_output, check_source

__all__ = ["humanize"]


def humanize(
    score: Path,
    /,
    *,
    out: Out = None,
    force: Force = False,
    play: Play = False,
    amount: float = 1.0,
    seed: int | None = None,
    model: str | None = None,
    threads: int | None = None,
) -> int:
    """Give a score the dynamics and timing of a performer.

    Parameters
    ----------
    score
        The score: .mid, .musicxml, .mxl or .abc; drums, other parts, or both. It is not modified.
    amount
        0 leaves the notes as they are, 1 is the full deviation of performers.
    seed
        The same seed gives the same result.
    model
        A model that humanizes: a name of 'models', or a folder.
    threads
        Number of threads.
    """
    targets = out or [Path(f"{score.stem}-humanized.mid")]
    for target in targets:
        check_output(target)
        check_source(target, score)
    check_new(targets, force)
    if play:
        check_loudspeaker()
    result = api.humanize(score, amount, seed, model, threads=threads)
    report(result, [str(result.save(target)) for target in targets])
    return listen(result) if play else 0

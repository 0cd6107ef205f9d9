"""``partimento train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import CycloptsError, Parameter

from partimento import training_runs as runs
from partimento.cli import show
from partimento.cli.main import EXIT_INTERRUPTED
from partimento.cli.options import parse_settings
from partimento.runtime.run_folder import unfinished

__all__ = ["train"]

Config = Annotated[
    Path | None,
    Parameter(help="A .toml or .json file over the preset, such as [training] steps = 2000."),
]
Overrides = Annotated[
    list[str] | None,
    Parameter(
        name="--set",
        help="NAME=VALUE over the preset, such as training.learning_rate=1e-3; may be repeated.",
    ),
]


def train(
    system: str | None = None,
    data: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    preset: str | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    resume: bool = False,
    start_from: Path | None = None,
    seed: int | None = None,
    threads: int | None = None,
    config: Config = None,
    set_: Overrides = None,
) -> int:
    """Train a system on your own music; five files will do, five thousand are better.

    Parameters
    ----------
    system
        A system, such as music_transformer.
    data
        Folders or zips of music, or the names of known corpora.
    out
        The folder of the run, which becomes the model folder.
    preset
        Where to start from, 'default' if left out; 'describe SYSTEM' lists them.
    minutes
        Train so long; the number of steps is found by measuring.
    steps
        Train so many steps.
    resume
        Go on with the run in OUT where it stopped; it remembers all that it was begun with.
    start_from
        Begin with the weights of an earlier run, or of a model, by its folder or name.
    seed
        The same seed gives the same losses; 0 if left out.
    threads
        Threads to train with.
    """
    _check(system, data, resume)
    try:
        runs.train(
            system,
            data or (),
            out,
            preset=preset,
            minutes=minutes,
            steps=steps,
            resume=resume,
            start_from=start_from,
            seed=seed,
            threads=threads,
            config=config,
            overrides=parse_settings(set_ or (), "--set"),
        )
    except KeyboardInterrupt:  # a signal; the training loop has saved
        return _stopped(out)
    return 0


def _check(system: str | None, data: list[str] | None, resume: bool) -> None:
    if not resume and (system is None or not data):
        missing = "SYSTEM and DATA" if system is None else "DATA"
        raise CycloptsError(msg=f"train needs {missing}; only --resume does without")


def _stopped(out: Path) -> int:
    """Report how the run in ``out`` can go on, and return the exit code."""
    if runs.is_begun(out):
        show.note(f"Stopped; {out} is {unfinished(out)}")
    else:
        show.note("Stopped before the first save; nothing was learned")
    return EXIT_INTERRUPTED

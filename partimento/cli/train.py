"""``partimento train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from partimento import api
from partimento.cli.options import parse_settings

__all__ = ["train"]


def train(
    system: str,
    data: Annotated[list[str], Parameter(consume_multiple=True)],
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    preset: str = "default",
    minutes: float | None = None,
    steps: int | None = None,
    resume: bool = False,
    start_from: Path | None = None,
    seed: int = 0,
    threads: int | None = None,
    config: Path | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set")] = None,
) -> None:
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
        Where to start from; 'describe SYSTEM' lists them.
    minutes
        Train so long; the number of steps is found by measuring.
    steps
        Train so many steps.
    resume
        Go on with the run in OUT where it stopped.
    start_from
        Begin with the weights of an earlier run.
    seed
        The same seed gives the same losses.
    threads
        Threads to train with.
    config
        A .toml or .json file over the preset, such as [recipe] steps = 2000.
    set_
        NAME=VALUE over the preset, such as recipe.learning_rate=1e-3; may be repeated.
    """
    api.train(
        system,
        data,
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

"""``partimento train``."""

from __future__ import annotations

import signal
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
    with _Stoppable(out) as stoppable:
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
    return stoppable.exit_code


def _check(system: str | None, data: list[str] | None, resume: bool) -> None:
    if not resume and (system is None or not data):
        missing = "SYSTEM and DATA" if system is None else "DATA"
        raise CycloptsError(msg=f"train needs {missing}; only --resume does without")


class _Stoppable:
    """Says, when a signal ends the block, how the run in ``out`` goes on.

    SIGTERM and SIGHUP stop reading and exporting as Ctrl-C does; the training loop has its own way.
    """

    def __init__(self, out: Path) -> None:
        self.out, self.exit_code = out, 0
        names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]  # not on Windows
        numbers = [getattr(signal, name) for name in names]
        self._before = {number: signal.getsignal(number) for number in numbers}

    def __enter__(self) -> _Stoppable:
        for number, handler in self._before.items():
            if handler is not signal.SIG_IGN:  # as nohup leaves it
                signal.signal(number, signal.default_int_handler)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> bool:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if kind is not KeyboardInterrupt:
            return False
        self.exit_code = EXIT_INTERRUPTED
        if runs.is_begun(self.out):
            show.note(f"Stopped; {self.out} is {unfinished(self.out)}")
        else:
            show.note("Stopped before the first save; nothing was learned")
        return True

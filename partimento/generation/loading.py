"""Models opened by name or path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

from partimento import catalog
from partimento.errors import NotSupported
from partimento.generation.instrument import Instrument
from partimento.music import Piece
from partimento.runtime.contract import Performer, Task
from partimento.runtime.threads import check_threads

__all__ = ["PRECISIONS", "load"]

PRECISIONS = ("int8", "fp32")


def load(
    name_or_path: str | Path | None = None,
    *,
    threads: int | None = None,
    precision: str | None = None,
    task: Task = Task.GENERATE,
    prompt: Piece | None = None,
) -> Instrument:
    """Return a loaded model.

    Args:
        name_or_path: a name that ``models`` lists or a model folder; None takes the default for
            ``task`` and ``prompt``.
        threads: how many threads decode; None lets the machine choose.
        precision: ``"int8"`` or ``"fp32"``; None takes int8 where the model has it.

    Raises:
        ModelError: if there is no such model, or its folder is incomplete or altered.
        NotSupported: if the model lacks this precision.
    """
    if precision is not None and precision not in PRECISIONS:
        raise NotSupported(f"precision is {' or '.join(PRECISIONS)}, not {precision!r}")
    check_threads(threads)
    name = catalog.default_model(task, prompt) if name_or_path is None else name_or_path
    folder = catalog.open_model(name)
    graphs = folder.config["graphs"]
    precision = precision or next((p for p in PRECISIONS if p in graphs), PRECISIONS[0])
    card = catalog.find_card(folder.system)
    make = cast("Callable[..., Performer]", card.load)
    performer = make(folder, threads=threads, precision=precision)
    by_path = "" if str(name) == folder.name else str(name)
    return Instrument(
        folder, card, performer, precision=precision, threads=threads, opened_by_path=by_path
    )

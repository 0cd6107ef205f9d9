"""Tables on stdout, and a progress bar on stderr where it is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

__all__ = ["bar_progress", "table"]


@contextmanager
def bar_progress(what: str, unit: str = "bars") -> Iterator[Callable[[int, int], None] | None]:
    """Yield a callback for (done, asked) that draws a bar with the time passed and left.

    It is None where stderr is no terminal.
    """
    if not sys.stderr.isatty():
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} " + unit),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=1)
        yield lambda done, asked: progress.update(task, completed=done, total=asked)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> None:
    """Print a table on stdout; at full width where stdout is no terminal."""
    view = Table(*heads, title=title or None, title_justify="left")
    for row in rows:
        view.add_row(*row)
    width = None if sys.stdout.isatty() else 160
    Console(file=sys.stdout, width=width, highlight=False).print(view, markup=False)

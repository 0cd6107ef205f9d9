"""How many cores this process may use, and how many threads it is asked to."""

from __future__ import annotations

import os

from partimento.errors import NotSupported

__all__ = ["check_threads", "cores"]


def check_threads(threads: int | None) -> None:
    """Check a number of threads to compute with; None lets the machine choose.

    Raises:
        NotSupported: if it is less than 1.
    """
    if threads is not None and threads < 1:
        raise NotSupported(f"threads are 1 or more, not {threads}")


def cores() -> int:
    """Return the cores this process may use, which a container may hold below the machine's."""
    if hasattr(os, "sched_getaffinity"):  # Linux alone has it
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

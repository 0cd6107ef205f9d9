"""How many cores this process may use, and how many threads it is asked to."""

from __future__ import annotations

import os

from partimento.music.bounds import check_whole

__all__ = ["check_threads", "cores"]

_MOST_THREADS = 1024


def check_threads(threads: int | None) -> None:
    """Check a number of threads to compute with; None lets the machine choose.

    Raises:
        MusicError: if it is not in 1..1024.
    """
    if threads is not None:
        check_whole("threads", threads, 1, _MOST_THREADS)


def cores() -> int:
    """Return the cores this process may use, which a container may hold below the machine's."""
    if hasattr(os, "sched_getaffinity"):  # Linux alone has it
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

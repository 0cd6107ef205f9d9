"""What the processor offers: cores this process may use, threads it is asked to, instructions."""

from __future__ import annotations

import os
from pathlib import Path

from partimento.music.bounds import check_whole

__all__ = ["check_threads", "cores", "instructions"]

_MOST_THREADS = 1024
_PROCESSOR_FILE = Path("/proc/cpuinfo")


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


def instructions() -> frozenset[str]:
    """Return the processor's extensions by their Linux names, such as ``"avx512_vnni"``.

    Where it cannot be asked (not on Linux) nothing is returned: code that needs an extension then
    does without it.
    """
    try:
        lines = _PROCESSOR_FILE.read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    found = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    return frozenset(found.split())

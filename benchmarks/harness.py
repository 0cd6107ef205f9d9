"""What every benchmark shares: its options, its last line, its exit status.

The last line of standard output is one JSON object; the exit status is 1 where a stated figure
is missed. ``--quick`` runs a small version whose figures are for checking the command only.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Options", "say", "start", "timed"]


@dataclass(frozen=True)
class Options:
    """The options of every benchmark."""

    data: str
    quick: bool


def say(text: str) -> None:
    """Print a line of progress, apart from the result."""
    print(text, file=sys.stderr, flush=True)


def timed(call: Callable[[], Any]) -> float:
    """Return the seconds that a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def start(
    doc: str | None,
    run: Callable[[Options], Mapping[str, Any]],
    targets: Mapping[str, Callable[[Any], bool]] | None = None,
) -> None:
    """Parse the options, run, print the figures as the last line, and exit.

    ``targets`` says of some keys what they must be; one that is missed is named, and exits 1.
    """
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument(
        "--data", help="the data folder (else PARTIMENTO_DATA, else ../shared/data)"
    )
    parser.add_argument("--quick", action="store_true", help="a small run that checks the command")
    given = parser.parse_args()
    data = given.data or os.environ.get("PARTIMENTO_DATA") or "../shared/data"
    os.environ["PARTIMENTO_DATA"] = str(Path(data))
    figures = run(Options(data, given.quick))
    missed = [
        name
        for name, holds in (targets or {}).items()
        if name not in figures or not holds(figures[name])
    ]
    if missed:
        say(f"missed: {', '.join(missed)}")
    print(json.dumps(figures), flush=True)
    sys.exit(1 if missed and not given.quick else 0)

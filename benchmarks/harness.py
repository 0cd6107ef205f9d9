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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Options", "say", "start", "timed"]


@dataclass(frozen=True)
class Options:
    """The options of every benchmark; ``more`` holds those of one alone, None where not given."""

    data: str
    quick: bool
    more: Mapping[str, str | None] = field(default_factory=dict)


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
    more: Mapping[str, str] | None = None,
) -> None:
    """Parse the options, run, print the figures as the last line, and exit.

    ``targets`` says of some keys what they must be; one that is missed is named, and exits 1.
    ``more`` are options of this benchmark alone: their names and what they mean.
    """
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument(
        "--data", help="the data folder (else PARTIMENTO_DATA, else ../shared/data)"
    )
    parser.add_argument("--quick", action="store_true", help="a small run that checks the command")
    for name, meaning in (more or {}).items():
        parser.add_argument(f"--{name}", help=meaning)
    given = parser.parse_args()
    data = given.data or os.environ.get("PARTIMENTO_DATA") or "../shared/data"
    os.environ["PARTIMENTO_DATA"] = str(Path(data))
    own = {name: getattr(given, name.replace("-", "_")) for name in more or {}}
    figures = run(Options(data, given.quick, own))
    missed = [
        name
        for name, holds in (targets or {}).items()
        if name not in figures or not holds(figures[name])
    ]
    if missed:
        say(f"missed: {', '.join(missed)}")
    print(json.dumps(figures), flush=True)
    sys.exit(1 if missed and not given.quick else 0)

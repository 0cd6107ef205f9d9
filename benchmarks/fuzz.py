"""Whether every reader is total: spoilt files of every format, and spoilt model folders.

    python -m benchmarks.fuzz [--minutes M | --inputs N] [--seed S] [--formats midi,abc] [--quick]

Each input is made from small valid files by a number (bit flips, truncation, splices, lying
lengths, huge counts, deep nesting, bombs), and read in a worker process under 10 processor seconds
and 1 GB beyond what the worker itself takes. A piece that comes out is hashed, laid out in bars and
encoded. The last line is JSON, for each format ``tried``, ``foreign`` (exceptions that are not the
project's, and workers that died), ``slow`` and ``big``: all 0 but ``tried``. The first finding of
each kind is written to DIR (``fuzz-findings``) as the input, shrunk, beside a JSON with its seed
and what it raised.
"""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.fuzz_formats import FORMATS
from benchmarks.harness import Options, say, start
from partimento.errors import PartimentoError
from partimento.seeds import generator

_MINUTES, _QUICK_SECONDS = 2.0, 6.0
_CPU_SECONDS, _WALL_SECONDS = 10.0, 120.0
_MEMORY = 2**30
_BATCH_SECONDS = 0.5
_SHRINK_SECONDS = 20.0
_KINDS = ("foreign", "slow", "big")


class _OutOfTime(BaseException):
    """Not an Exception, so that no reader can take it for a fault of the file."""


@dataclass(frozen=True)
class Finding:
    """What went wrong with an input: its kind, where, and the input."""

    kind: str
    what: str
    number: int
    data: bytes


@contextmanager
def _time_limit() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise _OutOfTime

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, _CPU_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def judged(name: str, data: bytes) -> tuple[str, str]:
    """Return (kind, what) of reading an input; empty where all is well."""
    try:
        with _time_limit(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            FORMATS[name].read(data)
    except PartimentoError:
        return "", ""
    except _OutOfTime as error:
        return "slow", _place(error)
    except MemoryError as error:
        return "big", _place(error)
    except Exception as error:
        return "foreign", f"{type(error).__name__} {_place(error)}"
    return "", ""


def _place(error: BaseException) -> str:
    """Return the last line of the project that an exception came through."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "partimento" in f.filename]
    last = frames[-1] if frames else None
    return f"{Path(last.filename).name}:{last.lineno} {last.name}" if last else "?"


def _shrunk(name: str, data: bytes, kind: str, what: str) -> bytes:
    """Return a shorter input of the same finding: pieces are left out as long as it stays."""
    until = time.monotonic() + _SHRINK_SECONDS
    size = len(data) // 2
    while size and time.monotonic() < until:
        at = 0
        while at < len(data) and time.monotonic() < until:
            shorter = data[:at] + data[at + size :]
            if judged(name, shorter) == (kind, what):
                data = shorter
            else:
                at += size
        size //= 2
    return data


def _work(pipe: Connection, place: Any, name: str, seed: int) -> None:
    """Judge inputs from the asked number on, for half a second at a time, until told to end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # libraries of sound talk much
    form = FORMATS[name]
    seeds = form.make()
    for data in seeds:  # a valid file is read; this loads all that is needed, too
        form.read(data)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + _MEMORY, taken + _MEMORY))
    known: set[str] = set()
    pipe.send(None)  # ready: from here on time counts
    while (number := pipe.recv()) is not None:
        until = time.monotonic() + _BATCH_SECONDS
        found: list[Finding] = []
        first = number
        while time.monotonic() < until or number == first:
            place.value = number
            data = form.spoil(seeds, generator(seed, number))
            kind, what = judged(name, data)
            if kind:
                if what not in known:
                    known.add(what)
                    data = _shrunk(name, data, kind, what)
                found.append(Finding(kind, what, number, data))
            number += 1
        pipe.send((number - first, found))


def _fuzz(
    name: str, seed: int, seconds: float, inputs: float = math.inf
) -> tuple[dict[str, int], list[Finding]]:
    """Try one format for so long or with so many inputs; a dead or hanging worker is replaced."""
    context = get_context("spawn")
    counts = {"tried": 0, **dict.fromkeys(_KINDS, 0)}
    findings: list[Finding] = []
    spent = 0.0
    number = 0
    while number == 0 or (spent < seconds and number < inputs):
        place = context.Value("q", 0)
        ours, theirs = context.Pipe()
        worker = context.Process(target=_work, args=(theirs, place, name, seed), daemon=True)
        worker.start()
        theirs.close()
        try:
            ours.recv()
            while number == 0 or (spent < seconds and number < inputs):
                began = time.monotonic()
                ours.send(number)
                if not ours.poll(_WALL_SECONDS + _SHRINK_SECONDS):
                    raise TimeoutError
                tried, found = ours.recv()
                counts["tried"] += tried
                number += tried
                findings += found
                spent += time.monotonic() - began
            ours.send(None)
            worker.join(_WALL_SECONDS)
        except (EOFError, OSError) as error:  # TimeoutError is an OSError
            kind = "slow" if isinstance(error, TimeoutError) else "foreign"
            spent += 1.0
            worker.kill()
            worker.join()
            at = int(place.value)
            form = FORMATS[name]
            data = form.spoil(form.make(), generator(seed, at))
            what = "hangs in a library" if kind == "slow" else f"worker ended {worker.exitcode}"
            findings.append(Finding(kind, what, at, data))
            counts["tried"] += at + 1 - number
            number = at + 1
    for finding in findings:
        counts[finding.kind] += 1
    return counts, findings


def _keep(folder: Path, name: str, seed: int, findings: list[Finding]) -> None:
    """Write the first finding of each kind, with its seed."""
    known: set[str] = set()
    for finding in findings:
        if finding.what in known:
            continue
        known.add(finding.what)
        folder.mkdir(parents=True, exist_ok=True)
        stem = f"{name}-{finding.kind}-{finding.number}"
        (folder / stem).write_bytes(finding.data)
        about = {"format": name, "seed": seed, "number": finding.number, "what": finding.what}
        (folder / f"{stem}.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        say(f"{name}: {finding.kind}: {finding.what} (number {finding.number})")


def run(options: Options) -> Mapping[str, Any]:
    """Try all formats in turn and return the counts."""
    seed = int(options.more["seed"] or 0)
    names = (options.more["formats"] or ",".join(FORMATS)).split(",")
    unknown = set(names) - FORMATS.keys()
    if unknown:
        say(f"unknown formats {', '.join(sorted(unknown))}; known: {', '.join(FORMATS)}")
        sys.exit(2)
    inputs = float(options.more["inputs"] or math.inf)
    given = options.more["minutes"] or (math.inf if inputs < math.inf else _MINUTES)
    share = (_QUICK_SECONDS if options.quick else 60 * float(given)) / len(names)
    folder = Path(options.more["out"] or "fuzz-findings")
    figures: dict[str, dict[str, int]] = {}
    for name in names:
        figures[name], findings = _fuzz(name, seed, share, inputs)
        _keep(folder, name, seed, findings)
        say(f"{name}: {figures[name]}")
    bad = sum(counts[kind] for counts in figures.values() for kind in _KINDS)
    return {**figures, "findings": bad}


if __name__ == "__main__":
    start(
        __doc__,
        run,
        {"findings": lambda count: count == 0},
        {
            "minutes": f"how long, all formats together ({_MINUTES:g})",
            "inputs": "how many of each format at least, however long it takes",
            "seed": "of all inputs (0)",
            "formats": f"some of {','.join(FORMATS)}",
            "out": "where findings are written (fuzz-findings)",
        },
    )

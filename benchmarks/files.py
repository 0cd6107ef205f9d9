"""How fast the whole data pack is read and encoded, and what cannot be.

    python -m benchmarks.files [--data DIR] [--fetched DIR] [--quick]

Every piece of every data set: read from its zip, then encoded (chorales on the four-voice grid,
other scores as bar events, audio and chord charts only read). On one process and on two.
The last line is JSON: ``pieces``, ``failures``, ``midi_failures``, ``pieces_per_s_1``,
``pieces_per_s_2``, ``notes_within_2_percent`` (share of scores whose notes agree with the data
pack's own count, which counts grace notes too), ``left_out`` (data sets that are not there), and
``by_corpus``. Exit 1 if anything fails. Sets of which the pack has a list alone are looked for in
DIR/<name of the set>, into which their script has put the sound.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from partimento.errors import FileError, PartimentoError
from partimento.files import Corpus, CorpusItem, corpus_names, open_corpus
from partimento.files.corpora.named import NAMED, data_folder
from partimento.music import Score
from partimento.representations import BarEvents, FourVoiceGrid

_MIDI = ("freedoom_midi", "groove_midi", "js_fakes", "mutopia", "nottingham")
_CHORALES = ("js_fakes", "jsb_chorales")
_CHUNK = 8
_QUICK = 40  # one piece in so many


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one piece."""

    corpus: str
    id: str
    notes: int
    tokens: int
    problem: str


def work(task: tuple[str, CorpusItem]) -> Result:
    """Read one piece and encode it."""
    corpus, item = task
    try:
        piece = item.load()
    except PartimentoError as error:
        return Result(corpus, item.id, 0, 0, f"not read: {error}")
    if not isinstance(piece, Score) or not piece.tracks:
        return Result(corpus, item.id, 0, 0, "")
    notes = sum(len(track.notes) for track in piece.tracks)
    form = FourVoiceGrid() if corpus in _CHORALES else BarEvents()
    try:
        tokens = len(form.encode(piece))
    except PartimentoError as error:
        return Result(corpus, item.id, notes, 0, f"not encoded: {error}")
    return Result(corpus, item.id, notes, tokens, "")


def tasks(
    data: Path, quick: bool, fetched: Path | None, left_out: list[str]
) -> Iterator[tuple[str, CorpusItem]]:
    """Yield every piece of the data pack that is there (one in forty if ``quick``)."""
    for name in corpus_names():
        options: dict[str, Any] = {}
        if fetched is not None and "fetched" in NAMED[name].options:
            options = {"fetched": fetched / name}
        if "tier" in NAMED[name].options:
            options["tier"] = "AB"
        try:
            corpus: Corpus = open_corpus(name, data, **options)
        except FileError as error:
            print(f"left out: {error}")
            left_out.append(name)
            continue
        for item in corpus.items[:: _QUICK if quick else 1]:
            yield name, item


def counted(data: Path, name: str) -> dict[str, int]:
    """Return the data pack's own count of notes by id, where it has one."""
    table = data / name / "pieces.tsv"
    if not table.is_file():
        return {}
    with table.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return {row["id"]: int(row["notes"]) for row in rows if row.get("notes")}


def agreement(data: Path, results: list[Result]) -> float:
    """Return the share of scores whose notes lie within 2 % of the data pack's count."""
    close = total = 0
    # The chorales have no onsets; their count joins notes over bar lines, ours does not.
    for name in sorted({result.corpus for result in results} - {"jsb_chorales"}):
        known = counted(data, name)
        for result in results:
            if result.corpus == name and result.notes and result.id in known:
                total += 1
                close += abs(result.notes - known[result.id]) <= 0.02 * known[result.id]
    return close / total if total else 0.0


def summary(results: list[Result], seconds: dict[str, float]) -> dict[str, dict[str, float]]:
    """Print and return the figures of each data set."""
    by_corpus: dict[str, dict[str, float]] = {}
    for name, took in seconds.items():
        own = [result for result in results if result.corpus == name]
        by_corpus[name] = {
            "pieces": len(own),
            "failures": sum(bool(result.problem) for result in own),
            "notes": sum(result.notes for result in own),
            "tokens": sum(result.tokens for result in own),
            "pieces_per_s": round(len(own) / took, 1),
        }
        print(f"{name:24}{json.dumps(by_corpus[name])}")
    return by_corpus


def main() -> int:
    """Measure, print, and tell by the exit status whether every piece was read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="the data pack's folder")
    parser.add_argument("--fetched", type=Path, help="where fetched data sets are, by name")
    parser.add_argument("--quick", action="store_true", help="one piece in forty")
    arguments = parser.parse_args()
    data = data_folder(arguments.data)
    left_out: list[str] = []
    todo = list(tasks(data, arguments.quick, arguments.fetched, left_out))
    if not todo:
        print(f"{data}: there is no data pack; name it by --data or PARTIMENTO_DATA")
        return 1

    start = time.perf_counter()
    results = []
    seconds: dict[str, float] = {}
    for task in todo:
        before = time.perf_counter()
        results.append(work(task))
        seconds[task[0]] = seconds.get(task[0], 0.0) + time.perf_counter() - before
    one = len(todo) / (time.perf_counter() - start)

    start = time.perf_counter()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        again = list(pool.map(work, todo, chunksize=_CHUNK))
    two = len(todo) / (time.perf_counter() - start)
    if again != results:
        print("two processes did not give what one gave")
        return 1

    failed = [result for result in results if result.problem]
    for result in failed:
        print(f"{result.corpus} {result.id}: {result.problem}")
    by_corpus = summary(results, seconds)
    midi_failures = sum(result.corpus in _MIDI for result in failed)
    figures = {
        "pieces": len(todo),
        "failures": len(failed),
        "midi_failures": midi_failures,
        "pieces_per_s_1": round(one, 1),
        "pieces_per_s_2": round(two, 1),
        "notes_within_2_percent": round(agreement(data, results), 4),
        "left_out": left_out,
        "by_corpus": by_corpus,
    }
    print(json.dumps(figures))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

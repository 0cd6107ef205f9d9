"""``partimento corpora``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import CycloptsError, Parameter

from partimento import files
from partimento import training_runs as runs
from partimento.cli import screen, show
from partimento.errors import FileError
from partimento.files.corpora.named import NAMED

__all__ = ["corpora"]


def corpora(
    action: Literal["list", "check"] = "list",
    data: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    /,
    *,
    data_dir: Annotated[Path | None, Parameter(name="--data")] = None,
    json_: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """List the known corpora, or check data as 'train' does before it starts.

    Parameters
    ----------
    action
        'list', or 'check' with what to check.
    data
        Folders or zips of music, or names of known corpora; several are also held against each
        other, so that no work is in the train split of one and the test split of another.
    data_dir
        Where the data pack is; else PARTIMENTO_DATA.
    json_
        Print JSON instead of text.
    """
    if action == "list":
        _list(data_dir, json_)
        return
    if not data:
        raise CycloptsError(msg="corpora check needs DATA, such as a folder")
    _check(data, data_dir, json_)


def _list(data_dir: Path | None, as_json: bool) -> None:
    rows = []
    for name in files.corpus_names():
        try:
            pieces, problem = str(len(files.open_corpus(name, data_dir))), ""
        except FileError as error:
            pieces, problem = "-", error.problem
        options = " ".join(sorted(NAMED[name].options))
        rows.append((name, pieces, NAMED[name].licence, options, problem))
    head = ("corpus", "pieces", "licence", "options", "problem")
    if as_json:
        show.say(json.dumps([dict(zip(head, row, strict=True)) for row in rows], indent=2))
    else:
        screen.table(head, rows)
        show.say("Use one as NAME or NAME:option=value; folders and zips are corpora too.")


def _check(data: list[str], data_dir: Path | None, as_json: bool) -> None:
    opened = [runs.open_data(place, data_dir) for place in data]
    looks = [corpus.preflight() for corpus in opened]
    found = files.together(opened, looks)
    if not as_json:
        for corpus, look in zip(opened, looks, strict=True):
            show.say(f"{corpus.name}: {look.summary()}")
            counts = {split: len(corpus.of_split(split)) for split in ("train", "valid", "test")}
            show.say(f"{corpus.name}: " + ", ".join(f"{n} {split}" for split, n in counts.items()))
        if found.summary():
            show.say(found.summary())
        return
    values: list[dict[str, Any]] = [
        {
            "corpus": corpus.name,
            "usable": len(look.usable),
            "skipped": dict(look.skipped),
            "duplicates": dict(look.duplicates),
            "notes": look.notes,
            "seconds": round(look.seconds, 1),
        }
        for corpus, look in zip(opened, looks, strict=True)
    ]
    together = {"held_out": dict(found.held_out), "copies": dict(found.copies)}
    show.say(json.dumps({"corpora": values, **together}, indent=2, ensure_ascii=False))

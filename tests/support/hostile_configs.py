"""Configs of model folders with one value made wrong, for tests of what opens them."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from partimento import api
from partimento.catalog import SHIPPED
from partimento.music import Note, Score, Track

__all__ = ["GONE", "WRONG", "hostile_copy", "mutated", "places", "play_a_little"]

GONE = object()  # in place of a value: it is left out
WRONG: tuple[Any, ...] = (
    GONE, None, True, 0, -5, 1, 7, 10**9, 10**400, 2.5, -1e300, float("nan"), float("inf"), "",
    "12", "../config.json", "x" * 100_000, "\x1b[2J", [], [1, 2], [[[]]], {},
    {"kind": "transformer"},
)  # fmt: skip
_SHOWN_ONLY = ("preset", "trained")  # tables that nothing but `describe` looks into
_SCORE = Score((Track("A", tuple(Note(480 * at, 60 + at, 480) for at in range(8))),))

Place = tuple[str | int, ...]


def places(config: Any, before: Place = ()) -> Iterator[Place]:
    """Yield the place of every value of a config, tables and lists among them."""
    entries = config.items() if isinstance(config, dict) else enumerate(config)
    for key, value in entries:
        place = (*before, key)
        yield place
        if isinstance(value, dict | list) and key not in _SHOWN_ONLY:
            yield from places(value, place)


def mutated(config: dict[str, Any], place: Place, value: Any) -> dict[str, Any]:
    """Return a config with another value at a place."""
    out: Any = copy.deepcopy(config)
    at = out
    for key in place[:-1]:
        at = at[key]
    if value is GONE:
        del at[place[-1]]
    else:
        at[place[-1]] = value
    return out  # type: ignore[no-any-return]


def hostile_copy(model: str, folder: Path) -> dict[str, Any]:
    """Copy a shipped model's files into a folder; return its config."""
    shutil.copytree(SHIPPED / model, folder, dirs_exist_ok=True)
    return json.loads((SHIPPED / model / "config.json").read_text())  # type: ignore[no-any-return]


def play_a_little(folder: Path) -> None:
    """Describe a model and have it make a bar, a second of sound or a humanized score."""
    described = api.describe(folder)
    if described.system == "tts_gan":
        api.humanize(_SCORE, seed=1, model=folder, threads=1)
        return
    instrument = api.load(folder, threads=1)
    if instrument.makes == "audio":
        instrument.generate(seconds=0.3, seed=1)
        return
    instrument.generate(bars=1, seed=1)
    if described.system == "getmusic":
        instrument.accompany(_SCORE, num_samples=1, seed=1)

"""Data sets of which the pack has a list and a script that fetches them, not the files."""

from __future__ import annotations

import csv
from functools import partial
from os import PathLike
from pathlib import Path

from partimento.errors import FileError, NotSupported
from partimento.files.corpora.items import CorpusItem
from partimento.files.corpora.splits import split_of
from partimento.files.formats import font_samples, read, read_font_sample

__all__ = ["TIERS", "game_items", "sample_items"]

TIERS = ("A", "AB")
_FONTS = ("FluidR3_GM.sf2", "MuseScore_General_Full.sf3")
_NO_MUSIC = "ambience"  # the kind of tracks that are noises


def game_items(table: Path, folder: Path, tier: str) -> tuple[CorpusItem, ...]:
    """Return the tracks of free games that are free enough, ambience left out.

    All that are listed stand here; loading one that was not fetched says so.

    Raises:
        FileError: if the list is missing or nothing has been fetched.
        NotSupported: for an unknown tier.
    """
    if tier not in TIERS:
        raise NotSupported(f"there is no tier {tier!r}; it is one of {', '.join(TIERS)}")
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    chosen = [row for row in rows if row["tier"] in tier and row["kind"] != _NO_MUSIC]
    if not any((folder / row["file"]).is_file() for row in chosen):
        raise _not_fetched(table.parent, folder)
    items = []
    for row in chosen:
        load = partial(read, str(folder / row["file"]))
        items.append(CorpusItem(row["id"], row["split"], row["group"], load))
    return tuple(items)


def sample_items(source: Path, folder: Path) -> tuple[CorpusItem, ...]:
    """Return the recorded notes of the sound fonts that were fetched, as mono sound.

    Splits are by instrument, so that no note of a train instrument is in test; the fonts, which
    share recordings, are split alike.

    Raises:
        FileError: if no font has been fetched.
    """
    items = []
    for font in (folder / name for name in _FONTS):
        if font.is_file():
            for sample in font_samples(font):
                group = sample.instrument
                split = split_of("instrument_samples", group)
                load = partial(read_font_sample, str(font), sample.name)
                items.append(CorpusItem(f"{font.stem}/{sample.name}", split, group, load))
    if not items:
        raise _not_fetched(source, folder)
    return tuple(items)


def _not_fetched(source: Path, folder: str | PathLike[str]) -> FileError:
    remedy = f"run {source / 'get'} FOLDER, then name it: {source.name}:fetched=FOLDER"
    return FileError(folder, "the sound of this data set has not been fetched", remedy)

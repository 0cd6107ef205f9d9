"""The data sets of the data pack, by name: what each is, and how its pieces are read."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from os import PathLike
from pathlib import Path

from partimento.errors import FileError, NotSupported
from partimento.files.chord_charts import score_of_chart
from partimento.files.corpora.fetched import game_items, sample_items
from partimento.files.corpora.items import CorpusItem, load_member, read_member
from partimento.music import Note, Piece, Score, Tempo, TimeSignature, Track
from partimento.music.score import TICKS_PER_QUARTER

__all__ = ["NAMED", "DataSet", "data_folder", "named_items", "work_of_chopin"]

_VOICES = ("Soprano", "Alto", "Tenor", "Bass")
_CHOIR = 52
_VELOCITY = 80
_STEP_TICKS = TICKS_PER_QUARTER // 4
_STEPS_PER_BAR = 16
_JSB_TEMPO = 100.0
_KEYBOARDS = 8  # programs 0..7
_PARTS = ("all", "piano", "voice")

_Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class DataSet:
    """One data set: its licence, where its pieces lie in the zip, which options it takes.

    Without a place in a zip the pack has a list and a script alone (``fetched``).
    """

    licence: str
    member: Callable[[str], str] | None = None
    options: frozenset[str] = frozenset()


NAMED: dict[str, DataSet] = {
    "chopin_first_editions": DataSet(
        "CC-BY-4.0", "kern/{}.krn".format, frozenset({"one_edition", "part"})
    ),
    "free_game_music": DataSet(
        "per track: public domain, CC0, CC-BY, MIT; with tier AB also CC-BY-SA",
        options=frozenset({"fetched", "tier"}),
    ),
    "freedoom_midi": DataSet("BSD-3-Clause", "musics/{}.mid".format),
    "groove_midi": DataSet("CC-BY-4.0", "{}".format),
    "hauptstimme_orchestra": DataSet("CC0-1.0", "data/{}.mxl".format),
    "instrument_samples": DataSet(
        "MIT (parts CC0 or public domain)", options=frozenset({"fetched"})
    ),
    "js_fakes": DataSet("CC-BY-4.0", "{}".format),
    "jsb_chorales": DataSet("none stated; the music is in the public domain", "{}".format),
    "mcgill_billboard": DataSet("CC0", "billboard-2.0-salami_chords/{}/salami_chords.txt".format),
    "mutopia": DataSet("per piece: public domain or CC-BY", "midi/{}.mid".format),
    "nottingham": DataSet("GPL-3.0", "MIDI/{}.mid".format),
    "openewld_pd": DataSet("MIT", "dataset/{}.mxl".format, frozenset({"pd_world"})),
    "openscore_lieder": DataSet("CC0-1.0", "scores/{}.mxl".format, frozenset({"part"})),
    "openscore_quartets": DataSet("CC0-1.0", "scores/{}.mxl".format),
    "sonic_pi_samples": DataSet("CC0-1.0", "samples/{}.flac".format),
}


def data_folder(data_dir: str | PathLike[str] | None = None) -> Path:
    """Return the folder of the data pack: the argument, PARTIMENTO_DATA, or ../shared/data."""
    return Path(data_dir or os.environ.get("PARTIMENTO_DATA") or "../shared/data")


def named_items(
    name: str,
    data_dir: str | PathLike[str] | None,
    pd_world: bool = False,
    one_edition: bool = False,
    part: str = "all",
    fetched: str | PathLike[str] | None = None,
    tier: str = "A",
) -> tuple[CorpusItem, ...]:
    """Return the items of a data set of the pack, with the pack's own splits.

    Raises:
        FileError: if the pack is not there, or what it lists has not been fetched.
        NotSupported: for an option that this data set does not take.
    """
    asked = {
        "pd_world": pd_world,
        "one_edition": one_edition,
        "part": part != "all",
        "fetched": fetched is not None,
        "tier": tier != "A",
    }
    for option, wanted in asked.items():
        if wanted and option not in NAMED[name].options:
            takers = ", ".join(n for n, data in NAMED.items() if option in data.options)
            raise NotSupported(f"{name} takes no option {option}; these do: {takers}")
    if part not in _PARTS:
        raise NotSupported(f"there is no part {part!r}; it is one of {', '.join(_PARTS)}")
    folder = data_folder(data_dir) / name
    if NAMED[name].member is None:
        return _fetched_items(name, folder, Path(fetched or folder / "fetched"), tier)
    archive = str(folder / f"{name}.zip")
    rows = list(_rows(folder))
    if pd_world:
        rows = [row for row in rows if row["pd"] == "pd_world"]
    if one_edition:
        rows = _one_edition(rows)
    return tuple(
        CorpusItem(row["id"], row["split"], row["group"], _loader(name, archive, row["id"], part))
        for row in rows
    )


def _fetched_items(name: str, folder: Path, fetched: Path, tier: str) -> tuple[CorpusItem, ...]:
    try:
        if name == "free_game_music":
            return game_items(folder / "tracks.tsv", fetched, tier)
        return sample_items(folder, fetched)
    except OSError as error:
        raise _absent(folder) from error


def _rows(folder: Path) -> Iterator[_Row]:
    table = folder / "pieces.tsv"
    try:
        with table.open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
    except OSError as error:
        raise _absent(table) from error


def _absent(place: Path) -> FileError:
    remedy = "name the data pack's folder by --data or PARTIMENTO_DATA"
    return FileError(place, "this data set is not there", remedy)


def _loader(name: str, archive: str, id_: str, part: str) -> Callable[[], Piece]:
    if name == "jsb_chorales":
        return partial(_load_jsb, archive, id_)
    place = NAMED[name].member
    assert place is not None
    member = place(id_)
    if name == "js_fakes":
        return partial(_load_js_fake, archive, member)
    if name == "mcgill_billboard":
        return partial(_load_chart, archive, member)
    if part != "all":
        return partial(_load_part, archive, member, part)
    return partial(load_member, archive, member)


@lru_cache(maxsize=1)
def _jsb_grids(archive: str) -> dict[str, list[list[list[int]]]]:
    grids: dict[str, list[list[list[int]]]] = json.loads(
        read_member(archive, "Jsb16thSeparated.json")
    )
    return grids


def _load_jsb(archive: str, id_: str) -> Score:
    """Return a chorale of Jsb16thSeparated.json, ``"test/003"``; held notes end at bar lines.

    The data say neither onsets nor metre nor tempo: equal pitches inside a bar of sixteen steps
    are one note, and the tempo of 100 is the data pack's.
    """
    split, _, index = id_.partition("/")
    grid = _jsb_grids(archive)[split][int(index)]
    tracks = []
    for voice, name in enumerate(_VOICES):
        line = [step[voice] for step in grid]
        notes = []
        start = 0
        for step in range(1, len(line) + 1):
            ends = step == len(line) or step % _STEPS_PER_BAR == 0 or line[step] != line[start]
            if ends:
                if line[start] >= 0:
                    length = (step - start) * _STEP_TICKS
                    notes.append(Note(start * _STEP_TICKS, line[start], length, _VELOCITY))
                start = step
        tracks.append(Track(name, tuple(notes), program=_CHOIR))
    return Score(
        tuple(tracks),
        tempos=(Tempo(0, _JSB_TEMPO),),
        time_signatures=(TimeSignature(0, 4, 4),),
        title=f"Chorale {id_}",
        written_length_ticks=len(grid) * _STEP_TICKS,
    )


def _load_js_fake(archive: str, member: str) -> Score:
    """Return a JS Fake chorale with its four tracks named Soprano, Alto, Tenor, Bass."""
    score = load_member(archive, member)
    assert isinstance(score, Score)
    tracks = [
        replace(track, name=name, program=_CHOIR)
        for track, name in zip(score.tracks, _VOICES, strict=False)
    ]
    return score.with_tracks(tracks)


def _load_chart(archive: str, member: str) -> Score:
    """Return a Billboard chord chart: chord symbols in their bars, no notes."""
    return score_of_chart(
        read_member(archive, member).decode("utf-8", "replace"), f"{archive}/{member}"
    )


def _load_part(archive: str, member: str, part: str) -> Score:
    """Return the piano part of a score as one track, or what is not piano.

    Raises:
        FileError: if the score has no such part.
    """
    score = load_member(archive, member)
    assert isinstance(score, Score)
    pianos = [t for t in score.tracks if t.program < _KEYBOARDS and not t.is_drum]
    if part == "voice":
        chosen = [track for track in score.tracks if track not in pianos]
    else:
        chosen = [replace(pianos[0], name="Piano")] if pianos else []
        for track in pianos[1:]:
            joined = replace(chosen[0], notes=chosen[0].notes + track.notes)
            chosen = [replace(joined, pedals=joined.pedals + track.pedals)]
    if not any(track.notes for track in chosen):
        raise FileError(f"{archive}/{member}", f"it has no {part} part", "leave it out")
    return score.with_tracks(chosen)


# The separate Paris prints of op. 72 count their pieces from 1 again.
_OP_72 = {"001": "003", "002": "004", "003": "005", "marche": "002"}


def work_of_chopin(id_: str) -> str:
    """Return the work that an edition's id names: ``"028/004"`` for ``028_1-12-1a-C-004``.

    The opus, the number in the opus (001 where there is only one), and for the two-piano Rondo
    which of the pianos.
    """
    opus = re.match(r"\d{3}|[A-Za-z]+", id_)
    assert opus is not None
    numbers = re.findall(r"-(\d{3})(?=-|$)", id_)
    single = re.match(r"\d{3}_(\d+)-", id_)
    if id_.startswith("072sep"):
        number = _OP_72[numbers[0] if numbers else "marche"]
    elif numbers:
        number = numbers[-1]
    elif single is not None:
        number = single[1].zfill(3)
    else:
        number = "001"
    return f"{opus[0]}/{number}" + ("/primo" if "primo" in id_ else "")


def _one_edition(rows: list[_Row]) -> list[_Row]:
    """Keep one edition of each work: the whole score before a part, then the first id."""
    chosen: dict[str, _Row] = {}
    for row in sorted(rows, key=lambda r: (r["id"].endswith("-piano"), r["id"])):
        chosen.setdefault(work_of_chopin(row["id"]), row)
    kept = {row["id"] for row in chosen.values()}
    return [row for row in rows if row["id"] in kept]

"""A data folder of a few composed pieces under the names of the known corpora, for benchmarks."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np

from partimento.files import write
from partimento.files.corpora.named import NAMED
from partimento.music import Score

from support.tiny_models import groove, song

SPLITS = ("train",) * 6 + ("valid",) * 4 + ("test",) * 4


def _steps(seed: int, bars: int = 8) -> list[list[int]]:
    """Return four voices in sixteenths, each within its range."""
    draw = np.random.default_rng(seed)
    walk = np.cumsum(draw.integers(-2, 3, size=(bars * 4, 4)), axis=0) % 7
    grid = np.repeat(np.array([67, 60, 53, 43]) + walk, 4, axis=0)
    return [[int(pitch) for pitch in row] for row in grid]


def _midi(name: str, seed: int) -> Score:
    return groove(seed, bars=16) if name == "groove_midi" else song(seed, bars=16)


def tiny_pack(root: Path) -> Path:
    """Write jsb_chorales, js_fakes, nottingham and groove_midi; returns ``root``."""
    grids: dict[str, list[list[list[int]]]] = {"train": [], "valid": [], "test": []}
    for seed, split in enumerate(SPLITS):
        grids[split].append(_steps(seed))
    rows = [(f"{split}/{at:03}", split) for split, own in grids.items() for at in range(len(own))]
    _write(root, "jsb_chorales", rows, {"Jsb16thSeparated.json": json.dumps(grids).encode()})
    for name in ("js_fakes", "nottingham", "groove_midi"):
        place = NAMED[name].member
        assert place is not None
        rows = [
            (f"{at}.mid" if name != "nottingham" else f"{at}", s) for at, s in enumerate(SPLITS)
        ]
        members = {}
        for seed, (id_, _) in enumerate(rows):
            write(_midi(name, seed), root / "piece.mid")
            members[place(id_)] = (root / "piece.mid").read_bytes()
        _write(root, name, rows, members)
    return root


def _write(root: Path, name: str, rows: list[tuple[str, str]], members: dict[str, bytes]) -> None:
    (root / name).mkdir()
    lines = ["id\tsplit\tgroup", *(f"{id_}\t{split}\t{id_}" for id_, split in rows)]
    (root / name / "pieces.tsv").write_text("\n".join(lines) + "\n")
    with zipfile.ZipFile(root / name / f"{name}.zip", "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)

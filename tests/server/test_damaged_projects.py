"""A damaged or hostile database of projects: what is whole is written, inside the folder."""

from __future__ import annotations

import sqlite3
import zlib
from pathlib import Path

import pytest

from partimento.cli.main import main
from partimento.errors import FileError
from partimento.server.store import Store


def base_of(path: Path, blobs: list[bytes], project: str = "p") -> Path:
    """Write a database of one project with a version for each blob."""
    Store(path).close()
    with sqlite3.connect(path) as base:
        base.execute("INSERT INTO project VALUES (?, 'song', NULL, 1.0, NULL)", (project,))
        for number, blob in enumerate(blobs):
            base.execute(
                "INSERT INTO version VALUES (?, ?, NULL, 'made', ?, 0, ?)",
                (str(number), project, blob, float(number)),
            )
    base.close()
    return path


@pytest.mark.parametrize(
    "blob",
    [b"", b"no zlib", zlib.compress(b"{")[:-2], zlib.compress(b"\xff\xfe"), zlib.compress(b"[]"),
     zlib.compress(b" " * (2**26 + 1))],
)  # fmt: skip
def test_one_damaged_version_does_not_stop_the_rest(blob: bytes, tmp_path: Path) -> None:
    whole = zlib.compress(b"{}")
    path = base_of(tmp_path / "projects.sqlite3", [blob, whole])
    out = tmp_path / "out"
    assert main(["projects", "export", str(out), "--projects", str(path)]) == 1
    assert [p.name for p in out.rglob("*.mid")] == ["0002 made.mid"]


def test_an_id_does_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    path = base_of(tmp_path / "projects.sqlite3", [zlib.compress(b"{}")], "x/../../../evil")
    out = tmp_path / "a" / "out"
    assert main(["projects", "export", str(out), "--projects", str(path)]) == 0
    assert len(list(out.rglob("*.mid"))) == len(list(tmp_path.rglob("*.mid"))) == 1


def test_a_file_is_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = base_of(tmp_path / "projects.sqlite3", [zlib.compress(b"{}")])
    assert main(["projects", "export", str(path), "--projects", str(path)]) == 1
    assert "error:" in capsys.readouterr().err


def test_a_document_that_is_no_bytes(tmp_path: Path) -> None:
    path = base_of(tmp_path / "projects.sqlite3", [7])  # type: ignore[list-item]
    store = Store(path)
    with pytest.raises(FileError, match="damaged"):
        store.document("p", "0")
    store.close()

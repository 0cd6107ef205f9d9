"""The benchmark of edits keeps all of a few composed files, and sees what is lost."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from benchmarks import keep
from benchmarks.harness import Options
from partimento.files import write

from support.tiny_models import song


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PARTIMENTO_DATA", str(tmp_path))
    for seed, corpus in enumerate((*keep.MUSICXML, *keep.MIDI)):
        name = f"piece{'.mid' if corpus in keep.MIDI else '.musicxml'}"
        write(song(seed, bars=4), tmp_path / name)
        (tmp_path / corpus).mkdir()
        with zipfile.ZipFile(tmp_path / corpus / "all.zip", "w") as packed:
            packed.write(tmp_path / name, name)
    return tmp_path


def run(data: Path) -> dict[str, object]:
    return keep.run(Options(str(data), quick=True, more={"musescore": "none"}))


def test_every_file_is_kept(data: Path) -> None:
    figures = run(data)
    assert figures["tried"] == 6
    assert figures["kept"] == 6, figures


def test_a_lost_event_is_seen(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patched = keep.patched_midi

    def without_texts(*given: object) -> bytes:
        return patched(*given).replace(b"\xff\x03", b"\xff\x01")  # type: ignore[arg-type]

    monkeypatch.setattr(keep, "patched_midi", without_texts)
    figures = run(data)
    assert figures["differences"] == {"events": 2}
    assert figures["kept"] == 4

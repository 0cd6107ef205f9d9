from __future__ import annotations

import json
from pathlib import Path

import pytest

from partimento.cli.main import main
from partimento.files import corpus_names, write

from support.works import changed, tune


def test_corpora_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["corpora", "--data", str(tmp_path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["corpus"] for row in rows] == list(corpus_names())
    assert {row["pieces"] for row in rows} == {"-"}
    assert main(["corpora", "--data", str(tmp_path)]) == 0
    assert "mutopia" in capsys.readouterr().out


def test_data_are_checked_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    for number in range(12):
        write(tune(number), one / f"{number}.mid")
    write(changed(tune(0), 2, 1.0), two / "same.mid")
    (one / "bad.mid").write_bytes(b"MThd")
    assert main(["corpora", "check", str(one), str(two)]) == 0
    said = capsys.readouterr().out
    assert "one: 12 usable, 1 skipped: bad.mid: " in said
    assert "same.mid" in said
    assert main(["corpora", "check", str(one), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["corpora"][0]["usable"] == 12
    assert main(["corpora", "check"]) == 2
    assert "needs DATA" in capsys.readouterr().err

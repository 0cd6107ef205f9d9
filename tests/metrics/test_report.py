from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from partimento.errors import FileError, MissingExtra, MusicError
from partimento.metrics.copying import CopyIndex
from partimento.metrics.features import HISTOGRAMS, SCALARS
from partimento.metrics.plots import save_plots
from partimento.metrics.report import Report, compare
from partimento.music import Promises, Score, parse_key

from support.tiny_music import drums, solo, some

TRAINING = some(6, 3)


@pytest.fixture(scope="module")
def report() -> Report:
    return compare(
        some(6, 1),
        some(5, 0),
        np.random.default_rng(0),
        CopyIndex.build(TRAINING),
        Promises(bars=8, key=parse_key("C")),
    )


def test_it_holds_everything(report: Report) -> None:
    assert set(report.features) == {*SCALARS, *HISTOGRAMS}
    assert report.overlap is not None
    assert 0.5 < report.overlap <= 1
    assert report.similarity_error is not None
    assert report.judge is not None
    assert report.copy_generated is not None
    assert report.copy_generated.pieces == 6
    assert report.copy_reference is not None
    assert report.copy_reference.pieces == 5
    assert report.adherence is not None
    assert all(one.kept for one in report.adherence.values())


def test_table_and_json(report: Report) -> None:
    rows = {row.measure: row for row in report.rows()}
    assert rows["pieces"].generated == "6"
    assert rows["promises kept"].generated == "6 of 6"
    assert "OA" in rows["polyphony (notes)"].comparison
    assert "50 % is best" in rows["judge's accuracy"].comparison
    values = json.loads(report.to_json())
    assert values == report.summary()
    assert values["judge"]["pieces"] == [6, 5]
    assert len(values["similarity_reference"]) == 40
    assert values["similarity_reference"][30] is None


def test_the_same_seed_gives_the_same_report(report: Report) -> None:
    again = compare(
        some(6, 1),
        some(5, 0),
        np.random.default_rng(0),
        CopyIndex.build(TRAINING),
        Promises(bars=8, key=parse_key("C")),
    )
    assert again.to_json() == report.to_json()


@pytest.mark.parametrize(
    "pieces",
    [
        {"one": solo([60, 62, 64])},
        {"empty": Score()},
        {"drums": drums()},
        {"a": Score(), "b": Score(), "c": drums(), "d": drums(9)},
        {str(k): Score() for k in range(5)},
        {str(k): drums(4 + k) for k in range(5)},
    ],
)
def test_degenerate_sets_have_a_report(pieces: dict[str, Score]) -> None:
    index = CopyIndex.build(pieces)
    for made, real in ((pieces, some(5, 0)), (some(5, 0), pieces), (pieces, pieces)):
        found = compare(made, real, np.random.default_rng(0), index)
        json.loads(found.to_json())
        assert all(len(row.measure) for row in found.rows())


def test_identical_sets() -> None:
    pieces = some(5, 0)
    found = compare(pieces, pieces, np.random.default_rng(0))
    assert found.similarity_error == 0
    assert found.judge is not None
    assert found.judge.accuracy == pytest.approx(0.5)


def test_empty_sets_are_refused() -> None:
    with pytest.raises(MusicError, match="no generated pieces"):
        compare({}, some(1, 0), np.random.default_rng(0))
    with pytest.raises(MusicError, match="no reference pieces"):
        compare(some(1, 0), {}, np.random.default_rng(0))


def test_plots(report: Report, tmp_path: Path) -> None:
    paths = save_plots(report, tmp_path / "made" / "plots")
    assert [p.name for p in paths] == ["features.png", "histograms.png", "similarity.png"]
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in paths)
    assert len(list(paths[0].parent.iterdir())) == 3
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be written"):
        save_plots(report, tmp_path / "file")


def test_plots_of_nothing(tmp_path: Path) -> None:
    pieces = {"empty": Score(), "drums": drums()}
    assert len(save_plots(compare(pieces, pieces, np.random.default_rng(0)), tmp_path)) == 3


def test_plots_need_their_extra(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match=r"partimento\[plots\]"):
        save_plots(report, tmp_path)

"""The picture of the architecture is that of the imports."""

from __future__ import annotations

from graphlib import CycleError
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.architecture_picture import PICTURE, parts_of, rows_of, shown, svg_of


def test_the_picture_is_current() -> None:
    remedy = "run: python -m benchmarks.architecture_picture"
    assert PICTURE.read_text(encoding="utf-8") == svg_of(parts_of()), remedy


def test_every_part_is_named_and_every_import_points_down() -> None:
    parts = parts_of()
    words = {each.text for each in ElementTree.fromstring(svg_of(parts)).iter() if each.text}
    assert set(parts) <= words
    level = {part: index for index, row in enumerate(rows_of(parts)) for part in row}
    assert all(level[part] < level[each] for part, names in parts.items() for each in names)


def test_arrows_that_a_path_says_are_left_out() -> None:
    parts = {"a": {"b", "c"}, "b": {"c"}, "c": set[str]()}
    assert shown(parts) == [("a", "b"), ("b", "c")]
    assert rows_of(parts) == [["a"], ["b"], ["c"]]


def test_imports_are_found_in_every_form_and_a_circle_is_an_error(tmp_path: Path) -> None:
    package = tmp_path / "partimento"
    package.mkdir()
    (package / "one.py").write_text("from partimento import two\nimport partimento.three as t\n")
    (package / "two.py").write_text("def f():\n    from partimento.three import x\n")
    (package / "three.py").write_text("import numpy\n")
    parts = parts_of(package)
    assert parts == {"one": {"two", "three"}, "two": {"three"}, "three": set()}
    (package / "three.py").write_text("from partimento.one import y\n")
    with pytest.raises(CycleError):
        rows_of(parts_of(package))

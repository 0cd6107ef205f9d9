from __future__ import annotations

from pathlib import Path

import pytest

from partimento.evaluation import scores_of
from partimento.files import write
from partimento.music import Note, Score, Track


def test_what_cannot_be_read_is_named_and_never_stops_the_rest(tmp_path: Path) -> None:
    write(Score((Track("A", (Note(0, 60, 480),)),)), tmp_path / "a.mid")
    (tmp_path / "b.mid").write_bytes(b"MThd")
    (tmp_path / "c.krn").write_text("**kern\n" + "0" * 4000 + "c\n*-\n")
    with pytest.warns(UserWarning, match=r"2 pieces left out: b\.mid: .*; c\.krn: line 2"):
        assert list(scores_of(tmp_path)) == ["a.mid"]

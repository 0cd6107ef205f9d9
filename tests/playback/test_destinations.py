from __future__ import annotations

from pathlib import Path

import pytest

from partimento.errors import FileError
from partimento.playback.destinations import check_new, check_source, destinations


def test_an_existing_output_is_refused_unless_forced(tmp_path: Path) -> None:
    here = tmp_path / "a.mid"
    here.write_bytes(b"mine")
    with pytest.raises(FileError, match=r"a\.mid: exists already; .*--force"):
        destinations([here], [7])
    assert destinations([here], [7], force=True) == [[here]]
    assert here.read_bytes() == b"mine"


def test_a_link_that_leads_nowhere_is_an_existing_output(tmp_path: Path) -> None:
    link = tmp_path / "a.mid"
    link.symlink_to(tmp_path / "none.mid")
    with pytest.raises(FileError, match="exists already"):
        check_new([link])


def test_default_names_are_refused_alike(tmp_path: Path) -> None:
    (tmp_path / "partimento-7.wav").write_bytes(b"mine")
    with pytest.raises(FileError, match=r"partimento-7\.wav: exists already"):
        destinations([tmp_path], [7])
    assert [p.name for p in destinations([tmp_path], [8])[0]] == [
        "partimento-8.mid",
        "partimento-8.wav",
    ]


def test_one_file_is_not_named_twice(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(FileError, match="named twice"):
        check_new([tmp_path / "a.mid", tmp_path / "link" / "a.mid"], force=True)


def test_the_source_is_found_behind_a_link(tmp_path: Path) -> None:
    source, link = tmp_path / "a.mid", tmp_path / "b.mid"
    source.write_bytes(b"mine")
    link.symlink_to(source)
    with pytest.raises(FileError, match="is the piece that was read"):
        check_source(link, source)

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from partimento.errors import FileError
from partimento.files.atomic import CheckedFile, atomic_path, check_writable, write_error


def write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text)


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    link, target = tmp_path / "link.txt", tmp_path / "deep" / "real.txt"
    link.symlink_to(target)
    for text in ("first", "second"):  # the first time it leads nowhere yet
        write(link, text)
        assert link.is_symlink()
        assert target.read_text() == text
    assert sorted(p.name for p in target.parent.iterdir()) == ["real.txt"]


def test_a_link_into_a_missing_folder_names_the_folder(tmp_path: Path) -> None:
    link = tmp_path / "link.txt"
    link.symlink_to(tmp_path / "none" / "real.txt")
    with pytest.raises(FileError, match=r"link\.txt: there is no folder .*none; make it first"):
        check_writable(link)


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    for one, other in (("a.txt", "b.txt"), ("b.txt", "a.txt")):
        (tmp_path / one).symlink_to(tmp_path / other)
    with pytest.raises(FileError, match="the link leads back to itself"):
        check_writable(tmp_path / "a.txt")


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(FileError, match="a device or a pipe, not a file"):
        check_writable(tmp_path / "pipe.wav")


def test_the_permissions_of_a_replaced_file_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o640)
    write(path, "new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_of_two_writers_the_last_wins_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with atomic_path(path) as first, atomic_path(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # its block ends last
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(FileError, match="the disk is full; free some space"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_checked_file_keeps_the_reason() -> None:
    with Path("/dev/full").open("w+b", buffering=0) as raw:
        checked = CheckedFile(raw, "a.flac")
        checked.check()
        assert checked.write(b"12345") == 5  # the library that writes is not told
        assert checked.write(b"12345") == 5
        with pytest.raises(FileError, match=r"a\.flac: cannot be written: the disk is full"):
            checked.check()


def test_an_unknown_reason_is_shown_as_the_system_words_it() -> None:
    error = write_error("a.wav", OSError(errno.EBUSY, "Device or resource busy"), "cannot grow")
    assert str(error) == "a.wav: cannot grow: Device or resource busy; choose another place"

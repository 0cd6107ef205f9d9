"""A disk that is full: the files of ``CheckedFile`` take so many bytes and no more."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest

from partimento.files.atomic import CheckedFile

__all__ = ["fill_disk"]


class _Full:
    """A file on a disk with room for ``left`` more bytes."""

    def __init__(self, file: Any, left: int) -> None:
        self._file, self._left = file, left

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, data: Any) -> int:
        if not self._left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count: int = self._file.write(data[: self._left])
        self._left -= count
        return count


def fill_disk(monkeypatch: pytest.MonkeyPatch, left: int) -> None:
    """Leave room for so many bytes in every file that is checked from now on."""
    begin = CheckedFile.__init__
    monkeypatch.setattr(
        CheckedFile,
        "__init__",
        lambda self, file, path: begin(self, _Full(file, left), path),
    )

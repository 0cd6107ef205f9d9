"""What reading leaves out of a piece, told as a warning, so that nothing goes silently."""

from __future__ import annotations

import warnings
from os import PathLike

__all__ = ["LeftOut", "tell_left_out"]


class LeftOut(UserWarning):
    """Of a file, ``count`` of ``what`` (a plural) were left out."""

    def __init__(self, path: str | PathLike[str], what: str, count: int) -> None:
        self.what, self.count = what, count
        super().__init__(f"{path}: {count} {what} left out")


def tell_left_out(path: str | PathLike[str], what: str, count: int) -> None:
    """Warn that ``count`` of ``what`` were left out of a file; 0 says nothing."""
    if count:
        warnings.warn(LeftOut(path, what, count), stacklevel=3)

"""One piece of a corpus, and where its bytes are: a file, or a member of a zip."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from os import PathLike
from pathlib import Path

from partimento.errors import FileError
from partimento.files.formats import piece_of_bytes, read
from partimento.music import Piece

__all__ = ["CorpusItem", "load_file", "load_member", "member_names", "read_member"]

_KEPT_BYTES = 2**28  # archives up to this size stay in memory while they are read
_MAX_MEMBER = 2**30


@dataclass(frozen=True, slots=True)
class CorpusItem:
    """One piece: its id, its split, its group (groups never cross a split), how to load it."""

    id: str
    split: str
    group: str
    loader: Callable[[], Piece]

    def load(self) -> Piece:
        """Return the piece.

        Raises:
            FileError: if it cannot be read.
            MissingExtra: if its format needs an extra that is not installed.
        """
        return self.loader()


def load_file(path: str) -> Piece:
    """Return the piece in a file."""
    return read(path)


def load_member(archive: str, member: str) -> Piece:
    """Return the piece in a member of a zip."""
    return piece_of_bytes(read_member(archive, member), f"{archive}/{member}")


def member_names(archive: str | PathLike[str]) -> list[str]:
    """Return the files in a zip, sorted.

    Raises:
        FileError: if it is no zip.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            return sorted(info.filename for info in opened.infolist() if not info.is_dir())
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise FileError(
            archive, f"no zip that can be read ({error})", "get a whole copy"
        ) from error


def read_member(archive: str, member: str) -> bytes:
    """Return the bytes of a member of a zip.

    Raises:
        FileError: if the zip or the member is damaged, or unpacks to more than 1 GiB.
    """
    where = f"{archive}/{member}"
    try:
        status = Path(archive).stat()
        if status.st_size <= _KEPT_BYTES:
            return _member(_kept(archive, status.st_mtime_ns, status.st_size), member, where)
        with zipfile.ZipFile(archive) as opened:
            return _member(opened, member, where)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise FileError(where, f"damaged zip ({error})", "get a whole copy") from error
    except (OSError, KeyError, ValueError) as error:
        raise FileError(where, f"cannot be read ({error})", "check the zip") from error


def _member(opened: zipfile.ZipFile, member: str, where: str) -> bytes:
    if opened.getinfo(member).file_size > _MAX_MEMBER:
        raise FileError(where, "unpacks to more than 1 GiB", "leave it out")
    return opened.read(member)


@lru_cache(maxsize=2)
def _kept(archive: str, mtime_ns: int, size: int) -> zipfile.ZipFile:
    """Return a zip held in memory, so that reading a thousand members opens it once."""
    del mtime_ns, size  # only there to make a changed file another key
    return zipfile.ZipFile(io.BytesIO(Path(archive).read_bytes()))

"""Writes that happen whole or not at all: a temporary file beside the target, then a rename."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from partimento.errors import FileError

__all__ = ["CheckedFile", "atomic_path", "check_writable", "temporaries", "write_error"]

_LONGEST_NAME_BYTES = 255  # of every common file system

_REMEDIES = {
    errno.ENOSPC: ("the disk is full", "free some space or write to another disk"),
    errno.EDQUOT: ("your disk quota is used up", "free some space or write elsewhere"),
    errno.EFBIG: ("the file is too large for this disk", "write to another disk"),
    errno.EIO: ("the disk reports an error", "write to another disk"),
    errno.EACCES: ("the folder cannot be written", "choose a folder of your own"),
    errno.EPERM: ("the folder cannot be written", "choose a folder of your own"),
    errno.EROFS: ("the disk is read-only", "write to another disk"),
    errno.ENAMETOOLONG: ("the file name is too long", "choose a shorter one"),
    errno.EISDIR: ("this is a folder", "name a file inside it"),
    errno.ELOOP: ("the link leads back to itself", "name a file"),
}


def write_error(
    path: str | PathLike[str], error: OSError, what: str = "cannot be written"
) -> FileError:
    """Return the error that names the file, ``what`` happened, why in words, and the remedy."""
    unknown = (error.strerror or str(error), "choose another place")
    problem, remedy = _REMEDIES.get(error.errno or 0, unknown)
    return FileError(path, f"{what}: {problem}", remedy)


def check_writable(path: str | PathLike[str]) -> None:
    """Check, before long work, that ``path`` can be written later.

    Raises:
        FileError: if its folder does not exist or cannot be written, or ``path`` is a folder, a
            device or write-protected.
    """
    target = _followed(path)
    folder = target.parent
    if len(os.fsencode(target.name)) > _LONGEST_NAME_BYTES:
        raise FileError(path, "the name is too long", "choose a shorter one")
    if not os.path.isdir(folder):
        shown = folder if Path(path).is_symlink() else Path(path).parent
        raise FileError(path, f"there is no folder {shown}", "make it first")
    if os.path.isdir(target):
        raise FileError(path, "this is a folder", "name a file inside it")
    if os.path.exists(target) and not os.path.isfile(target):
        raise FileError(path, "this is a device or a pipe, not a file", "name a file")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise FileError(path, "the folder cannot be written", "choose a folder of your own")
    if os.path.exists(target) and not os.access(target, os.W_OK):
        raise FileError(path, "the file is write-protected", "choose another name")


@contextmanager
def atomic_path(path: str | PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path of its own, which takes the place of ``path`` on success.

    The temporary file lies beside ``path``, or beside the file that it links to, keeps the suffix,
    and is removed if the block raises. Of two programs that write one file, the last one wins.

    Raises:
        FileError: for every OSError of the block or of the rename, with a remedy.
    """
    check_writable(path)
    target = _followed(path)
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(
            suffix=target.suffix, prefix=_prefix(target), dir=target.parent
        )
        os.close(handle)
        temporary = Path(name)
        yield temporary
        # mkstemp makes files that only their owner may read; a finished work is not secret.
        temporary.chmod(_mode(target))
        os.replace(temporary, target)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def temporaries(path: Path) -> list[Path]:
    """Return the temporary files that writes of ``path`` left behind when they were killed."""
    target = _followed(path)
    return [
        found
        for found in target.parent.glob(f".*{target.suffix}")
        if found.name.startswith(_prefix(target))
    ]


class CheckedFile:
    """A file for libraries that hide why a write failed, such as libsndfile.

    The first error is kept, later writes do nothing, and ``check`` raises it.
    """

    def __init__(self, file: BinaryIO, path: str | PathLike[str]) -> None:
        self._file, self._path = file, path
        self._error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write all of ``data``; return its length whether it could be written or not."""
        view = memoryview(data)
        try:
            while self._error is None and view:
                view = view[self._file.write(view) :]
        except OSError as error:
            self._error = error
        return len(data)

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes."""
        return self._file.read(size)

    def readinto(self, buffer: bytearray) -> int:
        """Read into a buffer and return the number of bytes."""
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a place and return it."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell()

    def check(self) -> None:
        """Raise the first error of a write.

        Raises:
            FileError: such as ``cannot be written: the disk is full``.
        """
        if self._error is not None:
            raise write_error(self._path, self._error) from self._error


def _followed(path: str | PathLike[str]) -> Path:
    """Return the absolute path with all links followed.

    Raises:
        FileError: if a link leads back to itself, or no file can have this name.
    """
    try:
        target = Path(os.path.realpath(path))
    except ValueError as error:  # a zero byte, or what no file system can spell
        raise FileError(path, "is no name that a file can have", "choose another") from error
    if os.path.islink(target):  # realpath stops inside a loop
        raise write_error(path, OSError(errno.ELOOP, os.strerror(errno.ELOOP)))
    return target


def _mode(target: Path) -> int:
    """Return the permissions of the file that is replaced, or those of a new one."""
    try:
        return stat.S_IMODE(target.stat().st_mode)
    except OSError:
        return 0o666 & ~_umask()


def _prefix(target: Path) -> str:
    return f".{target.stem[:40]}-"


def _umask() -> int:
    """Return the process's file mode mask (which can only be read by setting it)."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask

"""Writes that happen whole or not at all: a temporary file beside the target, then a rename."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from partimento.errors import FileError

__all__ = ["atomic_path", "check_writable", "temporaries"]

_REMEDIES = {
    errno.ENOSPC: ("the disk is full", "free some space or write to another disk"),
    errno.EDQUOT: ("your disk quota is used up", "free some space or write elsewhere"),
    errno.EACCES: ("the folder cannot be written", "choose a folder of your own"),
    errno.EPERM: ("the folder cannot be written", "choose a folder of your own"),
    errno.EROFS: ("the disk is read-only", "write to another disk"),
    errno.ENAMETOOLONG: ("the file name is too long", "choose a shorter one"),
    errno.EISDIR: ("this is a folder", "name a file inside it"),
}


def check_writable(path: str | PathLike[str]) -> None:
    """Check, before long work, that ``path`` can be written later.

    Raises:
        FileError: if its folder does not exist or cannot be written, or ``path`` is a folder.
    """
    target = Path(path)
    folder = target.parent
    if not folder.is_dir():
        raise FileError(path, f"there is no folder {folder}", "make it first")
    if target.is_dir():
        raise FileError(path, "this is a folder", "name a file inside it")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise FileError(path, "the folder cannot be written", "choose a folder of your own")
    if target.exists() and not os.access(target, os.W_OK):
        raise FileError(path, "the file is write-protected", "choose another name")


@contextmanager
def atomic_path(path: str | PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; it takes the place of ``path`` on success.

    The temporary file keeps the suffix, and is removed if the block raises.

    Raises:
        FileError: for every OSError of the block or of the rename, with a remedy.
    """
    target = Path(path)
    check_writable(target)
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(
            suffix=target.suffix, prefix=_prefix(target), dir=target.parent
        )
        os.close(handle)
        temporary = Path(name)
        yield temporary
        # mkstemp makes files that only their owner may read; a finished work is not secret.
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, target)
    except OSError as error:
        problem, remedy = _REMEDIES.get(
            error.errno or 0, (error.strerror or str(error), "choose another place")
        )
        raise FileError(path, f"cannot be written: {problem}", remedy) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def temporaries(path: Path) -> list[Path]:
    """Return the temporary files that writes of ``path`` left behind when they were killed."""
    return [
        found
        for found in path.parent.glob(f".*{path.suffix}")
        if found.name.startswith(_prefix(path))
    ]


def _prefix(target: Path) -> str:
    return f".{target.stem[:40]}-"


def _umask() -> int:
    """Return the process's file mode mask (which can only be read by setting it)."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask

"""Whole files or none: what this layer writes, beside the target first and then in its place."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from partimento.errors import FileError

__all__ = ["write_whole"]


def write_whole(path: Path, content: bytes) -> None:
    """Write ``content``, so that ``path`` holds all of it or what it held before.

    Raises:
        FileError: if it cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(name).chmod(0o644)  # mkstemp makes files that only their owner may read
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise FileError(
            path, f"cannot be written ({error.strerror})", "check the folder and its space"
        ) from None

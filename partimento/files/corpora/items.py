"""One piece of a corpus, and where its bytes are: a file, or a member of a zip."""

from __future__ import annotations

import io
import lzma
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from os import PathLike
from pathlib import Path

from partimento.errors import FileError
from partimento.files.abc.reader import read_abc, score_of_abc, tune_count
from partimento.files.audio.magic import SOUND_HEAD_BYTES
from partimento.files.formats import piece_of_bytes, read
from partimento.files.limits import MAX_MEMBERS, MAX_UNPACKED_BYTES
from partimento.files.unsupported import LeftOut
from partimento.music import Piece

__all__ = [
    "CorpusItem",
    "head_of_file",
    "head_of_member",
    "load_member",
    "load_tune",
    "member_names",
    "pieces_of_file",
    "pieces_of_member",
    "read_member",
]

_KEPT_BYTES = 2**28  # archives up to this size stay in memory while they are read
# What zipfile raises on archives that are damaged or packed in a way that it does not know.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    UnicodeError,
    struct.error,
)

Loader = Callable[[], Piece]


@dataclass(frozen=True, slots=True)
class CorpusItem:
    """One piece: its id, its split, its group (groups never cross a split), how to load it."""

    id: str
    split: str
    group: str
    loader: Callable[[], Piece]

    def load(self) -> Piece:
        """Return the piece; what reading leaves out of it is reported by the corpus's preflight.

        Raises:
            FileError: if it cannot be read.
            MissingExtra: if its format needs an extra that is not installed.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LeftOut)
            return self.loader()


def pieces_of_file(path: Path) -> list[tuple[str, Loader]]:
    """Return (``""``, loader) of a file's piece, or (``"#3"``, loader) of each tune of a book."""
    count = _tunes_in(path.read_bytes) if _is_book(path.name) else 1
    if count < 2:
        return [("", partial(read, str(path)))]
    return [(f"#{n}", partial(load_tune, str(path), n)) for n in range(1, count + 1)]


def pieces_of_member(archive: str, member: str) -> list[tuple[str, Loader]]:
    """Return the same of a member of a zip."""
    count = _tunes_in(partial(read_member, archive, member)) if _is_book(member) else 1
    if count < 2:
        return [("", partial(load_member, archive, member))]
    return [(f"#{n}", partial(load_tune, member, n, archive)) for n in range(1, count + 1)]


def _is_book(name: str) -> bool:
    return name.lower().endswith(".abc")


def _tunes_in(data: Callable[[], bytes]) -> int:
    """Return how many tunes a book holds; 1 where it cannot be opened: loading reports that."""
    try:
        return tune_count(data())
    except Exception:  # whatever it is, one bad book never stops the rest
        return 1


def head_of_file(path: Path) -> bytes:
    """Return the first bytes of a file; none where it cannot be opened: loading reports that."""
    try:
        with path.open("rb") as file:
            return file.read(SOUND_HEAD_BYTES)
    except OSError:
        return b""


def head_of_member(archive: str, member: str) -> bytes:
    """Return the same of a member of a zip."""
    try:
        return read_member(archive, member)[:SOUND_HEAD_BYTES]
    except FileError:
        return b""


def load_tune(path: str, number: int, archive: str = "") -> Piece:
    """Return a tune of a book of ABC: of a file, or of a member of a zip."""
    if archive:
        return score_of_abc(read_member(archive, path), f"{archive}/{path}", number)
    return read_abc(path, number)


def load_member(archive: str, member: str) -> Piece:
    """Return the piece in a member of a zip."""
    return piece_of_bytes(read_member(archive, member), f"{archive}/{member}")


def member_names(archive: str | PathLike[str]) -> list[str]:
    """Return the files in a zip, sorted.

    Raises:
        FileError: if it is no zip, or holds more members than any corpus.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            infos = opened.infolist()
            if len(infos) > MAX_MEMBERS:
                problem = f"holds more than {MAX_MEMBERS:,} members"
                raise FileError(archive, problem, "split it, or unpack it into folders")
            # A lying directory may hold an empty name, of which ZipInfo.is_dir cannot tell.
            return sorted(i.filename for i in infos if i.filename and not i.is_dir())
    except (*_DAMAGE, OSError, ValueError) as error:
        raise FileError(
            archive, f"no zip that can be read ({error})", "get a whole copy"
        ) from error


def read_member(archive: str, member: str) -> bytes:
    """Return the bytes of a member of a zip.

    Raises:
        FileError: if the zip or the member is damaged, or unpacks to more than 256 MiB.
    """
    where = f"{archive}/{member}"
    try:
        status = Path(archive).stat()
        if status.st_size <= _KEPT_BYTES:
            return _member(_kept(archive, status.st_mtime_ns, status.st_size), member, where)
        with zipfile.ZipFile(archive) as opened:
            return _member(opened, member, where)
    except _DAMAGE as error:
        raise FileError(where, f"damaged zip ({error})", "get a whole copy") from error
    except (OSError, KeyError, ValueError) as error:
        raise FileError(where, f"cannot be read ({error})", "check the zip") from error


def _member(opened: zipfile.ZipFile, member: str, where: str) -> bytes:
    if opened.getinfo(member).file_size > MAX_UNPACKED_BYTES:
        mebibytes = MAX_UNPACKED_BYTES >> 20
        raise FileError(where, f"unpacks to more than {mebibytes} MiB", "leave it out")
    return opened.read(member)


@lru_cache(maxsize=2)
def _kept(archive: str, mtime_ns: int, size: int) -> zipfile.ZipFile:
    """Return a zip held in memory, so that reading a thousand members opens it once."""
    del mtime_ns, size  # only there to make a changed file another key
    return zipfile.ZipFile(io.BytesIO(Path(archive).read_bytes()))

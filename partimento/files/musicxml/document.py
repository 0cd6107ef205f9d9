"""The XML document of a MusicXML file, plain or in a container, under limits of size.

No document type is processed: a document type definition inside the file (entities, default
attributes) is refused, one outside it is not loaded. So nothing in a file grows when it is parsed.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import PurePosixPath
from posixpath import normpath
from urllib.parse import unquote
from xml.etree import ElementTree
from xml.parsers import expat

from partimento.errors import FileError

__all__ = ["Document", "document_of", "parsed", "root_of"]

_MAX_BYTES = 64 * 2**20  # of XML, and of a container
_MAX_TAGS = 1_500_000  # starts and ends of elements; the longest movement known has 1.3 million
_MAX_ATTRIBUTES = 1_000_000
_MAX_DEPTH = 64
_MAX_DIRECTORY = 2**20  # bytes of a container's list of members, about 10,000 of them
_MAX_CONTAINER_XML = 2**16
_CONTAINER = "meta-inf/container.xml"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # those that a container may use
_SAVE = "open it in a notation program and export MusicXML again"
_COPY = "get a whole copy of the file"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Document:
    """The XML of a score, and the member of the container that it came from (None: plain)."""

    xml: bytes
    member: str | None = None


def document_of(data: bytes, path: str | PathLike[str]) -> Document:
    """Return the XML in the bytes of a MusicXML file: the score that its container names.

    Raises:
        FileError: if the file is empty, damaged, beyond a limit, or holds no score.
    """
    if not data:
        raise FileError(path, "the file is empty", _COPY)
    if len(data) > _MAX_BYTES:
        raise FileError(path, "more than 64 MB", "split it into movements")
    return _unpacked(data, path) if data[:2] == b"PK" else Document(data)


def root_of(
    xml: bytes,
    path: str | PathLike[str],
    comments: bool = False,
    encoding: str | None = None,
) -> ElementTree.Element:
    """Return the ``score-partwise`` element of an XML document; the arguments are ``parsed``'s.

    Raises:
        FileError: if it is no partwise MusicXML, is broken, or is beyond a limit.
    """
    root = parsed(xml, path, comments, encoding)
    if root.tag == "score-timewise":
        raise FileError(path, "timewise MusicXML", "export it as score-partwise")
    if root.tag != "score-partwise":
        raise FileError(path, f"this is no MusicXML (its root is <{root.tag[:40]}>)", _SAVE)
    return root


def parsed(
    xml: bytes,
    path: str | PathLike[str],
    comments: bool = False,
    encoding: str | None = None,
) -> ElementTree.Element:
    """Return the root element of an XML document without a document type definition.

    Args:
        xml: the document.
        path: its name in errors.
        comments: keep comments and processing instructions in the tree.
        encoding: what the document is in, whatever it declares.

    Raises:
        FileError: if it is broken, declares a document type inside, or is beyond a limit.
    """
    counts = (len(xml), xml.count(b"<"), xml.count(b"="))
    for count, most, what in zip(
        counts,
        (_MAX_BYTES, _MAX_TAGS, _MAX_ATTRIBUTES),
        ("bytes", "tags", "attributes"),
        strict=True,
    ):
        if count > most:
            raise FileError(path, f"more than {most:,} {what} of XML", "split it into movements")
    try:
        if xml[:2] in _UTF16:
            # Its declaration may name another encoding than it has.
            xml, encoding = xml.decode("utf-16").encode(), "utf-8"
        _refuse_definitions(xml, encoding, path)
        builder = ElementTree.TreeBuilder(insert_comments=comments, insert_pis=comments)
        parser = ElementTree.XMLParser(target=builder, encoding=encoding)
        parser.feed(xml)
        root: ElementTree.Element = parser.close()
    except (ElementTree.ParseError, expat.ExpatError) as error:
        raise FileError(path, f"broken XML ({error})", _COPY) from error
    except (ValueError, LookupError) as error:
        raise FileError(path, f"unreadable XML ({error})", _SAVE) from error
    _refuse_depth(root, path)
    return root


class _Begun(Exception):
    """The root element has begun: what may define anything is over."""


def _refuse_definitions(xml: bytes, encoding: str | None, path: str | PathLike[str]) -> None:
    def document_type(
        _name: str, _system: str | None, _public: str | None, is_inside: bool
    ) -> None:
        if is_inside:
            raise FileError(
                path, "declares XML entities or attributes of its own, which may hide a bomb", _SAVE
            )

    def begun(_name: str, _attributes: dict[str, str]) -> None:
        raise _Begun

    parser = expat.ParserCreate(encoding)
    parser.StartDoctypeDeclHandler = document_type
    parser.StartElementHandler = begun
    try:
        for at in range(0, len(xml), 2**16):
            parser.Parse(xml[at : at + 2**16])
        parser.Parse(b"", True)
    except _Begun:
        pass


def _refuse_depth(root: ElementTree.Element, path: str | PathLike[str]) -> None:
    level = [root]
    for _ in range(_MAX_DEPTH):
        level = [child for element in level for child in element]
        if not level:
            return
    raise FileError(path, f"XML nested deeper than {_MAX_DEPTH} elements", _SAVE)


def _unpacked(data: bytes, path: str | PathLike[str]) -> Document:
    """Return the score inside a container: the first XML that it names, else the only one."""
    try:
        _refuse_directory(data, path)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in _candidates(archive, path):
                xml = _member(archive, name, _MAX_BYTES, path)
                if xml[:2] in _UTF16 or xml.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
                    return Document(xml, name)
    except FileError:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        OSError,
        ValueError,
        LookupError,
    ) as error:
        raise FileError(path, f"damaged .mxl ({error})", _COPY) from error
    raise FileError(path, "there is no score in this .mxl", _SAVE)


def _refuse_directory(data: bytes, path: str | PathLike[str]) -> None:
    """Refuse a list of members that would fill memory, before zipfile makes objects of it."""
    at = data.rfind(b"PK\x05\x06", max(0, len(data) - 2**16 - 22))
    if at < 0 or len(data) < at + 22:
        raise FileError(path, "damaged .mxl (it has no list of members)", _COPY)
    (size,) = struct.unpack_from("<I", data, at + 12)
    if size > _MAX_DIRECTORY:
        raise FileError(path, "an .mxl of too many members", _SAVE)


def _member(archive: zipfile.ZipFile, name: str, most: int, path: str | PathLike[str]) -> bytes:
    info = archive.getinfo(name)
    if info.compress_type not in _METHODS:
        raise FileError(path, f"damaged .mxl ({name} is neither stored nor deflated)", _SAVE)
    with archive.open(info) as member:
        # The size in the directory may lie; never unpack more than is allowed.
        body = member.read(most + 1)
    if len(body) > most:
        raise FileError(path, f"{name} unpacks to over {most // 2**20 or 1} MB", "split the score")
    return body


def _candidates(archive: zipfile.ZipFile, path: str | PathLike[str]) -> Iterator[str]:
    """Yield the members that may be the score, those that the container names first."""
    names = archive.namelist()
    scores = [
        name
        for name in names
        if not name.lower().startswith("meta-inf")
        and PurePosixPath(name).suffix.lower() in (".xml", ".musicxml")
    ]
    container = next((name for name in names if _plain(name) == _CONTAINER), None)
    absent = ""
    if container is not None:
        for full_path, media in _rootfiles(
            _member(archive, container, _MAX_CONTAINER_XML, path), path
        ):
            name = _named(full_path, names)
            if name is None:
                absent = absent or full_path
            elif not media or "xml" in media:
                yield name
    if absent and len(scores) > 1:
        raise FileError(path, f"its container names {absent[:60]!r}, which is not in it", _SAVE)
    yield from scores


def _rootfiles(xml: bytes, path: str | PathLike[str]) -> list[tuple[str, str]]:
    """Return (path, media type) of each root file; none where the container is not well formed."""
    try:
        root = parsed(xml, path)
    except FileError as error:
        if "broken XML" in error.problem:
            return []  # an apostrophe in the path breaks many; the only .xml will do
        raise
    return [
        (element.get("full-path", ""), element.get("media-type", ""))
        for element in root.iter()
        if element.tag.rpartition("}")[2] == "rootfile"
    ]


def _named(full_path: str, names: list[str]) -> str | None:
    """Return the member that a path means: as it stands, else as other programs write it."""
    if full_path in names:
        return full_path
    wanted = _plain(full_path)
    return next((name for name in names if _plain(name) == wanted), None)


def _plain(name: str) -> str:
    """Return a member's path without dots, escapes, backslashes and capitals."""
    path = normpath(unquote(name).replace("\\", "/"))
    return re.sub(r"^(?:\.{0,2}/)+", "", path).casefold()

"""MusicXML files (``.musicxml``, ``.xml``, ``.mxl``) to scores.

Read directly with ``zipfile`` and ``xml.etree``: parts become tracks (the staves of a piano stay
one), ties are merged, transposing instruments sound where they sound, dynamics become velocities,
bars keep their written length. Repeats are not unfolded. Grace and cue notes, slurs, articulations
and other signs that a score does not hold are counted in one warning.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from os import PathLike
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from partimento.errors import FileError, MusicError
from partimento.files.musicxml.parts import score_of_tree
from partimento.files.musicxml.unsupported import left_out_notes, left_out_signs
from partimento.files.unsupported import tell_left_out
from partimento.music import Score

__all__ = ["musicxml_root", "read_musicxml", "score_of_musicxml"]

_MAX_BYTES = 200 * 2**20
_SAVE = "open it in a notation program and export MusicXML anew"


def read_musicxml(path: str | PathLike[str]) -> Score:
    """Return the score of a MusicXML file, packed (``.mxl``) or not.

    Raises:
        FileError: if it cannot be opened, is damaged, is no partwise MusicXML, declares XML
            entities, or unpacks to more than 200 MB.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror}", "check the name") from error
    return score_of_musicxml(data, path)


def score_of_musicxml(data: bytes, path: str | PathLike[str] = "MusicXML data") -> Score:
    """Return the score of the bytes of a MusicXML file; ``path`` names it in errors.

    Warns ``LeftOut`` of what the score does not hold.

    Raises:
        FileError: as ``read_musicxml``.
    """
    root = musicxml_root(data, path)
    try:
        score = score_of_tree(root)
        signs = left_out_signs(root, score)
    except MusicError as error:
        raise FileError(path, str(error), _SAVE) from error
    except (ValueError, ArithmeticError, AttributeError, IndexError, KeyError) as error:
        raise FileError(path, f"damaged MusicXML: {error}", _SAVE) from error
    tell_left_out(path, left_out_notes(root), signs)
    return score


def musicxml_root(data: bytes, path: str | PathLike[str]) -> ElementTree.Element:
    """Return the ``score-partwise`` element of the bytes of a MusicXML file.

    Raises:
        FileError: as ``read_musicxml``.
    """
    if not data:
        raise FileError(path, "the file is empty", "get a whole copy of the file")
    if data[:2] == b"PK":
        data = _unpacked(data, path)
    if len(data) > _MAX_BYTES:
        raise FileError(path, "more than 200 MB of MusicXML", "split it into movements")
    root = _parsed(data, path)
    if root.tag == "score-timewise":
        raise FileError(path, "timewise MusicXML", "export it as score-partwise")
    if root.tag != "score-partwise":
        raise FileError(path, f"this is no MusicXML (its root is <{root.tag}>)", _SAVE)
    return root


def _parsed(data: bytes, path: str | PathLike[str]) -> ElementTree.Element:
    try:
        text = data.decode("utf-16") if data[:2] in (b"\xff\xfe", b"\xfe\xff") else None
        head = text if text is not None else data.decode("latin-1")
        if "<!ENTITY" in head:
            raise FileError(path, "declares XML entities, which may hide a bomb", "remove them")
        if text is not None:
            # The declaration names an encoding that a string no longer has.
            return ElementTree.fromstring(text.encode(), ElementTree.XMLParser(encoding="utf-8"))
        return ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise FileError(path, f"broken XML ({error})", "get a whole copy of the file") from error
    except (ValueError, LookupError) as error:
        raise FileError(path, f"unreadable XML ({error})", _SAVE) from error


def _unpacked(data: bytes, path: str | PathLike[str]) -> bytes:
    """Return the score inside an ``.mxl``: the one its container names, else the first."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in _candidates(archive):
                info = archive.getinfo(name)
                if info.file_size > _MAX_BYTES:
                    raise FileError(path, f"{name} unpacks to over 200 MB", "split the score")
                with archive.open(info) as member:
                    # The size in the directory may lie; never unpack more than is allowed.
                    return member.read(_MAX_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise FileError(path, f"damaged .mxl ({error})", "get a whole copy") from error
    except (OSError, ValueError, KeyError) as error:
        raise FileError(path, f"damaged .mxl ({error})", "get a whole copy") from error
    raise FileError(path, "there is no score in this .mxl", _SAVE)


def _candidates(archive: zipfile.ZipFile) -> Iterator[str]:
    names = archive.namelist()
    container = "META-INF/container.xml"
    if container in names and archive.getinfo(container).file_size < 2**20:
        try:
            root = ElementTree.fromstring(archive.read(container))
        except ElementTree.ParseError:
            root = None  # an apostrophe in the path breaks many; the first .xml will do
        for file in root.iter() if root is not None else ():
            full_path = file.get("full-path", "")
            if file.tag.endswith("rootfile") and full_path in names:
                yield full_path
    for name in names:
        suffix = PurePosixPath(name).suffix.lower()
        if not name.startswith("META-INF") and suffix in (".xml", ".musicxml"):
            yield name

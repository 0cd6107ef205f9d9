"""MusicXML files (``.musicxml``, ``.xml``, ``.mxl``) to scores.

Read directly with ``zipfile`` and ``xml.etree``: parts become tracks (the staves of a piano stay
one), ties are merged, transposing instruments sound where they sound, dynamics become velocities,
bars keep their written length, repeats are kept as marks (``partimento.music.repeats`` plays them).
Grace and cue notes, slurs, articulations and other signs that a score does not hold are counted in
one warning. ``docs/reference/formats.md`` states the limits of size.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from xml.etree import ElementTree

from partimento.errors import FileError, MusicError
from partimento.files.musicxml.document import document_of, root_of
from partimento.files.musicxml.parts import Reading, read_tree
from partimento.files.musicxml.unsupported import left_out_notes, left_out_signs
from partimento.files.unsupported import tell_left_out
from partimento.music import Score

__all__ = ["read_musicxml", "reading_of", "score_of_musicxml"]

_SAVE = "open it in a notation program and export MusicXML again"


def read_musicxml(path: str | PathLike[str]) -> Score:
    """Return the score of a MusicXML file, packed (``.mxl``) or not.

    Raises:
        FileError: if it cannot be opened, is damaged, is no partwise MusicXML, holds a document
            type definition, or is beyond a limit of size.
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
    root = root_of(document_of(data, path).xml, path)
    reading = reading_of(root, path)
    try:
        signs = left_out_signs(root, reading)
    except (ValueError, ArithmeticError) as error:
        raise FileError(path, f"damaged MusicXML: {error}", _SAVE) from error
    tell_left_out(path, left_out_notes(root), signs)
    return reading.score


def reading_of(root: ElementTree.Element, path: str | PathLike[str]) -> Reading:
    """Return the score of a ``score-partwise`` element with the elements that it came from.

    Raises:
        FileError: if a value is damaged or lies outside its range.
    """
    try:
        return read_tree(root)
    except MusicError as error:
        raise FileError(path, str(error), _SAVE) from error
    except (ValueError, ArithmeticError, AttributeError, LookupError, TypeError) as error:
        raise FileError(path, f"damaged MusicXML: {error}", _SAVE) from error

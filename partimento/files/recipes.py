"""The recipe that a made file carries, whatever its format."""

from __future__ import annotations

import zlib
from os import PathLike
from pathlib import Path

from partimento.errors import FileError
from partimento.files.formats import AUDIO_SUFFIXES, SCORE_SUFFIXES, read, read_audio_recipe

__all__ = ["PNG_RECIPE_KEY", "read_recipe"]

PNG_RECIPE_KEY = "partimento-recipe"
_SVG_OPEN, _SVG_CLOSE = "<metadata><![CDATA[partimento-recipe: ", "]]></metadata>"


def read_recipe(path: str | PathLike[str]) -> str:
    """Return the recipe (JSON text) in a file that was made here.

    Raises:
        FileError: if the file is missing, damaged, of another kind, or carries none.
    """
    suffix = Path(path).suffix.lower()
    recipe = ""
    if suffix in SCORE_SUFFIXES:
        recipe = read(path).recipe
    elif suffix in AUDIO_SUFFIXES:
        recipe = read_audio_recipe(path)
    elif suffix in (".png", ".svg"):
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise FileError(path, f"cannot be read: {error.strerror}", "check the name") from error
        recipe = _png_recipe(data) if suffix == ".png" else _svg_recipe(data)
    if not recipe:
        raise FileError(path, "it carries no recipe", "choose a file that partimento made")
    return recipe


def _svg_recipe(data: bytes) -> str:
    text = data.decode("utf-8", errors="replace")
    _, found, rest = text.partition(_SVG_OPEN)
    return rest.partition(_SVG_CLOSE)[0] if found else ""


def _png_recipe(data: bytes) -> str:
    """Return the text chunk of our key; PNG is small enough to walk without its library."""
    at = 8
    while data[:4] == b"\x89PNG" and at + 12 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + size]
        key, _, rest = body.partition(b"\0")
        if key == PNG_RECIPE_KEY.encode():
            if kind == b"tEXt":
                return rest.decode("latin-1")
            if kind == b"iTXt" and len(rest) > 2:
                packed, text = rest[0], rest[2:].split(b"\0", 2)[-1]
                try:
                    plain = zlib.decompress(text) if packed else text
                except zlib.error:
                    return ""
                return plain.decode("utf-8", errors="replace")
        at += 12 + size
    return ""

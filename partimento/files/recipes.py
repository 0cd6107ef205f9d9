"""The recipe that a made file carries, whatever its format."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from partimento.errors import FileError
from partimento.files.formats import SCORE_SUFFIXES, SOUND_SUFFIXES, read, read_audio_recipe
from partimento.files.pictures.metadata import png_recipe, svg_recipe

__all__ = ["read_recipe"]


def read_recipe(path: str | PathLike[str]) -> str:
    """Return the recipe (JSON text) in a file that was made here.

    Raises:
        FileError: if the file is missing, damaged, of another kind, or carries none.
    """
    suffix = Path(path).suffix.lower()
    recipe = ""
    if suffix in SCORE_SUFFIXES:
        recipe = read(path).recipe
    elif suffix in SOUND_SUFFIXES:
        recipe = read_audio_recipe(path)
    elif suffix in (".png", ".svg"):
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise FileError(path, f"cannot be read: {error.strerror}", "check the name") from error
        recipe = png_recipe(data) if suffix == ".png" else svg_recipe(data)
    if not recipe:
        raise FileError(path, "it carries no recipe", "choose a file that partimento made")
    return recipe

"""The recipe inside a picture: a text chunk of a PNG, a metadata element of an SVG."""

from __future__ import annotations

import zlib

__all__ = ["PNG_RECIPE_KEY", "png_recipe", "svg_recipe"]

PNG_RECIPE_KEY = "partimento-recipe"
_MOST_BYTES = 2**24
_SVG_OPEN, _SVG_CLOSE = "<metadata><![CDATA[partimento-recipe: ", "]]></metadata>"


def png_recipe(data: bytes) -> str:
    """Return the recipe in a PNG picture; empty if there is none."""
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
                    # No recipe is longer; a bomb would unpack to a thousand times its size.
                    plain = zlib.decompressobj().decompress(text, _MOST_BYTES) if packed else text
                except zlib.error:
                    return ""
                return plain.decode("utf-8", errors="replace")
        at += 12 + size
    return ""


def svg_recipe(data: bytes) -> str:
    """Return the recipe in an SVG picture; empty if there is none."""
    text = data.decode("utf-8", errors="replace")
    _, found, rest = text.partition(_SVG_OPEN)
    return rest.partition(_SVG_CLOSE)[0] if found else ""

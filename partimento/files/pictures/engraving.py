"""Engraved scores as SVG pictures, through verovio (the extra ``score``)."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from os import PathLike

from partimento.errors import FileError, MissingExtra
from partimento.files.atomic import atomic_path
from partimento.files.musicxml.writer import musicxml_bytes
from partimento.music import Score

__all__ = ["write_svg"]

_SECONDS = 120
_TOO_LONG = 4
_SCRIPT = """
import sys
import verovio
verovio.enableLog(verovio.LOG_OFF)
toolkit = verovio.toolkit()
toolkit.setOptions({
    "inputFrom": "musicxml", "adjustPageHeight": True, "pageHeight": 60000, "pageWidth": 2100,
    "scale": 40, "breaks": "auto", "svgViewBox": True, "header": "auto", "footer": "none",
    "xmlIdSeed": 1,
})
if not toolkit.loadData(sys.stdin.buffer.read().decode("utf-8")):
    sys.exit(3)
if toolkit.getPageCount() > 1:
    sys.exit(4)
sys.stdout.buffer.write(toolkit.renderToSVG(1).encode())
"""


def write_svg(score: Score, path: str | PathLike[str]) -> None:
    """Write a score as an engraved picture on one long page, with its recipe inside.

    Raises:
        MissingExtra: if verovio is not installed.
        FileError: if verovio cannot draw it, or the file cannot be written.
    """
    if importlib.util.find_spec("verovio") is None:
        raise MissingExtra("drawing an engraved score (.svg)", "score")
    try:
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT],
            input=musicxml_bytes(score),
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise FileError(path, f"verovio took over {_SECONDS} s", "draw fewer bars") from error
    if done.returncode == _TOO_LONG:
        raise FileError(path, "the score is too long for one picture", "draw fewer bars")
    if done.returncode or b"<svg" not in done.stdout:
        raise FileError(path, "verovio cannot draw this score", "write .musicxml instead")
    svg = done.stdout
    if score.recipe:
        safe = score.recipe.replace("]]>", "]] >").encode()
        field = b"<metadata><![CDATA[partimento-recipe: " + safe + b"]]></metadata></svg>"
        svg = field.join(svg.rsplit(b"</svg>", 1))
    with atomic_path(path) as temporary:
        temporary.write_bytes(svg)

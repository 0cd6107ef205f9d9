"""ABC tunes to scores, through verovio (the extra ``score``).

Of a book of tunes the first is read. Notes, metre, key and title are kept; chord symbols are not.
verovio is C++ and can abort the whole process on bad input, so it runs in a process of its own.
"""

from __future__ import annotations

import base64
import importlib.util
import re
import subprocess
import sys
from dataclasses import replace
from os import PathLike
from pathlib import Path

from partimento.errors import FileError, MissingExtra
from partimento.files.midi import require_notes, score_of_midi
from partimento.music import Note, Score

__all__ = ["read_abc", "score_of_abc"]

_SECONDS = 60
_SCRIPT = """
import base64, sys
import verovio
verovio.enableLog(verovio.LOG_OFF)
toolkit = verovio.toolkit()
toolkit.setOptions({"inputFrom": "abc"})
if not toolkit.loadData(sys.stdin.buffer.read().decode("utf-8", "replace")):
    sys.exit(3)
sys.stdout.write(toolkit.renderToMIDI())
"""


def read_abc(path: str | PathLike[str]) -> Score:
    """Return the score of the first tune of an ABC file.

    Raises:
        MissingExtra: if verovio is not installed.
        FileError: if it cannot be opened or verovio cannot read it.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror}", "check the name") from error
    return score_of_abc(data, path)


def score_of_abc(data: bytes, path: str | PathLike[str] = "ABC data") -> Score:
    """Return the score of the bytes of an ABC tune; ``path`` names it in errors.

    Raises:
        MissingExtra: if verovio is not installed.
        FileError: if verovio cannot read it.
    """
    if importlib.util.find_spec("verovio") is None:
        raise MissingExtra("reading ABC", "score")
    tune = _first_tune(data.decode("utf-8", errors="replace"))
    try:
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT],
            input=tune.encode(),
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise FileError(path, f"verovio took over {_SECONDS} s", "make it shorter") from error
    if done.returncode or not done.stdout:
        raise FileError(path, "verovio cannot read this ABC", "check its X:, T:, M:, K: lines")
    score = require_notes(score_of_midi(base64.b64decode(done.stdout), path), path)
    title = re.search(r"^T:[ \t]*(.+)", tune, re.MULTILINE)
    return replace(
        score,
        tracks=tuple(replace(t, notes=tuple(map(_whole, t.notes))) for t in score.tracks),
        title=title[1].strip() if title else "",
    )


def _first_tune(text: str) -> str:
    """Return the first tune of a book, from its X: line to the next, without annotations.

    Chord symbols are not read, and some of them make verovio abort.
    """
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("X:")]
    first, after = [*starts, None, None][:2]
    body = [
        line if re.match(r"[A-Za-z]:", line) else re.sub(r'"[^"]*"', "", line)
        for line in lines[first:after]
    ]
    return "\n".join(body).rstrip() + "\n"


def _whole(note: Note) -> Note:
    # verovio ends each note a tick early, so that a repeated one is heard anew.
    return replace(note, duration_ticks=note.duration_ticks + 1)

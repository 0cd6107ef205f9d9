"""A file of ABC (2.1) as its tunes: what is music, and what is prose around it.

A tune begins at ``X:`` and ends at the first empty line after its ``K:``. What stands between
tunes is free text. Blocks from ``%%begintext`` to ``%%endtext`` (also ``ps``, ``svg``, ``ml``,
``js``) are text wherever they stand, and ``+:`` goes on with the field line before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

__all__ = ["TuneText", "tunes_of"]

_OF_ALL_TUNES = "LMQ"  # fields that count for a whole book where they stand in the file's header
_BLOCK = re.compile(r"%%(begin|end)([a-z]{1,20})\b")
_FIELD = re.compile(r"[A-Za-z]:(?![|:])")
_CONTINUED = "+:"


@dataclass
class TuneText:
    """The lines of one tune with their numbers in the file.

    ``doubtful`` counts lines behind its end that look like music and are taken for free text.
    """

    lines: list[tuple[int, str]] = field(default_factory=list)
    doubtful: int = 0


@lru_cache(maxsize=2)
def tunes_of(data: bytes) -> tuple[TuneText, ...]:
    """Return the tunes of the bytes of a file; a file without ``X:`` and with ``K:`` is one.

    The last two files are kept, so that a book is not split again for each of its tunes.
    """
    lines = list(_joined(_without_blocks(_text(data).splitlines())))
    is_book = any(line.startswith("X:") for _, line in lines)
    if not is_book and not any(line.startswith("K:") for _, line in lines):
        return ()
    of_all = _file_header(lines) if is_book else []
    tunes = [] if is_book else [TuneText()]
    is_open, is_body = not is_book, False
    for number, line in lines:
        if line.startswith("X:") and is_book:
            tunes.append(TuneText([*of_all]))
            is_open, is_body = True, False
        elif is_body and not line.strip():
            is_open = is_body = False
        if is_open:
            tunes[-1].lines.append((number, line))
            is_body = is_body or line.startswith("K:")
        elif tunes:
            tunes[-1].doubtful += _looks_like_music(line)
    return tuple(tunes)


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _without_blocks(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines outside blocks of text; a block without an end is one line."""
    last_end = {
        found[2]: index
        for index, line in enumerate(lines)
        if (found := _BLOCK.match(line)) and found[1] == "end"
    }
    inside = ""
    for index, line in enumerate(lines):
        found = _BLOCK.match(line)
        if inside:
            if found and found[1] == "end" and found[2] == inside:
                inside = ""
        elif found and found[1] == "begin" and last_end.get(found[2], -1) > index:
            inside = found[2]
        else:
            yield index + 1, line


def _joined(lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Yield the lines, each ``+:`` joined to its field; one without a field is passed over."""
    held: list[str] = []  # a field and what continues it
    at = 0
    for number, line in lines:
        if line.startswith(_CONTINUED):
            if held:
                held.append(line.removeprefix(_CONTINUED))
            continue
        if held and line.startswith("%"):  # comments may stand between
            yield number, line
            continue
        if held:
            yield at, " ".join(held)
        held, at = ([line], number) if _FIELD.match(line) else ([], number)
        if not held:
            yield number, line
    if held:
        yield at, " ".join(held)


def _file_header(lines: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Return the fields for all tunes: before the first ``X:`` and before an empty line."""
    out: list[tuple[int, str]] = []
    has_begun = False
    for number, line in lines:
        if line.startswith("X:") or (has_begun and not line.strip()):
            break
        has_begun = has_begun or bool(line.strip())
        if line[:1] in _OF_ALL_TUNES and line[1:2] == ":":
            out.append((number, line))
    return out


def _looks_like_music(line: str) -> bool:
    """Return whether a line of free text has bar lines, or begins a voice."""
    return not line.startswith("%") and (line.count("|") > 1 or line.startswith("V:"))

"""What a token of a kern file says that a score does not keep, counted.

Layout is not counted: beams, stems, editorial marks, and the spelling of accidentals.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

__all__ = ["left_out_signs"]

# Sign -> what it is called, in a token of a note.
_SIGNS = {
    "(": "slurs",
    ";": "fermatas",
    ":": "arpeggios",
    "'": "articulations",
    "`": "articulations",
    "~": "articulations",
    "^": "articulations",
    "T": "ornaments",
    "t": "ornaments",
    "M": "ornaments",
    "m": "ornaments",
    "W": "ornaments",
    "w": "ornaments",
    "S": "ornaments",
    "$": "ornaments",
    "O": "ornaments",
    "H": "glides",
    "u": "technical signs",
    "v": "technical signs",
    "o": "technical signs",
}
# What is read, or is layout: rhythms, pitches, ties, rests, beams, stems, phrases' ends.
_READ = frozenset("0123456789.%ABCDEFGabcdefg#-n[]_rq/\\LJkK)}{hR&xXyYjzZiIlNPpQsUV@+|<>=! ")


@lru_cache(maxsize=4096)
def left_out_signs(token: str) -> tuple[tuple[str, int], ...]:
    """Return (what, how many) of what is left out of a token of a **kern spine."""
    counts: Counter[str] = Counter()
    for item in token.split():
        if "q" in item:
            counts["grace notes"] += 1
            continue
        for sign in set(item) - _READ:
            counts[_SIGNS.get(sign, "unknown signs")] += item.count(sign)
    return tuple(counts.items())

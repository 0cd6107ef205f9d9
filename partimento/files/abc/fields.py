"""The fields of ABC (2.1): metre, unit length, tempo, key, voice; and chord symbols."""

from __future__ import annotations

import re
from fractions import Fraction

from partimento.errors import MusicError
from partimento.music import Chord, Key, parse_chord

__all__ = ["chord_of", "key_of", "metre_of", "shift_of", "tempo_of", "unit_of", "voice_of"]

_FIFTHS = {"F": -1, "C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5}
_MODES = {
    "maj": 0, "ion": 0, "lyd": 1, "mix": -1, "dor": -2, "min": -3, "aeo": -3, "phr": -4, "loc": -5,
}  # fmt: skip
_SHARPS = "fcgdaeb"
_ALTERATIONS = {"^": 1, "^^": 2, "_": -1, "__": -2, "=": 0}
_KEY = re.compile(r"([A-G])([#b]?)\s*([A-Za-z]*)")
_METRE = re.compile(r"(\d+(?:\+\d+)*|\((?:\d+\+)+\d+\))\s*/\s*(\d+)")


def metre_of(text: str) -> tuple[int, int] | None:
    """Return the metre of an ``M:`` field; None for a free one.

    Raises:
        ValueError: if it is none.
    """
    text = text.strip()
    if text in ("", "none"):
        return None
    if text in ("C", "C|"):
        return (4, 4) if text == "C" else (2, 2)
    found = _METRE.match(text)
    if found is None:
        raise ValueError(f"{text!r} is no metre")
    numerator = sum(int(part) for part in found[1].strip("()").split("+"))
    if not 1 <= numerator <= 64 or int(found[2]) not in (1, 2, 4, 8, 16, 32, 64):
        raise ValueError(f"{text!r} is no metre")
    return numerator, int(found[2])


def unit_of(text: str, metre: tuple[int, int] | None) -> Fraction:
    """Return the length, in quarters, of a note without one: of an ``L:`` field or by the metre.

    Raises:
        ValueError: if it is no length.
    """
    if not text:
        return Fraction(1, 4 if metre and Fraction(*metre) < Fraction(3, 4) else 2)
    found = re.fullmatch(r"\s*1\s*(?:/\s*(\d{1,3}))?\s*", text)
    if found is None or not 1 <= int(found[1] or 1) <= 512:
        raise ValueError(f"{text!r} is no length of a note, such as 1/8")
    return Fraction(4, int(found[1] or 1))


def tempo_of(text: str, unit: Fraction) -> float | None:
    """Return the quarters a minute of a ``Q:`` field; None where it says a word alone."""
    text = re.sub(r'"[^"]*"', "", text)
    found = re.search(r"=\s*(\d+(?:\.\d+)?)", text) or re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*", text)
    if found is None:
        return None
    beats = re.findall(r"(\d{1,3})\s*/\s*([1-9]\d{0,2})", text.partition("=")[0])
    beat = sum((Fraction(4 * int(a), int(b)) for a, b in beats), Fraction(0)) or unit
    quarters = float(beat) * float(found[1])
    return quarters if 1.0 <= quarters <= 4000.0 else None


def key_of(text: str) -> tuple[Key, dict[str, int]] | None:
    """Return the key of a ``K:`` field and the alteration of each letter; None if it says none.

    Modes are given by their signatures, as a major key; the minor as a minor one.

    Raises:
        ValueError: if it has more than seven accidentals.
    """
    text = text.strip()
    if text in ("", "none") or re.match(r"(none|clef)\b", text):
        return (Key(0), {}) if text.startswith("none") or not text else None
    if re.match(r"H[Pp]\b", text):  # the bagpipe's scale, with or without its signature
        return Key(2), {"f": 1, "c": 1, "g": 0}
    found = _KEY.match(text)
    if found is None:
        return None
    word = found[3][:3].lower()
    mode = "min" if found[3] == "m" else word
    fifths = _FIFTHS[found[1]] + 7 * {"#": 1, "b": -1, "": 0}[found[2]] + _MODES.get(mode, 0)
    if not -7 <= fifths <= 7:
        raise ValueError(f"{text!r} has more than seven accidentals")
    sharpened = _SHARPS[:fifths] if fifths > 0 else _SHARPS[7 + fifths :]
    alterations = {} if word == "exp" else dict.fromkeys(sharpened, 1 if fifths > 0 else -1)
    for sign, letter in re.findall(r"(?<=\s)(\^{1,2}|_{1,2}|=)([A-Ga-g])\b", text):
        alterations[letter.lower()] = _ALTERATIONS[sign]
    return Key(fifths, mode in ("min", "aeo")), alterations


def shift_of(text: str) -> int | None:
    """Return by how many semitones a ``K:`` or ``V:`` field moves the notes; None if by none."""
    moved = None
    for pattern, semitones in ((r"\boctave=(-?\d)\b", 12), (r"\btranspose=(-?\d{1,2})\b", 1)):
        if found := re.search(pattern, text):
            moved = (moved or 0) + semitones * int(found[1])
    if found := re.search(r"(?:clef=)?(?:treble|alto|tenor|bass)\d?([+-])8\b", text):
        moved = (moved or 0) + (12 if found[1] == "+" else -12)
    return moved


def voice_of(text: str) -> tuple[str, str]:
    """Return (id, name) of a ``V:`` field; the name is empty where it gives none."""
    id_ = text.split()[0] if text.split() else "1"
    found = re.search(r'\b(?:name|nm)=(?:"([^"]*)"|(\S+))', text)
    name = (found[1] or found[2] or "") if found else ""
    return id_, " ".join(name.replace("\\n", " ").split())


def chord_of(text: str) -> Chord | None:
    """Return the chord of a symbol, ``"Am7"``, ``"D/f+"``; None for words and unknown kinds."""
    head, slash, bass = text.strip().partition("/")
    bass = bass[:1].upper() + bass[1:].replace("+", "#").replace("-", "b")
    try:
        return parse_chord(head + slash + bass)
    except MusicError:
        return None

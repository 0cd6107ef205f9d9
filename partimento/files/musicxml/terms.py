"""MusicXML's words for chords, syllables and tempos, and ours."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

from partimento.files.musicxml.numbers import decimal, integer
from partimento.music import Chord
from partimento.music.chords import QUALITIES
from partimento.music.keys import parse_pitch_class

__all__ = [
    "KIND_OF_QUALITY",
    "chord_of_harmony",
    "lyrics_of_note",
    "metronome_tempo",
    "text_of_lyric",
]

# Quality -> (kind, added or altered degrees as (value, alter, type)).
KIND_OF_QUALITY: dict[str, tuple[str, tuple[tuple[int, int, str], ...]]] = {
    "": ("major", ()),
    "m": ("minor", ()),
    "7": ("dominant", ()),
    "maj7": ("major-seventh", ()),
    "m7": ("minor-seventh", ()),
    "mmaj7": ("major-minor", ()),
    "dim": ("diminished", ()),
    "dim7": ("diminished-seventh", ()),
    "m7b5": ("half-diminished", ()),
    "aug": ("augmented", ()),
    "aug7": ("augmented-seventh", ()),
    "6": ("major-sixth", ()),
    "m6": ("minor-sixth", ()),
    "sus2": ("suspended-second", ()),
    "sus4": ("suspended-fourth", ()),
    "7sus4": ("suspended-fourth", ((7, 0, "add"),)),
    "9": ("dominant-ninth", ()),
    "maj9": ("major-ninth", ()),
    "m9": ("minor-ninth", ()),
    "add9": ("major", ((9, 0, "add"),)),
    "7b9": ("dominant", ((9, -1, "add"),)),
    "7b5": ("dominant", ((5, -1, "alter"),)),
    "11": ("dominant-11th", ()),
    "13": ("dominant-13th", ()),
    "5": ("power", ()),
}
_QUALITY_OF_KIND = {kind: name for name, (kind, degrees) in KIND_OF_QUALITY.items() if not degrees}
_QUALITY_OF_DEGREES = {
    (kind, frozenset((value, alter) for value, alter, _ in degrees)): name
    for name, (kind, degrees) in KIND_OF_QUALITY.items()
    if degrees
}
_PER_MINUTE = re.compile(r"\d{1,6}(?:[.,]\d{1,6})?", re.ASCII)
_VERSE = re.compile(r"[0-9]{1,3}$", re.ASCII)
_SYLLABLE_GOES_ON = ("begin", "middle")
_BEATS = {
    "breve": 8.0, "whole": 4.0, "half": 2.0, "quarter": 1.0, "eighth": 0.5, "16th": 0.25,
    "32nd": 0.125, "64th": 0.0625, "long": 16.0,
}  # fmt: skip


def chord_of_harmony(element: Element) -> Chord | None:
    """Return the chord of a ``harmony`` element, or None for a kind that is not known here."""
    root = _pitch_class(element.find("root"), "root")
    kind = (element.findtext("kind") or "").strip()
    if root is None:
        return None
    degrees = frozenset(
        (integer(d.findtext("degree-value")), integer(d.findtext("degree-alter")))
        for d in element.findall("degree")
        if (d.findtext("degree-type") or "").strip() != "subtract"
    )
    quality = _QUALITY_OF_DEGREES.get((kind, degrees), _QUALITY_OF_KIND.get(kind))
    if quality is None or quality not in QUALITIES:
        return None
    return Chord(root, quality, _pitch_class(element.find("bass"), "bass"))


def _pitch_class(element: Element | None, name: str) -> int | None:
    step = element.findtext(f"{name}-step") if element is not None else None
    if element is None or step is None or step.strip().upper() not in tuple("ABCDEFG"):
        return None
    alter = round(decimal(element.findtext(f"{name}-alter")))
    return (parse_pitch_class(step) + alter) % 12


def lyrics_of_note(element: Element) -> list[tuple[int, str]]:
    """Return the syllables of a note as (verse, text), ``"Hal-"`` inside a word.

    A verse is the number at the end of what numbers it, and 1 where nothing does.
    """
    found: list[tuple[int, str]] = []
    for lyric in element.iterfind("lyric"):
        text, verse = text_of_lyric(lyric), _VERSE.search(lyric.get("number") or "1")
        if text and verse is not None:
            found.append((int(verse[0]), text))
    return found


def text_of_lyric(lyric: Element) -> str:
    """Return the text of a ``lyric`` element, ``"Hal-"`` where its word goes on."""
    text = "".join((part.text or "") for part in lyric if part.tag in ("text", "elision"))
    syllabics = [part.text or "" for part in lyric if part.tag == "syllabic"]
    goes_on = bool(syllabics) and syllabics[-1].strip() in _SYLLABLE_GOES_ON
    return text + "-" if text and goes_on else text


def metronome_tempo(element: Element | None) -> float | None:
    """Return quarters a minute of a metronome mark such as ``quarter = 120``, else None.

    Of a range (``"c. 66-72"``) the first number counts. A relation of two beats (a metric
    modulation) is no tempo.
    """
    if element is None:
        return None
    beats = element.findall("beat-unit")
    unit = _BEATS.get((beats[0].text or "").strip()) if len(beats) == 1 else None
    number = _PER_MINUTE.search((element.findtext("per-minute") or "")[:80])
    if unit is None or number is None:
        return None
    dots = len(element.findall("beat-unit-dot"))
    return float(number[0].replace(",", ".")) * unit * (2 - 0.5 ** min(dots, 4))

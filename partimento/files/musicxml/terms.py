"""MusicXML's words for chords, syllables and tempos, and ours."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

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
_VERSE = re.compile(r"[0-9]{1,3}$")
_SYLLABLE_GOES_ON = ("begin", "middle")
_BEATS = {
    "breve": 8.0, "whole": 4.0, "half": 2.0, "quarter": 1.0, "eighth": 0.5, "16th": 0.25,
    "32nd": 0.125, "64th": 0.0625,
}  # fmt: skip


def chord_of_harmony(element: Element) -> Chord | None:
    """Return the chord of a ``harmony`` element, or None for a kind that is not known here."""
    root = _pitch_class(element.find("root"), "root")
    kind = (element.findtext("kind") or "").strip()
    if root is None:
        return None
    degrees = frozenset(
        (int(d.findtext("degree-value") or 0), int(float(d.findtext("degree-alter") or 0)))
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
    alter = round(float(element.findtext(f"{name}-alter") or 0))
    return (parse_pitch_class(step) + alter) % 12


def lyrics_of_note(element: Element) -> dict[int, str]:
    """Return the syllable of a note in each verse, ``"Hal-"`` inside a word; of two the first.

    A verse is the number at the end of what numbers it, and 1 where nothing does.
    """
    verses: dict[int, str] = {}
    for lyric in element.findall("lyric"):
        text, found = text_of_lyric(lyric), _VERSE.search(lyric.get("number") or "1")
        if text and found is not None:
            verses.setdefault(int(found[0]), text)
    return verses


def text_of_lyric(lyric: Element) -> str:
    """Return the text of a ``lyric`` element, ``"Hal-"`` where its word goes on."""
    text = "".join((part.text or "") for part in lyric if part.tag in ("text", "elision"))
    syllabics = [part.text or "" for part in lyric if part.tag == "syllabic"]
    goes_on = bool(syllabics) and syllabics[-1].strip() in _SYLLABLE_GOES_ON
    return text + "-" if text and goes_on else text


def metronome_tempo(element: Element | None) -> float | None:
    """Return quarters a minute of a metronome mark such as ``quarter = 120``, else None."""
    if element is None:
        return None
    unit = _BEATS.get((element.findtext("beat-unit") or "").strip())
    words = (element.findtext("per-minute") or "").split()
    if unit is None or not words:
        return None
    try:
        beats = float(words[-1].strip(".,()"))
    except ValueError:
        return None
    return beats * unit * (1.5 if element.find("beat-unit-dot") is not None else 1.0)

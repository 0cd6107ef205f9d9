"""What a MusicXML file says that a score does not keep, counted.

Layout is not counted (beams, stems, clefs, brackets of tuplets, places on the page), nor what is
written otherwise but sounds the same (transposing instruments, the spelling of accidentals).
"""

from __future__ import annotations

from collections import Counter
from xml.etree.ElementTree import Element

from partimento.files.musicxml.terms import chord_of_harmony, text_of_lyric
from partimento.music import Score

__all__ = ["left_out_notes", "left_out_signs"]

_NOT_COUNTED = ("stop", "continue", "discontinue")  # of what has a beginning, that alone counts
# Element -> what it is called, wherever it stands.
_SIGNS = {
    "slur": "slurs",
    "fermata": "fermatas",
    "arpeggiate": "arpeggios",
    "non-arpeggiate": "arpeggios",
    "glissando": "glides",
    "slide": "glides",
    "wedge": "hairpins",
    "words": "written words",
    "rehearsal": "rehearsal marks",
    "repeat": "repeat signs",
    "ending": "repeat signs",
    "segno": "repeat signs",
    "coda": "repeat signs",
    "measure-repeat": "repeat signs",
    "figured-bass": "bass figures",
    "extend": "melisma lines",
    "instrument-change": "changes of instruments",
    "creator": "credits",
    "rights": "credits",
}
# Element -> what each of its children is called.
_GROUPS = {
    "articulations": "articulations",
    "ornaments": "ornaments",
    "technical": "technical signs",
}
# Children of notations and direction-type that are kept, are layout, or are counted above.
_KEPT = ("tied", "tuplet", "pedal", "metronome", "octave-shift", "accidental-mark")
_ELSEWHERE = frozenset((*_KEPT, *_SIGNS, *_GROUPS, "dynamics"))
_DYNAMICS = "dynamics marks"
_ORDER = (*_GROUPS.values(), _DYNAMICS, *_SIGNS.values())  # in which they are told, before others


def left_out_notes(root: Element) -> dict[str, int]:
    """Return how many notes of a ``score-partwise`` element are passed over."""
    small = (
        note.find("grace") is not None or note.find("cue") is not None for note in root.iter("note")
    )
    return {"grace and cue notes": sum(small)}


def left_out_signs(root: Element, score: Score) -> dict[str, int]:
    """Return how many signs of each kind a ``score-partwise`` element has that its score lacks."""
    counts: Counter[str] = Counter(dict.fromkeys(_ORDER, 0))
    for element in root.iter():
        tag = element.tag
        name = _SIGNS.get(tag)
        if name is not None:
            counts[name] += element.get("type") not in _NOT_COUNTED
        elif tag in _GROUPS:
            counts[_GROUPS[tag]] += sum(
                child.get("type") not in _NOT_COUNTED and child.tag != "accidental-mark"
                for child in element
            )
        elif tag in ("notations", "direction-type"):
            counts[_DYNAMICS] += len(element.findall("dynamics"))
            counts["other signs"] += sum(
                child.tag not in _ELSEWHERE and child.get("type") not in _NOT_COUNTED
                for child in element
            )
        elif tag == "harmony":
            counts["unknown chord symbols"] += chord_of_harmony(element) is None
        elif tag == "key":
            counts["key signatures"] += element.find("fifths") is None
        elif tag == "sound":
            is_change = element.find("midi-instrument/midi-program") is not None
            counts["changes of instruments"] += is_change
        elif tag == "alter":
            counts["microtones"] += not float(element.text or 0).is_integer()
        elif tag == "lyric":
            counts["lyrics"] += bool(text_of_lyric(element))
    counts["lyrics"] -= sum(len(track.lyrics) for track in score.tracks)
    counts["credits"] += _page_texts(root, score.title)
    return dict(counts)


def _page_texts(root: Element, title: str) -> int:
    """Return how many texts on the page, and further titles, do not say the title alone."""
    texts = [" ".join("".join(credit.itertext()).split()) for credit in root.findall("credit")]
    texts.append(" ".join((root.findtext("movement-title") or "").split()))
    return sum(text not in ("", title) for text in texts)

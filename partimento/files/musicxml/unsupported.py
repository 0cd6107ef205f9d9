"""What a MusicXML file says that a score does not keep, counted.

Layout is not counted (beams, stems, clefs, brackets of tuplets, places on the page), nor what is
written otherwise but sounds the same (transposing instruments, the spelling of accidentals).
"""

from __future__ import annotations

from collections import Counter
from xml.etree.ElementTree import Element

from partimento.files.musicxml.numbers import decimal
from partimento.files.musicxml.parts import Reading
from partimento.files.musicxml.repeat_signs import jump_of_words, passes_of
from partimento.files.musicxml.terms import chord_of_harmony, metronome_tempo, text_of_lyric

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
    "measure-repeat": "repeat signs",
    "beat-repeat": "repeat signs",
    "figured-bass": "bass figures",
    "extend": "melisma lines",
    "instrument-change": "changes of instruments",
    "midi-bank": "sound banks",
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
_KEPT = (
    "tied", "tuplet", "pedal", "metronome", "octave-shift", "accidental-mark", "segno", "coda",
)  # fmt: skip
_ELSEWHERE = frozenset((*_KEPT, *_SIGNS, *_GROUPS, "dynamics", "footnote", "level"))
_DYNAMICS = "dynamics marks"
_ORDER = (
    *_GROUPS.values(),
    _DYNAMICS,
    *_SIGNS.values(),
)  # in which they are reported, before others
# What may stand in a measure and in a note; other elements are unknown here.
_KNOWN = {
    "measure": frozenset((
        "attributes", "backup", "barline", "bookmark", "direction", "figured-bass", "forward",
        "grouping", "harmony", "link", "note", "print", "sound",
    )),
    "note": frozenset((
        "accidental", "beam", "chord", "cue", "dot", "duration", "footnote", "grace", "instrument",
        "level", "lyric", "notations", "notehead", "notehead-text", "pitch", "rest", "staff",
        "stem", "tie", "time-modification", "type", "unpitched", "voice",
    )),
}  # fmt: skip
_PEDALS = ("damper-pedal", "soft-pedal", "sostenuto-pedal")


def left_out_notes(root: Element) -> dict[str, int]:
    """Return how many notes of a ``score-partwise`` element are passed over."""
    small = (
        note.find("grace") is not None or note.find("cue") is not None for note in root.iter("note")
    )
    return {"grace and cue notes": sum(small)}


def left_out_signs(root: Element, reading: Reading) -> dict[str, int]:
    """Return how many signs of each kind a ``score-partwise`` element has that its score lacks.

    Raises:
        ValueError: if a number does not parse.
    """
    counts: Counter[str] = Counter(dict.fromkeys(_ORDER, 0))
    for element in root.iter():
        tag = element.tag
        name = _SIGNS.get(tag)
        if name is not None:
            counts[name] += element.get("type") not in _NOT_COUNTED and not (
                tag == "words" and jump_of_words(element.text or "") is not None
            )
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
        elif tag in _KNOWN:
            counts["unknown elements"] += sum(
                isinstance(child.tag, str) and child.tag not in _KNOWN[tag] for child in element
            )
        elif tag in _COUNTERS:
            what, count = _COUNTERS[tag](element)
            counts[what] += count
    counts["lyrics"] -= sum(len(track.lyrics) for track in reading.score.tracks)
    counts["credits"] += _page_texts(root, reading.score.title)
    counts["key signatures of single parts"] += _other_keys(reading)
    counts["metres of single parts"] += _other_metres(reading)
    counts["changes of instruments"] += _other_instruments(reading)
    return dict(counts)


def _sound(element: Element) -> tuple[str, int]:
    if element.find("midi-instrument/midi-program") is not None:
        return "changes of instruments", 1
    return "pedal marks", sum(name in element.attrib for name in _PEDALS)


_COUNTERS = {
    "harmony": lambda e: ("unknown chord symbols", chord_of_harmony(e) is None),
    "key": lambda e: ("key signatures", e.find("fifths") is None),
    "alter": lambda e: ("microtones", decimal(e.text).denominator != 1),
    "lyric": lambda e: ("lyrics", bool(text_of_lyric(e))),
    "metronome": lambda e: ("unread tempo marks", metronome_tempo(e) is None),
    "ending": lambda e: ("repeat signs", e.get("type") == "start" and not passes_of(e)),
    "sound": _sound,
}


def _page_texts(root: Element, title: str) -> int:
    """Return how many texts on the page, and further titles, do not say the title alone."""
    texts = [" ".join("".join(credit.itertext()).split()) for credit in root.findall("credit")]
    texts.append(" ".join((root.findtext("movement-title") or "").split()))
    return sum(text not in ("", title) for text in texts)


def _other_keys(reading: Reading) -> int:
    """Return how many keys of pitched parts, as they sound, are not those of the score."""
    kept = {(key.onset_ticks, key.key) for key in reading.score.key_signatures}
    last = {
        (index, key.onset_ticks): key.key
        for index, part in enumerate(reading.parts)
        if any(not note.is_drum for note in part.notes)
        for key in part.keys
        # A part that is transposed may be written without a signature.
        if not (part.is_transposed and not any(fifths for _, fifths in part.setting.fifths))
    }
    return sum((tick, key) not in kept for (_, tick), key in last.items())


def _other_metres(reading: Reading) -> int:
    """Return how many metres of parts are not those of the bars."""
    return sum(
        metre != reading.bars[index][2]
        for part in reading.parts
        for index, metre in part.metres.items()
    )


def _other_instruments(reading: Reading) -> int:
    """Return how many instruments of parts play, but with the program of another."""
    return sum(
        instrument.program != part.sound.main(part.instruments).program and instrument.drum is None
        for part in reading.parts
        for name, instrument in part.sound.instruments.items()
        if part.instruments[name]
    )

"""What instrument plays a part of a kern file: by Humdrum's codes (``*Ivioln``) and by its name."""

from __future__ import annotations

__all__ = ["is_keyboard", "program_of"]

# Humdrum's codes of instruments; Ivox and its kin are sung.
_CODES = {
    "piano": 0, "forte": 0, "cemba": 6, "clavi": 7, "celst": 8, "glock": 9, "vibra": 11,
    "marim": 12, "xylop": 13, "campn": 14, "organ": 19, "accor": 21, "armon": 22, "guitr": 24,
    "lute": 24, "theor": 24, "cbass": 43, "violn": 40, "viola": 41, "viold": 42, "violb": 42,
    "cello": 42, "gamba": 42, "contr": 43, "harp": 46, "timpa": 47, "vox": 52, "soprn": 52,
    "mezzo": 52, "alto": 52, "calto": 52, "tenor": 52, "barit": 52, "bass": 52, "canto": 52,
    "cantus": 52, "male": 52, "feme": 52, "nfant": 52, "tromp": 56, "tromb": 57, "tuba": 58,
    "cor": 60, "cornt": 56, "sax": 66, "oboe": 68, "corng": 69, "fagot": 70, "clars": 71,
    "clarp": 71, "clarb": 71, "clara": 71, "picco": 72, "flt": 73, "flt_a": 73, "recdr": 74,
    "banjo": 105, "koto": 107, "sitar": 104,
}  # fmt: skip
# What names begin with or hold, in the order in which they are looked for.
_NAMES = (
    ("violoncell", 42), ("cello", 42), ("violone", 43), ("contrabass", 43), ("double bass", 43),
    ("violin", 40), ("viola", 41), ("flut", 73), ("flaut", 73), ("oboe", 68), ("hautbois", 68),
    ("clarinet", 71), ("bassoon", 70), ("fagott", 70), ("horn", 60), ("corno", 60),
    ("trumpet", 56), ("tromba", 56), ("trombone", 57), ("timpan", 47), ("guitar", 24),
    ("harpsichord", 6), ("cembalo", 6), ("harp", 46), ("recorder", 74), ("blockfl", 74),
    ("voice", 52), ("sing", 52), ("canto", 52), ("cantus", 52), ("chant", 52), ("piew", 52),
    ("soprano", 52), ("discantus", 52), ("superius", 52), ("altus", 52), ("alto", 52),
    ("contratenor", 52), ("tenor", 52), ("bassus", 52), ("bariton", 52), ("bass", 52),
    ("organ", 19),
)  # fmt: skip
_PIANO_NAMES = ("piano", "pianoforte", "klavier", "fortepiano")
_PIANOS = frozenset({"piano", "forte"})


def program_of(code: str, name: str) -> int | None:
    """Return the General MIDI program of a code, else of a name; None where neither is known."""
    if code in _CODES:
        return _CODES[code]
    low = name.lower()
    return next((number for word, number in _NAMES if word in low), None)


def is_keyboard(code: str, name: str) -> bool:
    """Return whether a part is a piano's, whose staves are one track."""
    return code in _PIANOS or (not code and name.lower().strip("[]. ") in _PIANO_NAMES)

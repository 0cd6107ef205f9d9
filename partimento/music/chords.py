"""Chord symbols: a root, a quality and perhaps another bass note."""

from __future__ import annotations

import re
from dataclasses import dataclass

from partimento.errors import MusicError
from partimento.messages import shown
from partimento.music.keys import parse_pitch_class

__all__ = ["QUALITIES", "Chord", "parse_chord", "parse_chords"]

# Semitones over the root; the first name of each quality is the one that is written.
QUALITIES: dict[str, tuple[int, ...]] = {
    "": (0, 4, 7),
    "m": (0, 3, 7),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "m7": (0, 3, 7, 10),
    "mmaj7": (0, 3, 7, 11),
    "dim": (0, 3, 6),
    "dim7": (0, 3, 6, 9),
    "m7b5": (0, 3, 6, 10),
    "aug": (0, 4, 8),
    "aug7": (0, 4, 8, 10),
    "6": (0, 4, 7, 9),
    "m6": (0, 3, 7, 9),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
    "7sus4": (0, 5, 7, 10),
    "9": (0, 2, 4, 7, 10),
    "maj9": (0, 2, 4, 7, 11),
    "m9": (0, 2, 3, 7, 10),
    "add9": (0, 2, 4, 7),
    "7b9": (0, 1, 4, 7, 10),
    "7b5": (0, 4, 6, 10),
    "11": (0, 2, 4, 5, 7, 10),
    "13": (0, 2, 4, 7, 9, 10),
    "5": (0, 7),
}
_ALIASES = {
    "maj": "", "major": "", "M": "", "min": "m", "minor": "m", "-": "m", "mi": "m",
    "M7": "maj7", "Δ": "maj7", "Δ7": "maj7", "j7": "maj7", "min7": "m7", "-7": "m7", "mi7": "m7",
    "mM7": "mmaj7", "minmaj7": "mmaj7", "m(maj7)": "mmaj7", "°": "dim", "o": "dim", "°7": "dim7",
    "o7": "dim7", "ø": "m7b5", "ø7": "m7b5", "-7b5": "m7b5", "min7b5": "m7b5", "hdim7": "m7b5",
    "+": "aug", "+7": "aug7", "7#5": "aug7", "min6": "m6", "-6": "m6", "sus": "sus4",
    "7sus": "7sus4", "M9": "maj9", "min9": "m9", "-9": "m9", "maj6": "6", "dom7": "7",
}  # fmt: skip
_SHAPE = re.compile(r"([A-G](?:##|bb|[#b♯♭]?))([^/\s]*)(?:/([A-G](?:##|bb|[#b♯♭]?)))?")
_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


@dataclass(frozen=True, slots=True, order=True)
class Chord:
    """A chord: ``root`` and ``bass`` are pitch classes, ``quality`` a key of ``QUALITIES``."""

    root: int
    quality: str = ""
    bass: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.root < 12 or self.quality not in QUALITIES:
            raise MusicError(f"no chord has root {self.root} and quality {self.quality!r}")

    @property
    def pitch_classes(self) -> frozenset[int]:
        """The chord tones, the bass note among them."""
        tones = {(self.root + step) % 12 for step in QUALITIES[self.quality]}
        return frozenset(tones | ({self.bass} if self.bass is not None else set()))

    @property
    def name(self) -> str:
        """The symbol, as ``parse_chord`` reads it."""
        slash = f"/{_NAMES[self.bass]}" if self.bass is not None else ""
        return f"{_NAMES[self.root]}{self.quality}{slash}"

    def transposed(self, semitones: int) -> Chord:
        """Return the chord ``semitones`` higher."""
        bass = None if self.bass is None else (self.bass + semitones) % 12
        return Chord((self.root + semitones) % 12, self.quality, bass)

    def __str__(self) -> str:
        return self.name


def parse_chord(text: str) -> Chord:
    """Return the chord named by ``"Am"``, ``"F#m7b5"``, ``"C/E"``, ``"Bbmaj7"``.

    Raises:
        MusicError: if it names no chord that is known here.
    """
    match = _SHAPE.fullmatch(text.strip())
    if match is not None:
        quality = _ALIASES.get(match[2], match[2])
        if quality in QUALITIES:
            bass = parse_pitch_class(match[3]) if match[3] else None
            return Chord(parse_pitch_class(match[1]), quality, bass)
    known = " ".join(f"C{quality}" for quality in QUALITIES)
    raise MusicError(
        f"{shown(text)} is no chord that is known here; write e.g. Am, F, G7, C/E ({known})"
    )


def parse_chords(text: str) -> tuple[Chord, ...]:
    """Return the chords of a line such as ``"Am F C G"`` (spaces, commas or bars between)."""
    names = [name for name in re.split(r"[\s,|]+", text) if name]
    if not names:
        raise MusicError("a chord line holds at least one chord, e.g. 'Am F C G'")
    return tuple(parse_chord(name) for name in names)

"""Keys: a tonic and a mode, their names, signatures and scales."""

from __future__ import annotations

import re
from dataclasses import dataclass

from partimento.errors import MusicError
from partimento.messages import shown

__all__ = ["Key", "parse_key", "parse_pitch_class", "pitch_name"]

_NATURAL = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ACCIDENTAL = {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1, "##": 2, "bb": -2}
_SHARP_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_FLAT_NAMES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
_MAJOR = (0, 2, 4, 5, 7, 9, 11)
# The natural minor with the raised sixth and seventh that melodies and dominants use.
_MINOR = (0, 2, 3, 5, 7, 8, 9, 10, 11)
_MAJOR_BY_FIFTHS = (
    "Cb",
    "Gb",
    "Db",
    "Ab",
    "Eb",
    "Bb",
    "F",
    "C",
    "G",
    "D",
    "A",
    "E",
    "B",
    "F#",
    "C#",
)
_MINOR_BY_FIFTHS = (
    "Ab",
    "Eb",
    "Bb",
    "F",
    "C",
    "G",
    "D",
    "A",
    "E",
    "B",
    "F#",
    "C#",
    "G#",
    "D#",
    "A#",
)


def parse_pitch_class(text: str) -> int:
    """Return 0..11 for a note name such as ``C``, ``F#``, ``Bb``, ``E♭``.

    Raises:
        MusicError: if it is no note name.
    """
    match = re.fullmatch(r"([A-Ga-g])(##|bb|[#b♯♭]?)", text.strip())
    if match is None:
        raise MusicError(f"{shown(text)} is no note name; write C, F#, Bb, ...")
    return (_NATURAL[match[1].upper()] + _ACCIDENTAL[match[2]]) % 12


def pitch_name(pitch: int, flats: bool = False) -> str:
    """Return the scientific name of a MIDI pitch; 60 is ``C4``."""
    return f"{(_FLAT_NAMES if flats else _SHARP_NAMES)[pitch % 12]}{pitch // 12 - 1}"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """A key by its signature: ``fifths`` sharps (negative: flats), -7..7, and the mode."""

    fifths: int
    is_minor: bool = False

    def __post_init__(self) -> None:
        if not -7 <= self.fifths <= 7:
            raise MusicError(f"a key signature has -7..7 fifths, not {self.fifths}")

    @property
    def tonic(self) -> int:
        """The tonic's pitch class, 0..11."""
        return (7 * self.fifths + (9 if self.is_minor else 0)) % 12

    @property
    def name(self) -> str:
        """``"A minor"``, ``"Eb major"``."""
        names = _MINOR_BY_FIFTHS if self.is_minor else _MAJOR_BY_FIFTHS
        return f"{names[self.fifths + 7]} {'minor' if self.is_minor else 'major'}"

    @property
    def pitch_classes(self) -> frozenset[int]:
        """The scale; the minor holds both its natural and its raised sixth and seventh."""
        steps = _MINOR if self.is_minor else _MAJOR
        return frozenset((self.tonic + step) % 12 for step in steps)

    def transposed(self, semitones: int) -> Key:
        """Return the key ``semitones`` higher, spelt with the fewest accidentals."""
        fifths = (self.fifths + 7 * semitones + 5) % 12 - 5
        return Key(fifths, self.is_minor)

    def __str__(self) -> str:
        return self.name


def parse_key(text: str) -> Key:
    """Return the key named by ``"C"``, ``"A minor"``, ``"F# major"``, ``"Am"``, ``"Ebm"``.

    Raises:
        MusicError: if it names no key of at most seven accidentals.
    """
    match = re.fullmatch(
        r"\s*([A-Ga-g](?:[#b♯♭])?)\s*[-_ ]?\s*(m|min|minor|maj|major|M|dur|moll)?\s*", text
    )
    if match is not None:
        word = match[2] or "major"
        is_minor = word in ("m", "min", "minor", "moll")
        names = _MINOR_BY_FIFTHS if is_minor else _MAJOR_BY_FIFTHS
        wanted = (match[1][0].upper() + match[1][1:]).replace("♯", "#").replace("♭", "b")
        if wanted in names:
            return Key(names.index(wanted) - 7, is_minor)
        tonic = parse_pitch_class(wanted)
        base = (tonic - (9 if is_minor else 0)) % 12
        return Key((7 * base + 5) % 12 - 5, is_minor)
    raise MusicError(f"{shown(text)} is no key; write C, 'A minor', 'F# major' or Ebm")

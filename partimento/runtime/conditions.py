"""Typed conditions: what generated music is conditioned on, beside promises and prompts.

A promise is kept exactly, by masks, whatever the model is. A condition is an input of the network:
it steers the music, and only a system that was trained on it takes it. A card declares the types
that its system takes (``Card.conditions``); the others are refused by name.

Each type holds one value, which ``to_record`` turns into JSON for the recipe of what was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from partimento.errors import ConfigError, MusicError
from partimento.music import Chord, parse_chord

__all__ = [
    "CONDITIONS",
    "ChordCondition",
    "Condition",
    "FormCondition",
    "InstrumentsCondition",
    "LabelsCondition",
    "LyricsCondition",
    "StyleCondition",
    "TextCondition",
    "conditions_from_record",
    "conditions_to_record",
]

_FREE_BAR = "N.C."


@dataclass(frozen=True)
class Condition:
    """Base of all conditions; a subclass has one field and a name."""

    name: ClassVar[str] = ""

    def to_record(self) -> Any:
        """Return the value as JSON."""
        value = getattr(self, fields(self)[0].name)
        return list(value) if isinstance(value, tuple) else value

    @classmethod
    def from_record(cls, record: Any) -> Self:
        """Return the condition of a record; the inverse of ``to_record``."""
        value = tuple(record) if isinstance(record, list) else record
        return cls(**{fields(cls)[0].name: value})


def _require(is_right: bool, what: str, value: object) -> None:
    if not is_right:
        raise MusicError(f"{what}, not {value!r}")


@dataclass(frozen=True)
class TextCondition(Condition):
    """A description in words."""

    text: str
    name: ClassVar[str] = "text"

    def __post_init__(self) -> None:
        is_text = isinstance(self.text, str) and bool(self.text.strip())
        _require(is_text, "a text condition is a text of at least one word", self.text)


@dataclass(frozen=True)
class StyleCondition(Condition):
    """The name of a style, composer or data set that the model knows."""

    style: str
    name: ClassVar[str] = "style"

    def __post_init__(self) -> None:
        is_text = isinstance(self.style, str) and bool(self.style.strip())
        _require(is_text, "a style is a name", self.style)


@dataclass(frozen=True)
class ChordCondition(Condition):
    """One chord a bar, from the first on; None leaves a bar free.

    It steers the network, where ``Promises.chords`` masks what does not fit.
    """

    chords: tuple[Chord | None, ...]
    name: ClassVar[str] = "chords"

    def __post_init__(self) -> None:
        is_line = all(chord is None or isinstance(chord, Chord) for chord in self.chords)
        _require(is_line and bool(self.chords), "chords are one a bar", self.chords)

    def to_record(self) -> Any:
        """Return the chords' names."""
        return [_FREE_BAR if chord is None else chord.name for chord in self.chords]

    @classmethod
    def from_record(cls, record: Any) -> Self:
        """Return the chords of their names."""
        return cls(tuple(None if name == _FREE_BAR else parse_chord(name) for name in record))


@dataclass(frozen=True)
class InstrumentsCondition(Condition):
    """The instruments to write for: General MIDI programs 0..127, and 128 for drums."""

    programs: tuple[int, ...]
    name: ClassVar[str] = "instruments"

    def __post_init__(self) -> None:
        is_right = all(isinstance(p, int) and 0 <= p <= 128 for p in self.programs)
        what = "instruments are programs 0..127, or 128 for drums"
        _require(is_right and bool(self.programs), what, self.programs)


@dataclass(frozen=True)
class FormCondition(Condition):
    """The form, one letter a section, equal letters for equal sections: ``"AABA"``."""

    sections: str
    name: ClassVar[str] = "form"

    def __post_init__(self) -> None:
        is_right = isinstance(self.sections, str) and self.sections.isalpha()
        _require(is_right, "a form is a letter for each section", self.sections)


@dataclass(frozen=True)
class LyricsCondition(Condition):
    """The words to be sung, one text a line."""

    lines: tuple[str, ...]
    name: ClassVar[str] = "lyrics"

    def __post_init__(self) -> None:
        is_right = bool(self.lines) and all(isinstance(line, str) for line in self.lines)
        _require(is_right, "lyrics are lines of text", self.lines)


@dataclass(frozen=True)
class LabelsCondition(Condition):
    """Named numbers that the model was trained with, such as ``{"density": 0.7}``."""

    labels: Mapping[str, float]
    name: ClassVar[str] = "labels"

    def __post_init__(self) -> None:
        is_right = bool(self.labels) and all(
            isinstance(name, str) and isinstance(value, int | float)
            for name, value in self.labels.items()
        )
        _require(is_right, "labels are numbers by name", self.labels)

    def to_record(self) -> Any:
        """Return the labels."""
        return dict(self.labels)


CONDITIONS: Mapping[str, type[Condition]] = {
    kind.name: kind
    for kind in (
        ChordCondition,
        FormCondition,
        InstrumentsCondition,
        LabelsCondition,
        LyricsCondition,
        StyleCondition,
        TextCondition,
    )
}


def conditions_to_record(conditions: Iterable[Condition]) -> dict[str, Any]:
    """Return the conditions as JSON values by their names.

    Raises:
        MusicError: if two are of one type.
    """
    record: dict[str, Any] = {}
    for condition in conditions:
        if condition.name in record:
            raise MusicError(f"two {condition.name} conditions were given; give one")
        record[condition.name] = condition.to_record()
    return record


def conditions_from_record(record: Mapping[str, Any]) -> tuple[Condition, ...]:
    """Return the conditions of a record.

    Raises:
        ConfigError: for a name or a value that is not known here.
    """
    found = []
    for name, value in record.items():
        if name not in CONDITIONS:
            known = ", ".join(CONDITIONS)
            raise ConfigError(f"recipe.conditions.{name}", f"unknown; known here: {known}")
        try:
            found.append(CONDITIONS[name].from_record(value))
        except (TypeError, ValueError, AttributeError):
            raise ConfigError(f"recipe.conditions.{name}", f"is damaged: {value!r}") from None
    return tuple(found)

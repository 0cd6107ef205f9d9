"""Cadences: the two chords that close a phrase, in a key.

The classical types (Caplin, "Classical Form", 1998, chapter 2): authentic V(7)-I, plagal IV-I, and
half, which stops on V. ``open`` and ``fade`` are endings without a cadence.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

from partimento.errors import MusicError
from partimento.messages import shown
from partimento.music.keys import Key

__all__ = [
    "CADENCES",
    "ENDINGS",
    "Cadence",
    "Ending",
    "cadence_in",
    "can_sound",
    "parse_ending",
]

Ending = Literal["authentic", "plagal", "half", "open", "fade"]
ENDINGS: tuple[Ending, ...] = get_args(Ending)
CADENCES: tuple[Ending, ...] = ("authentic", "plagal", "half")


@dataclass(frozen=True, slots=True)
class Cadence:
    """A cadence as pitch classes.

    ``approach`` is the chord before the last and ``approach_bass`` its bass; both are empty where
    any chord may lead to the last one. ``needed`` is the tone without which the approach is not
    heard as what it is (the leading tone of V); None if there is none. ``final`` holds the last
    chord; ``thirds`` are the pitch classes that may be its third, of which just one sounds.
    """

    kind: Ending
    key: Key
    approach: frozenset[int]
    approach_bass: frozenset[int]
    needed: int | None
    final: frozenset[int]
    final_bass: int
    thirds: tuple[int, ...]

    def is_final(self, pitches: Collection[int]) -> bool:
        """Return whether pitches that sound at once are the last chord, over its bass."""
        classes = {pitch % 12 for pitch in pitches}
        return (
            bool(classes)
            and classes <= self.final
            and min(pitches) % 12 == self.final_bass
            and sum(third in classes for third in self.thirds) == 1
        )

    def is_approach(self, pitches: Collection[int]) -> bool:
        """Return whether pitches that sound at once may be the chord before the last."""
        if not self.approach:
            return True
        classes = {pitch % 12 for pitch in pitches}
        return (
            bool(classes) and classes <= self.approach and min(pitches) % 12 in self.approach_bass
        )


def cadence_in(key: Key, kind: Ending) -> Cadence:
    """Return the cadence of a kind in a key; a minor piece may close on the major third.

    Raises:
        MusicError: if ``kind`` names no cadence.
    """
    tonic = key.tonic

    def classes(*steps: int) -> frozenset[int]:
        return frozenset((tonic + step) % 12 for step in steps)

    thirds = (3, 4) if key.is_minor else (4,)
    tonic_chord = classes(0, 7, *thirds)
    third_classes = tuple((tonic + step) % 12 for step in thirds)
    if kind == "authentic":
        leading = (tonic + 11) % 12
        dominant = classes(7, 11, 2, 5)
        return Cadence(kind, key, dominant, classes(7), leading, tonic_chord, tonic, third_classes)
    if kind == "plagal":
        third = 8 if key.is_minor else 9
        subdominant = classes(5, third, 0)
        needed = (tonic + third) % 12
        return Cadence(
            kind, key, subdominant, classes(5), needed, tonic_chord, tonic, third_classes
        )
    if kind == "half":
        leading = (tonic + 11) % 12
        final, bass = classes(7, 11, 2), (tonic + 7) % 12
        return Cadence(kind, key, frozenset(), frozenset(), None, final, bass, (leading,))
    raise MusicError(f"{shown(kind)} is no cadence; these are: {', '.join(CADENCES)}")


def can_sound(cadence: Cadence, basses: Collection[int], above: Collection[int]) -> bool:
    """Return whether pitches hold both chords: the bass of each, and over it what makes it.

    That is the third of the last chord and the ``needed`` tone of the approach; ``basses`` are the
    pitches of the lowest voice, ``above`` those of the others.
    """

    def holds(bass_classes: Collection[int], over: Collection[int]) -> bool:
        lowest = min((pitch for pitch in basses if pitch % 12 in bass_classes), default=None)
        return lowest is not None and any(p > lowest and p % 12 in over for p in above)

    final = holds({cadence.final_bass}, cadence.thirds)
    if not cadence.approach:
        return final
    needed = cadence.approach if cadence.needed is None else {cadence.needed}
    return final and holds(cadence.approach_bass, needed)


def parse_ending(text: str) -> Ending:
    """Return the ending of a name.

    Raises:
        MusicError: if there is none of that name.
    """
    for ending in ENDINGS:
        if text.strip().lower() == ending:
            return ending
    raise MusicError(f"no ending is called {shown(text)}; choose {', '.join(ENDINGS)}")

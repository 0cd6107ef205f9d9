"""What every constraint that closes a piece offers, and what they share.

A closing constraint wraps the constraint of its representation. Up to the closing it only observes,
so that the key is known where none was asked. In the closing it masks: first the approach, then
the final chord. Promises come first: where a mask of theirs and of the cadence exclude each
other, theirs holds.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np

from partimento.analysis.keys import keys_by_fit
from partimento.music.cadences import Cadence, Ending, cadence_in, can_sound
from partimento.music.keys import Key
from partimento.representations.constraint import Constraint, Mask

__all__ = [
    "ClosingConstraint",
    "ClosingLayout",
    "cadences_for",
    "either",
    "layouts",
    "with_weight",
]

S = TypeVar("S")
NO_WEIGHTS = (0.0,) * 12


class ClosingLayout(NamedTuple):
    """How long approach and final chord last, in steps of the representation."""

    approach: int
    final: int


@runtime_checkable
class ClosingConstraint(Constraint[S], Protocol[S]):
    """A constraint whose last bars can be made in several ways, of which the best is taken."""

    def is_closing(self, state: S) -> bool:
        """Return whether the next token is the first of the closing."""
        ...

    def variants(self, state: S) -> Sequence[tuple[ClosingConstraint[Any], S]]:
        """Return the constraints by which the piece can be closed, each with its state."""
        ...

    def closes(self, state: S) -> bool:
        """Return whether what was written by a variant, now done, ends with its cadence."""
        ...


def layouts(bar: int, beat: int, is_only_bar: bool) -> tuple[ClosingLayout, ...]:
    """Return the layouts of a closing for bars of ``bar`` steps and beats of ``beat`` steps.

    The final chord fills the last bar, after an approach at the end of the bar before; or, in bars
    of four beats, its second half. A piece of one bar holds both.
    """
    half = bar // 2 if bar >= 4 * beat else max(beat, bar - bar // 3)
    inside = ClosingLayout(min(beat, bar - half), half)
    if is_only_bar:
        return (inside,) if inside.approach > 0 else (ClosingLayout(0, bar),)
    whole = ClosingLayout(beat, bar)
    return (whole, inside) if bar >= 4 * beat else (whole,)


def cadences_for(
    key: Key | None,
    weights: Sequence[float],
    kind: Ending,
    basses: Collection[int],
    above: Collection[int],
    most: int = 2,
) -> tuple[Cadence, ...]:
    """Return the cadences to try: in the key asked, or in those that fit the notes so far best.

    Of these come first the ones that the pitches of the bass and of the voices above can sound.
    """
    if key is not None:
        return (cadence_in(key, kind),)
    cadences = [cadence_in(each, kind) for each in keys_by_fit(np.array(weights))]
    fitting = [each for each in cadences if can_sound(each, basses, above)]
    return tuple((fitting or cadences)[:most])


def either(base: Mask, *preferred: Mask) -> Mask:
    """Return ``base`` narrowed by all preferences that leave something, the first ones first."""
    for mask in preferred:
        narrowed = base & mask
        if narrowed.any():
            base = narrowed
    return base


def with_weight(weights: tuple[float, ...], pitch_class: int, weight: float) -> tuple[float, ...]:
    """Return weights (12) with more on one pitch class."""
    more = weights[pitch_class] + weight
    return (*weights[:pitch_class], more, *weights[pitch_class + 1 :])

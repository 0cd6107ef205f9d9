"""How a piece of a stated length ends: the ending that is asked, or the one that has room."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from partimento.errors import CannotBeMet, NotSupported
from partimento.music import Promises
from partimento.music.cadences import CADENCES, Ending, cadence_in, can_sound
from partimento.music.keys import Key
from partimento.representations import can_close
from partimento.runtime.contract import Request

__all__ = ["NoCadence", "with_ending"]

_DEFAULT: Ending = "authentic"
_LEAST_NOTES = 2  # bass and third
_ALL_KEYS = tuple(Key(fifths, minor) for fifths in range(-5, 7) for minor in (False, True))
_BASS, _EVERY = "Bass", "*"


class NoCadence(UserWarning):
    """The chords that are given end otherwise than the cadence that was asked."""


def with_ending(request: Request, config: Mapping[str, Any]) -> Request:
    """Return a request for new bars with its ending settled; ``config`` is the model's.

    A piece of a stated length closes with an authentic cadence unless something else is asked.
    Chords that are given say how it ends: a cadence that the last one contradicts is dropped with
    a warning. Where none is asked and the range or polyphony leave no room for one, it is
    ``open``.

    Raises:
        NotSupported: if a cadence is asked of a model that cannot close.
        CannotBeMet: if a cadence is asked and the range or polyphony leave no room for it.
    """
    promises = request.promises
    closes = can_close(config.get("representation", {}))
    asked = promises.ending
    if asked in CADENCES and not closes:
        raise NotSupported(
            f"{config.get('name')} has no {asked} ending; it has: open, fade "
            "(music-transformer-chorales and music-transformer-piano have all)"
        )
    if not promises.bars or not closes or asked not in (None, *CADENCES):
        return request
    if asked is None:
        if promises.chords:
            return request
        ending: Ending = _DEFAULT if _has_room(promises, _DEFAULT) else "open"
        return replace(request, promises=replace(promises, ending=ending))
    if not _has_room(promises, asked):
        raise CannotBeMet(
            f"the range or polyphony asked leave no room for the ending {asked}, whose bass needs "
            "a third over it; widen them, or ask for the ending open"
        )
    last = promises.chord_of_bar(promises.bars - 1)
    if last is not None and not _agrees(promises, asked, set(last.pitch_classes)):
        warnings.warn(
            NoCadence(f"the last chord, {last}, is not that of the ending {asked}; chords win"),
            stacklevel=2,
        )
        return replace(request, promises=replace(promises, ending="open"))
    return request


def _keys(promises: Promises) -> Iterable[Key]:
    return _ALL_KEYS if promises.key is None else (promises.key,)


def _has_room(promises: Promises, kind: Ending) -> bool:
    """Return whether bass and third of a cadence lie in the ranges and may sound together."""
    if promises.max_polyphony is not None and promises.max_polyphony < _LEAST_NOTES:
        return False
    spans = {name: range(span.low, span.high + 1) for name, span in promises.ranges.items()}
    everything = spans.get(_EVERY, range(128))
    basses = spans.get(_BASS, everything)
    named = [span for name, span in spans.items() if name not in (_EVERY, _BASS)]
    above = {pitch for span in named for pitch in span} or set(everything)
    return any(can_sound(cadence_in(key, kind), basses, above) for key in _keys(promises))


def _agrees(promises: Promises, kind: Ending, classes: set[int]) -> bool:
    """Return whether a chord holds the bass and a third of a cadence's last chord."""
    cadences = (cadence_in(key, kind) for key in _keys(promises))
    return any(
        cadence.final_bass in classes and classes & set(cadence.thirds) for cadence in cadences
    )

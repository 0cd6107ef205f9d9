"""Bar events: bars, positions, notes with durations, any instruments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from partimento.errors import ConfigError
from partimento.representations.bar_events.constraint import BarEventConstraint, BarEventState
from partimento.representations.bar_events.realiser import BarEventsRealiser
from partimento.representations.bar_events.tokens import (
    DRUMS,
    DURATIONS,
    METRE_POSITIONS,
    METRES,
    POSITIONS,
    POSITIONS_PER_QUARTER,
    TEMPOS,
    BarEvents,
    BarEventsWalk,
    Ruling,
)
from partimento.representations.registry import RepresentationEntry, without

__all__ = [
    "DRUMS",
    "DURATIONS",
    "ENTRY",
    "METRES",
    "METRE_POSITIONS",
    "POSITIONS",
    "POSITIONS_PER_QUARTER",
    "TEMPOS",
    "BarEventConstraint",
    "BarEventState",
    "BarEvents",
    "BarEventsRealiser",
    "BarEventsWalk",
    "Ruling",
]


def _make(options: Mapping[str, Any]) -> BarEvents:
    return BarEvents(_track_names(options.get("track_names", {})))


def _track_names(value: Any) -> dict[int, str]:
    """Return track names from JSON, where the instruments are texts: ``{"52": "Voice"}``."""
    where = "representation.track_names"
    if not isinstance(value, Mapping):
        raise ConfigError(where, f"is a table of names by instrument, not {value!r}")
    names: dict[int, str] = {}
    for key, name in value.items():
        if not str(key).isdecimal() or not 0 <= int(key) <= 128 or not isinstance(name, str):
            raise ConfigError(f"{where}.{key}", "names an instrument 0..128 (128: drums) by a text")
        names[int(key)] = name
    return names


ENTRY = RepresentationEntry(
    _make, ("track_names",), BarEventsRealiser, meaning=without("track_names")
)

"""Music as arrays, without weights: the token forms that models read and write.

========================  =====================================================
``four_voice_grid``       four voices, a pitch a voice and a sixteenth (chorales)
``bar_events``            bars, positions, notes with durations, any instruments
``melody_steps``          one pitch an eighth (melodies)
``performance_events``    note on, note off, time shift in 10 ms (piano playing)
``countdown``             the first or second, each token knowing how near the end is
``track_grid``            tracks by sixteenths, any cell given or asked for; no tokens
``spectra``               sound as short-time spectra, whole or streamed; no tokens
========================  =====================================================

Each keeps the laws of ``partimento.representations.base``; ``make_representation`` rebuilds one
of tokens from its ``spec()``, which is what a model folder holds; ``TrackGrid.from_spec`` the grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from partimento.errors import ConfigError
from partimento.representations.bar_events import BarEvents
from partimento.representations.base import TokenRepresentation, Tokens, Vocabulary, Walk
from partimento.representations.countdown import Countdown
from partimento.representations.four_voice_grid import FourVoiceGrid
from partimento.representations.melody_steps import MelodySteps
from partimento.representations.performance_events import PerformanceEvents

__all__ = [
    "BarEvents",
    "Countdown",
    "FourVoiceGrid",
    "MelodySteps",
    "PerformanceEvents",
    "TokenRepresentation",
    "Tokens",
    "Vocabulary",
    "Walk",
    "make_representation",
]

_MOST_COUNTED = 4096  # bars of a countdown
_KEYS: dict[str, tuple[str, ...]] = {
    "bar_events": ("track_names",),
    "countdown": ("bars", "base"),
    "four_voice_grid": ("denominator", "highest", "lowest", "steps_per_bar"),
    "melody_steps": ("highest", "lowest", "steps_per_quarter"),
    "performance_events": (),
}


def make_representation(spec: Mapping[str, Any]) -> TokenRepresentation:
    """Return the representation that ``spec`` describes; the inverse of ``spec()``.

    Raises:
        ConfigError: if the name or a key is unknown, or a value is wrong.
    """
    name = spec.get("name")
    if not isinstance(name, str) or name not in _KEYS:
        known = ", ".join(_KEYS)
        raise ConfigError("representation.name", f"{name!r} is unknown; known here: {known}")
    values = {key: value for key, value in spec.items() if key != "name"}
    for key in values:
        if key not in _KEYS[name]:
            known = ", ".join(_KEYS[name]) or "none"
            raise ConfigError(f"representation.{key}", f"unknown option; known here: {known}")
    if name == "bar_events":
        return BarEvents(_track_names(values.get("track_names", {})))
    if name == "performance_events":
        return PerformanceEvents()
    if name == "countdown":
        if not isinstance(values.get("base"), Mapping):
            raise ConfigError("representation.base", "is the table of the representation counted")
        base = make_representation(values["base"])
        if not isinstance(base, BarEvents | FourVoiceGrid):
            raise ConfigError("representation.base", "only bar events and grids have bars to count")
        bars = values.get("bars", 8)
        if type(bars) is not int or not 1 <= bars <= _MOST_COUNTED:
            raise ConfigError("representation.bars", f"is 1..{_MOST_COUNTED}, not {bars!r}")
        return Countdown(base, bars)
    for key, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool):
            raise ConfigError(f"representation.{key}", f"is an integer, not {value!r}")
    return MelodySteps(**values) if name == "melody_steps" else FourVoiceGrid(**values)


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

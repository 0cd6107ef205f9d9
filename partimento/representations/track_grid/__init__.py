"""Tracks by sixteenths, any cell given or asked for; no tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from partimento.representations.registry import RepresentationEntry
from partimento.representations.track_grid.constraint import (
    CellConstraint,
    NewNote,
    Scope,
    new_notes,
)
from partimento.representations.track_grid.grid import (
    BLOCK,
    CHORD_QUALITIES,
    EMPTY,
    LONGEST,
    MASK,
    UNKNOWN,
    Cells,
    Grid,
    GridTrack,
    Layout,
    TrackGrid,
    sounding,
)

__all__ = [
    "BLOCK",
    "CHORD_QUALITIES",
    "EMPTY",
    "ENTRY",
    "LONGEST",
    "MASK",
    "UNKNOWN",
    "CellConstraint",
    "Cells",
    "Grid",
    "GridTrack",
    "Layout",
    "NewNote",
    "Scope",
    "TrackGrid",
    "new_notes",
    "sounding",
]


def _meaning(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the spec with names and voices of the tracks; a program is how one is played."""
    voices = [(track["name"], track["voices"]) for track in spec["tracks"]]
    shown = [name + (f" ({count} voices)" if count != 1 else "") for name, count in voices]
    return {**spec, "tracks": ", ".join(shown)}


def _make(options: Mapping[str, Any]) -> TrackGrid:
    return TrackGrid.from_spec(options.get("tracks"))


ENTRY = RepresentationEntry(_make, ("tracks",), meaning=_meaning)

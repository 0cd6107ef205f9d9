"""Names of tracks: each its own, so that parts can be told apart and joined by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from partimento.music import Track

__all__ = ["unique_names"]


def unique_names(tracks: Iterable[Track]) -> list[Track]:
    """Return the tracks with equal names numbered: ``Violin``, ``Violin 2``, ``Violin 3``."""
    tracks = list(tracks)
    taken = {track.name for track in tracks}
    seen: set[str] = set()
    out = []
    for track in tracks:
        name = track.name
        number = 2
        while name in seen:
            candidate = f"{track.name} {number}"
            if candidate not in taken or candidate in seen:
                name = candidate
            number += 1
        seen.add(name)
        out.append(track if name == track.name else replace(track, name=name))
    return out

"""Names of tracks: each its own, so that parts can be distinguished and joined by name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from partimento.music import Track
from partimento.music.instruments import PROGRAMS

__all__ = ["default_name", "names_as_read", "told_apart", "unique_names", "written_name"]


def default_name(program: int, is_drum: bool) -> str:
    """Return the name of a track that has none: its instrument."""
    return "Drums" if is_drum else PROGRAMS[program]


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


def told_apart(tracks: Iterable[Track]) -> list[Track]:
    """Return the tracks of a file numbered, each that gets a number with its written name."""
    tracks = list(tracks)
    return [
        now
        if now.name == track.name or track.written_name is not None
        else replace(now, written_name=track.name)
        for track, now in zip(tracks, unique_names(tracks), strict=True)
    ]


def written_name(track: Track) -> str:
    """Return the name that a file gets: as it was read, or a new one; empty for none.

    What was read counts as long as nobody has given the track another name since.
    """
    given = track.written_name
    if given is None:
        return track.name
    plain = given or default_name(track.program, track.is_drum)
    return given if re.fullmatch(rf"{re.escape(plain)}(?: \d+)?", track.name) else track.name


def names_as_read(tracks: Iterable[Track]) -> list[Track]:
    """Return the tracks with the names that they have after writing and reading."""
    out = []
    for track in unique_names(tracks):
        name = written_name(track)
        shown = name or default_name(track.program, track.is_drum)
        out.append(replace(track, name=shown, written_name=None if name else ""))
    return told_apart(out)

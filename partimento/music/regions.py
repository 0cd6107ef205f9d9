"""Places in a score: bars of tracks to be regenerated, and locks on what must stay.

A musician says ``9:12`` and ``Viola``; bars are counted from 1 and both ends are meant. Here bars
are counted from 0 and the end is left out, as everywhere in this package.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from partimento.errors import CannotBeMet, MusicError
from partimento.messages import listed, shown
from partimento.music.keys import pitch_name
from partimento.music.promises import parse_pitch
from partimento.music.score import Note, Score
from partimento.music.timeline import Timeline

__all__ = [
    "Region",
    "open_cells",
    "parse_bars",
    "parse_lock",
    "require_open",
    "track_indices",
]

_BARS = r"\d+(?:\s*[:-]\s*\d+)?"
_NOTE = re.compile(r"(\d+)\.(\d+(?:\.\d+)?)\s+(\S+)")


@dataclass(frozen=True, slots=True)
class Region:
    """Bars ``first_bar`` (from 0) up to and without ``end_bar``, of some tracks or of all.

    ``tracks`` are indices into the tracks of a score; None is all of them.
    """

    first_bar: int
    end_bar: int
    tracks: frozenset[int] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.first_bar < self.end_bar:
            raise MusicError(
                f"a region runs forwards from bar 0, not {self.first_bar}..{self.end_bar}"
            )

    def holds(self, bar: int, track: int) -> bool:
        """Return whether a bar of a track lies in the region."""
        return self.first_bar <= bar < self.end_bar and (
            self.tracks is None or track in self.tracks
        )


def parse_bars(text: str, bar_count: int | None = None) -> tuple[tuple[int, int], ...]:
    """Return the (first, end) bars, from 0 and half open, of ``"9:12,20:24"`` or ``"9"``.

    Args:
        text: bars as a musician writes them: from 1, both ends meant, several separated by commas.
        bar_count: how many bars there are; a region beyond is refused. None does not check.

    Raises:
        MusicError: if it does not parse or lies beyond the end.
    """
    spans: list[tuple[int, int]] = []
    for part in text.split(","):
        if not part.strip():
            continue
        if re.fullmatch(_BARS, part.strip()) is None:
            raise MusicError(f"{part.strip()!r} are no bars; write 9:12, or 9 for one bar")
        ends = [int(number) for number in re.findall(r"\d+", part)]
        first, last = ends[0], ends[-1]
        if not 1 <= first <= last:
            raise MusicError(f"bars count from 1 and run forwards, not {part.strip()!r}")
        if bar_count is not None and last > bar_count:
            there = "1 bar" if bar_count == 1 else f"{bar_count} bars"
            raise MusicError(f"there is no bar {last}; this piece has {there}")
        spans.append((first - 1, last))
    if not spans:
        raise MusicError("no bars are named; write 9:12, or 9 for one bar")
    return tuple(spans)


def track_indices(score: Score, names: Sequence[str]) -> tuple[int, ...]:
    """Return the tracks of these names, in the order asked, each once.

    A name is taken as it stands, or else whatever its capitals, or else as the number of a track
    counted from 1 (``"2"``). A name that several tracks bear means all of them.

    Raises:
        MusicError: if no track is called so; lists those that exist.
    """
    found: dict[int, None] = {}
    for name in names:
        for index in _tracks_called(score, name):
            found[index] = None
    return tuple(found)


def parse_lock(text: str, score: Score) -> Region | tuple[int, Note]:
    """Return what a lock holds: a region, or one note with the index of its track.

    ``"Viola"`` is a track, ``"9:10"`` are bars of all tracks, ``"Viola:9:10"`` and ``"Viola 9:10"``
    bars of one, ``"Viola 9.2 C4"`` the C4 that sounds at the second beat of bar 9 (a beat is one
    of the metre's lower number, and may have a fraction: ``9.2.5``).

    Raises:
        MusicError: if it names no track, bar or note of this score.
    """
    wanted = text.strip()
    if not wanted:
        raise MusicError("an empty lock holds nothing; lock a track, bars or a note")
    bar_count = len(Timeline(score).bars)
    names = {track.name.strip().lower() for track in score.tracks}
    if wanted.lower() not in names and re.fullmatch(_BARS, wanted):
        ((first, end),) = parse_bars(wanted, bar_count)
        return Region(first, end)
    name, rest = _split(wanted, names)
    if not rest:
        return Region(0, bar_count, frozenset(_tracks_called(score, name)))
    place = _NOTE.fullmatch(rest)
    if place is not None:
        return _locked_note(score, name, int(place[1]), float(place[2]), place[3])
    ((first, end),) = parse_bars(rest, bar_count)
    return Region(first, end, frozenset(_tracks_called(score, name)))


def open_cells(
    bar_count: int, track_count: int, regions: Sequence[Region], locks: Sequence[Region] = ()
) -> npt.NDArray[np.bool_]:
    """Return which bars of which tracks may be written, (bars, tracks); a lock wins."""
    cells = np.zeros((bar_count, track_count), dtype=np.bool_)
    for is_open, places in ((True, regions), (False, locks)):
        for place in places:
            columns = slice(None) if place.tracks is None else sorted(place.tracks)
            cells[place.first_bar : place.end_bar, columns] = is_open
    return cells


def require_open(score: Score, regions: Sequence[Region], locks: Sequence[Region]) -> None:
    """Check that the locks leave something to write.

    Raises:
        CannotBeMet: if they cover every bar of every track that is to be written.
    """
    bars, tracks = len(Timeline(score).bars), len(score.tracks)
    if not open_cells(bars, tracks, regions, locks).any():
        raise CannotBeMet("the locks cover all that is to be written; lock less, or ask for more")


def _tracks_called(score: Score, name: str) -> list[int]:
    wanted = name.strip()
    names = [track.name for track in score.tracks]
    same = [i for i, known in enumerate(names) if known == wanted]
    alike = [i for i, known in enumerate(names) if known.strip().lower() == wanted.lower()]
    if same or alike:
        return same or alike
    if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        return [int(wanted) - 1]
    there = listed(names)
    raise MusicError(f"no track is called {shown(wanted)}; this score has: {there}")


def _split(wanted: str, names: Iterable[str]) -> tuple[str, str]:
    """Return (track, bars or note) of a lock; the track is the longest name that it starts with."""
    place = rf"\s*[:\s]\s*({_BARS}|{_NOTE.pattern})"
    for name in sorted(names, key=len, reverse=True):
        rest = re.fullmatch(place, wanted[len(name) :])
        if wanted.lower() == name:
            return wanted, ""
        if wanted.lower().startswith(name) and rest is not None:
            return wanted[: len(name)], rest[1]
    part = re.fullmatch(rf"(.*?\S){place}", wanted)
    return (wanted, "") if part is None else (part[1], part[2])


def _locked_note(
    score: Score, name: str, bar_number: int, beat: float, pitch_text: str
) -> tuple[int, Note]:
    pitch = parse_pitch(pitch_text)
    timeline = Timeline(score)
    ((index, _),) = parse_bars(str(bar_number), len(timeline.bars))
    bar = timeline.bars[index]
    per_beat = 4 * score.ticks_per_quarter / bar.time_signature.denominator
    at = bar.onset_ticks + round((beat - 1) * per_beat)
    if not bar.onset_ticks <= at < bar.end_ticks:
        raise MusicError(f"bar {bar_number} is of {bar.time_signature}: it has no beat {beat:g}")
    tracks = _tracks_called(score, name)
    sounding = [
        (track, note)
        for track in tracks
        for note in score.tracks[track].notes
        if note.onset_ticks <= at < note.end_ticks
    ]
    found = [(track, note) for track, note in sounding if note.pitch == pitch]
    if not found:
        there = ", ".join(pitch_name(note.pitch) for _, note in sounding) or "nothing"
        raise MusicError(
            f"{score.tracks[tracks[0]].name} plays no {pitch_name(pitch)} at beat {beat:g} of bar "
            f"{bar_number}, but {there}"
        )
    return max(found, key=lambda place: place[1].onset_ticks)

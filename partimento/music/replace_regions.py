"""New notes into a score's regions, and nothing else touched.

What lies outside the regions is not copied but kept: the same notes, the same maps of tempo, metre,
key and chords, the same names, programs, pedals and lyrics.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import accumulate
from statistics import median_low

from partimento.errors import MusicError
from partimento.music.regions import Region, open_cells
from partimento.music.score import Note, Score, Track
from partimento.music.timeline import Bar, Timeline
from partimento.music.transform import join, rescale

__all__ = ["UNTOLD_VELOCITY", "graft", "join_parts"]

UNTOLD_VELOCITY = 80  # new notes that are all this loud leave loudness to what is around them

_LEAST = 8  # of a quarter: what is left of a cut note is at least a thirty-second long


def graft(
    prompt: Score,
    made: Score,
    regions: Sequence[Region],
    locks: Sequence[Region] = (),
    locked_notes: Sequence[tuple[int, Note]] = (),
) -> Score:
    """Return the prompt with the notes of its regions replaced by those of ``made``.

    An old note belongs to a region if it starts in it; it goes unless it is locked. A new note
    belongs there likewise, is cut where the open bars of its track end, and never sounds together
    with a note of its own pitch on its track: it is cut before the next one, starts when one
    that is held has ended, and is left out where less than a thirty-second would remain. New notes
    that are all of velocity 80 become as loud as what is kept around them.

    Args:
        prompt: the whole piece.
        made: new notes at their places in the whole piece, one track for each of the prompt's;
            what lies outside the regions is left out.
        regions: what is replaced.
        locks: what is kept all the same.
        locked_notes: (track, note) of single notes that are kept.

    Raises:
        MusicError: if ``made`` has not the prompt's number of tracks.
    """
    if len(made.tracks) != len(prompt.tracks):
        raise MusicError(
            f"new notes come on the {len(prompt.tracks)} tracks of the piece, "
            f"not on {len(made.tracks)}"
        )
    bars = Timeline(prompt).bars
    cells = open_cells(len(bars), len(prompt.tracks), regions, locks)
    starts = [bar.onset_ticks for bar in bars]
    on_grid = rescale(made, prompt.ticks_per_quarter)
    least = max(1, prompt.ticks_per_quarter // _LEAST)
    held: list[set[Note]] = [set() for _ in prompt.tracks]
    for index, note in locked_notes:
        held[index].add(note)
    kept: list[tuple[Note, ...]] = []
    fresh: list[list[Note]] = []
    for index, track in enumerate(prompt.tracks):
        is_open = cells[:, index].tolist()
        stays = [
            note
            for note in track.notes
            if not is_open[_bar(starts, note.onset_ticks)] or note in held[index]
        ]
        kept.append(tuple(stays))
        inside = _inside(on_grid.tracks[index].notes, bars, starts, is_open)
        fresh.append(_apart(inside, stays, least))
    if all(note.velocity == UNTOLD_VELOCITY for notes in fresh for note in notes):
        fresh = _as_loud(fresh, kept, prompt.tracks, bars, starts)
    tracks = tuple(
        replace(track, notes=tuple(sorted((*kept[i], *fresh[i])))) if cells[:, i].any() else track
        for i, track in enumerate(prompt.tracks)
    )
    return prompt.with_tracks(tracks)


def join_parts(pieces: Iterable[Score], prompt: Score) -> Score:
    """Return a stream's pieces as one score, track by track in their order.

    Unlike ``transform.join`` it holds tracks of one name apart.
    """
    parts = [
        piece.with_tracks(
            replace(track, name=str(index)) for index, track in enumerate(piece.tracks)
        )
        for piece in pieces
    ]
    joined = join(parts)
    if not parts:
        joined = Score(ticks_per_quarter=prompt.ticks_per_quarter)
    by_place = {track.name: track for track in joined.tracks}
    count = max([len(prompt.tracks), *(len(part.tracks) for part in parts)])
    return joined.with_tracks(by_place.get(str(i), Track(str(i))) for i in range(count))


def _bar(starts: list[int], tick: int) -> int:
    return max(0, bisect_right(starts, tick) - 1)


def _inside(
    notes: Sequence[Note], bars: Sequence[Bar], starts: list[int], is_open: list[bool]
) -> list[Note]:
    """Return the notes that start in an open bar, cut where its run of open bars ends."""
    run_end = [0] * len(bars)  # where the run of open bars that a bar stands in ends, in ticks
    for index in range(len(bars) - 1, -1, -1):
        goes_on = index + 1 < len(bars) and is_open[index + 1]
        run_end[index] = run_end[index + 1] if goes_on else bars[index].end_ticks
    found: list[Note] = []
    for note in notes:
        index = _bar(starts, note.onset_ticks)
        if is_open[index] and note.onset_ticks < bars[index].end_ticks:
            length = min(note.end_ticks, run_end[index]) - note.onset_ticks
            is_cut = length < note.duration_ticks
            found.append(replace(note, duration_ticks=length) if is_cut else note)
    return found


class _Spans:
    """When one pitch sounds among kept notes; asked in logarithmic time."""

    def __init__(self, spans: Iterable[tuple[int, int]] = ()) -> None:
        ordered = sorted(spans)
        self._starts = [first for first, _ in ordered]
        self._ends = list(accumulate((last for _, last in ordered), max))

    def free_from(self, tick: int) -> int:
        """Return the first tick from ``tick`` on at which nothing sounds."""
        while (at := bisect_right(self._starts, tick)) and self._ends[at - 1] > tick:
            tick = self._ends[at - 1]
        return tick

    def next_start(self, tick: int) -> int | None:
        """Return the first start at ``tick`` or later, None where there is none."""
        at = bisect_left(self._starts, tick)
        return self._starts[at] if at < len(self._starts) else None


def _apart(new: Sequence[Note], kept: Sequence[Note], least_ticks: int) -> list[Note]:
    """Return the new notes so that none overlaps another note of its pitch.

    One that would become shorter than ``least_ticks`` by this is left out.
    """
    by_pitch: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for note in kept:
        by_pitch[note.pitch].append((note.onset_ticks, note.end_ticks))
    spans = {note.pitch: _Spans(by_pitch[note.pitch]) for note in new}
    following: dict[int, int] = {}  # by pitch: where the next new note starts
    found: list[Note] = []
    for note in sorted(new, reverse=True):
        sounding = spans[note.pitch]
        onset = sounding.free_from(note.onset_ticks)
        limits = (note.end_ticks, sounding.next_start(onset), following.get(note.pitch))
        length = min(limit for limit in limits if limit is not None) - onset
        if length >= min(least_ticks, note.duration_ticks):
            if (onset, length) != (note.onset_ticks, note.duration_ticks):
                note = replace(note, onset_ticks=onset, duration_ticks=length)
            found.append(note)
            following[note.pitch] = onset
    return found[::-1]


def _as_loud(
    fresh: list[list[Note]],
    kept: list[tuple[Note, ...]],
    tracks: Sequence[Track],
    bars: Sequence[Bar],
    starts: list[int],
) -> list[list[Note]]:
    """Return the new notes as loud as the median of what is kept around them.

    Asked in this order: the track in the bars from one before to one after, all pitched tracks
    there, the whole track, all pitched tracks.
    """
    by_bar: list[dict[int, list[int]]] = []
    for notes in kept:
        levels: dict[int, list[int]] = defaultdict(list)
        for note in notes:
            last = _bar(starts, note.end_ticks - 1)
            for index in range(_bar(starts, note.onset_ticks), last + 1):
                levels[index].append(note.velocity)
        by_bar.append(levels)
    pitched = [levels for levels, t in zip(by_bar, tracks, strict=True) if not t.is_drum]
    whole = [note.velocity for i, t in enumerate(tracks) if not t.is_drum for note in kept[i]]
    known: dict[tuple[int, int], int] = {}

    def level(index: int, bar: int) -> int:
        near = range(max(0, bar - 1), min(len(bars), bar + 2))
        chosen = [v for at in near for v in by_bar[index].get(at, ())]
        chosen = chosen or [v for levels in pitched for at in near for v in levels.get(at, ())]
        chosen = chosen or [note.velocity for note in kept[index]] or whole
        return median_low(chosen) if chosen else UNTOLD_VELOCITY

    out: list[list[Note]] = []
    for index, written in enumerate(fresh):
        louder: list[Note] = []
        for note in written:
            cell = (index, _bar(starts, note.onset_ticks))
            if cell not in known:
                known[cell] = level(*cell)
            louder.append(replace(note, velocity=known[cell]))
        out.append(louder)
    return out

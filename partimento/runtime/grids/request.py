"""What a request comes to on a grid: a sheet of bars, of which some cells are to be written.

A sheet has known bars (the whole prompt of INFILL and ACCOMPANY, the last bars of CONTINUE's, none
of GENERATE) and, after those, new ones in which every cell of its parts is to be written. Notes
that are to be replaced are left out before anything is encoded, so nothing can look at them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from partimento.analysis.chords import recognise
from partimento.errors import CannotBeMet, NotSupported
from partimento.music import Chord, Promises, Score, Timeline, TimeSignature, Track
from partimento.music.regions import open_cells
from partimento.music.score import TICKS_PER_QUARTER
from partimento.music.track_roles import STRING_PARTS, role_of, seats
from partimento.representations.track_grid import EMPTY, MASK, Cells, Grid, Layout, TrackGrid
from partimento.runtime.contract import Request, Task

__all__ = ["Parts", "Patch", "Sheet", "sheet_of"]

_PER_QUARTER = 4
_Bools = npt.NDArray[np.bool_]
_Ints = npt.NDArray[np.int64]


def _nothing() -> _Ints:
    return np.zeros((0, 3), dtype=np.int64)


@dataclass(frozen=True)
class Patch:
    """A stretch of one part that shall not stay empty: its voices, bars half open."""

    slots: tuple[int, ...]
    first_bar: int
    end_bar: int | None  # None: it has no end


@dataclass(frozen=True)
class Sheet:
    """A piece on a grid of S slots. Bars count from the first known one.

    ``cells``, ``is_open`` (S, columns) and ``kept`` (2, columns), the most and the least kept
    notes that sound in a column, are those of the known bars; ``new_slots`` are written in all
    bars after them, up to ``total`` (None: without end). ``origin`` is the bar that promises call
    the first. ``tracks`` are what the pieces have, ``track_of`` names the one of each voice.
    ``taken`` (n, 3) are voice, column and pitch of kept notes of the tracks that are written.
    ``is_begun`` says that the first known bar is not that of the piece.
    """

    grid: TrackGrid
    layout: Layout
    cells: Cells
    is_open: _Bools
    kept: _Ints
    bar_ticks: tuple[int, ...]
    ticks_per_quarter: int
    metre: TimeSignature
    total: int | None
    origin: int
    new_slots: tuple[int, ...]
    tracks: tuple[Track, ...]
    track_of: tuple[int | None, ...]
    chords: tuple[Chord | None, ...]
    has_chords: bool
    patches: tuple[Patch, ...]
    taken: _Ints = field(default_factory=_nothing)
    is_begun: bool = False

    @property
    def known(self) -> int:
        """How many bars are known."""
        return len(self.layout.metres)

    @property
    def names(self) -> tuple[str | None, ...]:
        """The name of the track of each voice; None where a voice is not used."""
        return tuple(None if i is None else self.tracks[i].name for i in self.track_of)

    def metre_of(self, bar: int) -> TimeSignature:
        """Return the metre of a bar."""
        return self.layout.metres[bar] if bar < self.known else self.metre

    def width_of(self, bar: int) -> int:
        """Return how many columns a bar takes, padding included."""
        if bar < self.known:
            return int(self.layout.starts[bar + 1] - self.layout.starts[bar])
        return self._new_width

    @cached_property
    def _new_width(self) -> int:
        return Layout((self.metre,)).columns

    def opens(self, slots: Sequence[int], first: int, end: int) -> bool:
        """Return whether a cell of these voices is to be written in some bars."""
        starts = self.layout.starts[[min(first, self.known), min(end, self.known)]]
        known = self.is_open[list(slots), starts[0] : starts[1]]
        is_new = max(first, self.known) < end and bool({*slots} & {*self.new_slots})
        return is_new or bool(known.any())

    def ticks_of(self, bar: int) -> int:
        """Return the length of a bar in ticks."""
        if bar < self.known:
            return self.bar_ticks[bar]
        return int(self.metre.quarters_per_bar * self.ticks_per_quarter)

    def bars(self, first: int, end: int) -> Layout:
        """Return the layout of some bars."""
        return Layout(tuple(self.metre_of(bar) for bar in range(first, end)))

    @property
    def open_end(self) -> int | None:
        """The bar after the last in which something is to be written; None without end."""
        if self.new_slots:
            return self.total
        columns = np.flatnonzero(self.is_open.any(axis=0))
        return int(np.searchsorted(self.layout.starts, columns[-1], "right")) if len(columns) else 0

    def next_open(self, bar: int) -> int | None:
        """Return the first bar from ``bar`` on in which something is to be written."""
        starts = self.layout.starts
        if bar < self.known:
            columns = np.flatnonzero(self.is_open[:, starts[bar] :].any(axis=0))
            if len(columns):
                return int(np.searchsorted(starts, columns[0] + starts[bar], "right")) - 1
        bar = max(bar, self.known)
        has_more = self.new_slots and (self.total is None or bar < self.total)
        return bar if has_more else None

    def part(self, first: int, end: int) -> tuple[Cells, _Bools, _Ints]:
        """Return cells (S, T, 2) of some bars, MASK where they are open, which those are, and kept.

        Cells of promised chords are written in; beats whose chord nobody knows are MASK.
        """
        layout = self.bars(first, end)
        cells = np.zeros((self.grid.slots, layout.columns, 2), dtype=np.int64)
        is_open = np.zeros((self.grid.slots, layout.columns), dtype=bool)
        kept = np.zeros((2, layout.columns), dtype=np.int64)
        a, b = self.layout.starts[[min(first, self.known), min(end, self.known)]]
        cells[:, : b - a] = self.cells[:, a:b]
        is_open[:, : b - a] = self.is_open[:, a:b]
        kept[:, : b - a] = self.kept[:, a:b]
        new = np.arange(b - a, layout.columns)
        is_open[np.array(self.new_slots, dtype=np.int64)[:, None], new] = True
        is_open[:, layout.is_padding] = False
        cells[is_open] = MASK
        row = cells[self.grid.chord_slot]
        self._put_chords(row, layout, first)
        if self.has_chords:
            unknown = layout.beats[row[layout.beats, 0] == EMPTY]
            row[unknown] = MASK  # EMPTY would say that nothing sounds there
        return cells, is_open, kept

    def _put_chords(self, row: _Ints, layout: Layout, first: int) -> None:
        if not self.chords:
            return
        bars = np.searchsorted(layout.starts, layout.beats, "right") - 1
        for column, bar in zip(layout.beats, bars + first - self.origin, strict=True):
            chord = self.chords[bar % len(self.chords)] if bar >= 0 else None
            if chord is not None:
                row[column] = self.grid.chord_cell(chord)


@dataclass(frozen=True)
class Parts:
    """How a model's parts are played: ``voices`` at once in a track, what they are called.

    ``named`` are (name, program) of the tracks of new music.
    """

    grid: TrackGrid
    voices: int
    named: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, grid: TrackGrid, config: Mapping[str, Any], ensemble: int) -> Parts:
        """Return the parts of an ensemble, by its number among those of the network."""
        named = [(str(p["name"]), int(p.get("program", 0))) for p in config.get("tracks", ())]
        named = named or [(track.name, track.program) for track in grid.tracks]
        is_quartet = config["network"]["ensembles"][ensemble] == "strings"
        if is_quartet and [role_of(name) for name, _ in named] == [0, 1, 2, 3]:
            named = list(STRING_PARTS)
        # The first ensemble sings: it was learnt with one voice a track.
        voices = 1 if ensemble == 0 else max(track.voices for track in grid.tracks)
        return cls(grid, voices, tuple(named))

    def by_slot(self, seated: Sequence[int | None]) -> tuple[int | None, ...]:
        """Return the track of each voice that is used, from that of each of the grid's tracks."""
        return tuple(
            track if slot - slots.start < self.voices else None
            for slots, track in zip(self.grid.slots_of, seated, strict=True)
            for slot in slots
        )

    def encode(self, score: Score, seated: Sequence[int | None]) -> Grid:
        """Return the grid of a score, in it only the voices that are used."""
        found = self.grid.encode(score, seated)
        for slot, track in enumerate(self.by_slot(seated)):
            if track is None:
                found.cells[slot] = EMPTY
        return found


def sheet_of(request: Request, parts: Parts, window: int) -> Sheet:
    """Return the sheet of a request; of CONTINUE's prompt half a window of columns is known.

    Raises:
        NotSupported: if the parts do not fit the grid.
        CannotBeMet: if what is kept already breaks a promise, or leaves no room.
    """
    if request.task is Task.GENERATE:
        tracks = tuple(Track(name, program=program) for name, program in parts.named)
        nothing = np.zeros((parts.grid.slots, 0, 2), dtype=np.int64)
        return _new_bars(request, parts, tracks, range(len(tracks)), nothing, ())
    if request.score is None:
        raise NotSupported(f"{request.task} needs a prompt")
    if request.task is Task.CONTINUE:
        return _continued_sheet(request, request.score, parts, window)
    return _rewritten_sheet(request, request.score, parts)


def _continued_sheet(request: Request, prompt: Score, parts: Parts, window: int) -> Sheet:
    played = [i for i, t in enumerate(prompt.tracks) if t.notes and not t.is_drum]
    if not played:
        raise NotSupported("the prompt has drums alone; this model continues from pitched parts")
    heights = {i: prompt.tracks[i].mean_pitch for i in played}
    found = seats([track.name for track in parts.grid.tracks], prompt, played, heights)
    if request.promises.chords and not prompt.chords:
        prompt = replace(prompt, chords=recognise(prompt))
    whole = parts.encode(prompt, found)
    starts = whole.layout.starts
    first = int(np.searchsorted(starts, starts[-1] - window // 2))
    first = min(first, len(starts) - 1)
    known = whole.bars(first, len(starts) - 1)
    # Tracks of one name must stay apart in the pieces, and in the order of the prompt's.
    names = [prompt.tracks[i].name for i in played]
    if len(set(names)) < len(names):
        names = [f"{name} {at + 1}" for at, name in enumerate(names)]
    tracks = tuple(
        replace(prompt.tracks[i], name=name, notes=(), pedals=(), lyrics=())
        for i, name in zip(played, names, strict=True)
    )
    seated = tuple(None if i is None else played.index(i) for i in found)
    return _new_bars(
        request, parts, tracks, seated, known.cells, known.layout.metres, is_begun=first > 0
    )


def _new_bars(
    request: Request,
    parts: Parts,
    tracks: tuple[Track, ...],
    seated: Sequence[int | None],
    known: Cells,
    metres: tuple[TimeSignature, ...],
    is_begun: bool = False,
) -> Sheet:
    """Return the sheet of new bars after some known ones."""
    promises, grid = request.promises, parts.grid
    layout = Layout(metres)
    metre = promises.time_signature or (metres[-1] if metres else TimeSignature(0, 4, 4))
    total = None if promises.bars is None else len(metres) + promises.bars
    track_of = parts.by_slot(seated)
    slots = tuple(slot for slot, track in enumerate(track_of) if track is not None)
    patches = tuple(
        Patch(tuple(grid.slots_of[place]), len(metres), total)
        for place, track in enumerate(seated)
        if track is not None
    )
    return Sheet(
        grid=grid,
        layout=layout,
        cells=known,
        is_open=np.zeros(known.shape[:2], dtype=bool),
        kept=np.zeros((2, layout.columns), dtype=np.int64),
        bar_ticks=tuple(int(m.quarters_per_bar * TICKS_PER_QUARTER) for m in metres),
        ticks_per_quarter=TICKS_PER_QUARTER,
        metre=replace(metre, onset_ticks=0),
        total=total,
        origin=len(metres),
        new_slots=slots,
        tracks=tracks,
        track_of=track_of,
        chords=promises.chords,
        has_chords=bool(promises.chords) or bool(known[grid.chord_slot].any()),
        patches=patches,
        is_begun=is_begun,
    )


def _rewritten_sheet(request: Request, prompt: Score, parts: Parts) -> Sheet:
    timeline = Timeline(prompt)
    bars, tracks, grid = timeline.bars, prompt.tracks, parts.grid
    places = open_cells(len(bars), len(tracks), request.regions, request.locks)
    targets = np.flatnonzero(places.any(axis=0)).tolist()
    if not targets:
        raise CannotBeMet("the locks cover all that is to be written; lock less, or ask for more")
    kept = _kept(prompt, places, request)
    heights = {i: t.mean_pitch for i, t in enumerate(kept.tracks) if t.notes and not t.is_drum}
    seated = seats([track.name for track in grid.tracks], prompt, targets, heights)
    if request.promises.chords and not kept.chords:
        kept = replace(kept, chords=recognise(kept))
    known = parts.encode(kept, seated)
    layout, track_of = known.layout, parts.by_slot(seated)
    bar_of = np.repeat(np.arange(len(bars)), np.diff(layout.starts))
    is_open = _open(known, track_of, places[bar_of], timeline, request)
    levels = _levels(kept, layout, timeline)
    _check_room(request.promises, levels, is_open, bar_of)
    return Sheet(
        grid=grid,
        layout=layout,
        cells=known.cells,
        is_open=is_open,
        kept=levels,
        bar_ticks=tuple(bar.length_ticks for bar in bars),
        ticks_per_quarter=prompt.ticks_per_quarter,
        metre=bars[-1].time_signature,
        total=len(bars),
        origin=0,
        new_slots=(),
        tracks=tuple(replace(t, notes=(), pedals=(), lyrics=()) for t in tracks),
        track_of=track_of,
        chords=request.promises.chords,
        has_chords=bool(request.promises.chords) or bool(known.cells[grid.chord_slot].any()),
        patches=_patches(request, grid, track_of, places),
        taken=_taken(kept, track_of, is_open, layout, timeline),
    )


def _kept(prompt: Score, places: _Bools, request: Request) -> Score:
    """Return the prompt without the notes that are to be replaced."""
    starts = np.array([bar.onset_ticks for bar in Timeline(prompt).bars])
    held = {*request.locked_notes}
    tracks = []
    for index, track in enumerate(prompt.tracks):
        onsets = np.array([note.onset_ticks for note in track.notes], dtype=np.int64)
        bar = np.maximum(np.searchsorted(starts, onsets, "right") - 1, 0)
        notes = tuple(
            note
            for note, is_open in zip(track.notes, places[bar, index], strict=True)
            if not is_open or (index, note) in held
        )
        tracks.append(replace(track, notes=notes))
    # The piece keeps its length, or bars would be lost with their notes.
    return replace(prompt, tracks=tuple(tracks), written_length_ticks=prompt.length_ticks)


def _open(
    known: Grid,
    track_of: Sequence[int | None],
    places: _Bools,
    timeline: Timeline,
    request: Request,
) -> _Bools:
    """Return which cells (S, columns) are to be written; ``places`` is (columns, tracks).

    Where a kept note of a track sounds no other of it starts, unless nothing of a region is left.
    """
    layout = known.layout
    begin, end = _column_ticks(layout, timeline)
    out = np.zeros(known.cells.shape[:2], dtype=bool)
    at = layout.sounding
    count = np.arange(len(at))
    bar_of = np.repeat(np.arange(len(layout.metres)), layout.used)
    for track in sorted({index for index in track_of if index is not None}):
        written: _Bools = np.logical_and(places[at, track], begin < end)
        if not written.any():
            continue
        slots = [slot for slot, index in enumerate(track_of) if index == track]
        event: _Bools = np.asarray((known.cells[slots][:, at] > EMPTY).all(axis=2))
        struck: _Bools = np.asarray(event.any(axis=0))
        last = np.maximum.accumulate(np.where(event, count, -1), axis=1)
        lengths = np.take_along_axis(known.cells[slots][:, at, 1], np.maximum(last, 0), axis=1)
        held = ((last >= 0) & (count - last < lengths)).any(axis=0)
        free: _Bools = written & ~held
        is_locked = any(index == track for index, _ in request.locked_notes)
        for region in () if is_locked else request.regions:
            inside = written & (region.first_bar <= bar_of) & (bar_of < region.end_bar)
            if region.holds(region.first_bar, track) and not free[inside].any():
                free |= inside & ~struck
        out[np.array(slots)[:, None], at] = free
    return out


def _taken(
    kept: Score,
    track_of: Sequence[int | None],
    is_open: _Bools,
    layout: Layout,
    timeline: Timeline,
) -> _Ints:
    """Return (n, 3): voice, column and pitch wherever a kept note sounds in an open cell."""
    begin, end = _column_ticks(layout, timeline)
    found: list[_Ints] = []
    for slot in np.flatnonzero(is_open.any(axis=1)).tolist():
        track = track_of[slot]
        for note in () if track is None else kept.tracks[track].notes:
            first = int(np.searchsorted(end, note.onset_ticks, "right"))
            stop = int(np.searchsorted(begin, note.end_ticks, "left"))
            columns = layout.sounding[first:stop]
            columns = columns[is_open[slot, columns]]
            if len(columns):
                same = np.full_like(columns, slot), columns, np.full_like(columns, note.pitch)
                found.append(np.stack(same, axis=1))
    return np.concatenate(found) if found else _nothing()


def _levels(kept: Score, layout: Layout, timeline: Timeline) -> _Ints:
    """Return (2, columns): the most and the least notes of all tracks that sound in a column."""
    spans = [(n.onset_ticks, n.end_ticks) for track in kept.tracks for n in track.notes]
    out = np.zeros((2, layout.columns), dtype=np.int64)
    if not spans:
        return out
    table = np.array(spans, dtype=np.int64)
    ticks, which = np.unique(table.T.reshape(-1), return_inverse=True)
    change = np.bincount(which, np.repeat([1, -1], len(table)), minlength=len(ticks))
    level = np.concatenate([[0], np.cumsum(change)]).astype(np.int64)  # before the first tick: 0
    begin, end = _column_ticks(layout, timeline)
    low = np.searchsorted(ticks, begin, "right")  # levels low..high rule in the column
    high = np.searchsorted(ticks, end, "left")
    borders = np.stack([low, np.maximum(high, low) + 1], axis=1).reshape(-1)
    padded = np.append(level, level[-1])
    for row, ufunc in zip(out, (np.maximum, np.minimum), strict=True):
        row[layout.sounding] = ufunc.reduceat(padded, borders)[::2]
    return out


def _column_ticks(layout: Layout, timeline: Timeline) -> tuple[_Ints, _Ints]:
    """Return the first tick of each sounding column, and where it ends."""
    bars = timeline.bars
    bar_of = np.repeat(np.arange(len(bars)), layout.used)
    place = layout.sounding - layout.starts[:-1][bar_of]
    starts = np.array([bar.onset_ticks for bar in bars])[bar_of]
    ends = np.array([bar.end_ticks for bar in bars])[bar_of]
    quarter = timeline.ticks_per_quarter
    begin = np.minimum(starts + place * quarter // _PER_QUARTER, ends)
    end = np.minimum(starts + (place + 1) * quarter // _PER_QUARTER, ends)
    return begin, end


def _check_room(promises: Promises, levels: _Ints, is_open: _Bools, bar_of: _Ints) -> None:
    """Raise CannotBeMet where kept notes break the promise of polyphony or leave no room."""
    most = promises.max_polyphony
    if most is None:
        return
    touched = np.unique(bar_of[is_open.any(axis=0)])
    for bar in touched.tolist():
        highest = int(levels[0, bar_of == bar].max())
        if highest > most:
            raise CannotBeMet(
                f"of the notes that are kept {highest} sound at once in bar {bar + 1}, not at most "
                f"{most}; allow more, or regenerate more tracks"
            )
    if not (is_open & (levels[0] < most)).any():
        raise CannotBeMet(
            f"the notes that are kept leave no room where {most} may sound at once; allow more"
        )


def _patches(
    request: Request, grid: TrackGrid, track_of: Sequence[int | None], places: _Bools
) -> tuple[Patch, ...]:
    """Return each part of each region that has an open bar."""
    found = []
    for region in request.regions:
        for slots in grid.slots_of:
            track = track_of[slots.start]
            inside = track is not None and (region.tracks is None or track in region.tracks)
            if inside and places[region.first_bar : region.end_bar, track].any():
                found.append(Patch(tuple(slots), region.first_bar, region.end_bar))
    return tuple(found)

"""Writing a sheet: window after window, each seeing what stands before and what is kept after it.

A window writes up to half of what the network sees at once; the bars it wrote are conditions of the
next. Memory does not grow with the piece. All that changes while one piece is written is in
``Writing``, one object a stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from partimento.errors import NotSupported
from partimento.music import Note, Score
from partimento.representations.track_grid import (
    BLOCK,
    EMPTY,
    LONGEST,
    MASK,
    CellConstraint,
    Cells,
    Layout,
    Scope,
    new_notes,
)
from partimento.runtime.grids.request import Sheet
from partimento.samplers.unmasking import TIMES, Predict

__all__ = ["Ask", "Fill", "Span", "View", "Writing", "check_bars", "given_flags", "span_of"]

_PER_QUARTER = 4
_VELOCITY = 80

_Bools = npt.NDArray[np.bool_]
_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class View:
    """What the network is shown beside the cells: bars, the edges of the piece, which voices."""

    layout: Layout
    front: int  # columns of nothing before the piece starts
    back: int  # columns of nothing after it has ended
    given: _Ints  # (S,): 0 unused, 1 to be written, 2 given

    @property
    def inside(self) -> slice:
        """The columns of the bars."""
        return slice(self.front, self.front + self.layout.columns)

    @property
    def columns(self) -> int:
        """How many columns are shown."""
        return self.front + self.layout.columns + self.back


Ask = Callable[[View], Predict]
# (predict, cells, targets (S, T), what may start (S, T, 129), how long (S, T, 65)) -> cells
Fill = Callable[[Predict, Cells, _Bools, _Bools | None, _Bools, _Ints], Cells]


@dataclass(frozen=True)
class Span:
    """Bars of one window: it shows ``start`` to ``end`` and writes ``first`` to ``stop``."""

    start: int
    first: int
    stop: int
    end: int


def check_bars(sheet: Sheet, window: int) -> None:
    """Raise NotSupported if a bar that is to be written is longer than the window."""
    first = sheet.next_open(0)
    while first is not None and first <= sheet.known:
        if sheet.width_of(first) + 2 * BLOCK > window:
            raise NotSupported(
                f"a bar of {sheet.metre_of(first)} takes {sheet.width_of(first)} columns; this "
                f"model sees {window - 2 * BLOCK} at once, write shorter bars"
            )
        first = sheet.next_open(first + 1)


def span_of(sheet: Sheet, first: int, window: int) -> Span:
    """Return the window that writes bar ``first`` and those after it, of ``window`` columns.

    All that is left is written at once where it fits beside a quarter of the past; otherwise half
    a window. What is left of the window shows the past, and the future where that is known.
    """

    def width(start: int, end: int) -> int:
        edges = (start == 0 and not sheet.is_begun) + (end == sheet.total)
        return sum(map(sheet.width_of, range(start, end))) + BLOCK * edges

    def earlier(start: int, end: int, room: int) -> int:
        while start > 0 and width(start - 1, end) <= room:
            start -= 1
        return start

    def later(start: int, end: int, room: int) -> int:
        while end < sheet.known and width(start, end + 1) <= room:
            end += 1
        return end

    quarter, open_end = window // 4, sheet.open_end
    stop = first + 1
    if open_end is not None and open_end - first <= window // BLOCK:
        past = earlier(first, stop, min(window, width(first, stop) + quarter))
        if width(past, open_end) <= window:
            stop = open_end
    while (open_end is None or stop < open_end) and width(first, stop + 1) <= window // 2:
        stop += 1
    start = earlier(first, stop, min(window, width(first, stop) + quarter))
    end = later(start, stop, min(window, width(start, stop) + quarter))
    start = earlier(start, end, window)
    return Span(start, first, stop, later(start, end, window))


def given_flags(sheet: Sheet, shown: Cells) -> _Ints:
    """Return the flag (S,) of each voice of cells (S, T, 2), as in training.

    0 a voice that is not there, a silent part among them, 1 one that is to be written, 2 a given.
    """
    flags = np.zeros(sheet.grid.slots, dtype=np.int64)
    for slots in sheet.grid.slots_of:
        used = [slot for slot in slots if sheet.track_of[slot] is not None]
        if used and (shown[used] == MASK).any():
            flags[used] = 1
        elif used and shown[used[0]].any():
            flags[used] = 2
    if sheet.has_chords:
        flags[sheet.grid.chord_slot] = 1 if (shown[sheet.grid.chord_slot] == MASK).any() else 2
    return flags


@dataclass(frozen=True)
class _Stage:
    """One window while it is written; the cells of its ``scope`` have no padding."""

    span: Span
    view: View
    scope: Scope
    canvas: Cells  # (S, T, 2), with the edges
    at: _Ints  # (n,): the column of ``canvas`` of each of the scope's columns that it shows
    targets: _Bools  # (S, T)
    bar_of: _Ints  # (N,): the bar of each column of the scope


class Writing:
    """One piece while it is written; ``pieces`` yields it bar by bar."""

    def __init__(
        self, sheet: Sheet, constraint: CellConstraint, ask: Ask, fill: Fill, window: int
    ) -> None:
        self.sheet, self.constraint = sheet, constraint
        self.ask, self.fill, self.window = ask, fill, window
        self._voices = sheet.grid.chord_slot
        self._made: dict[int, Cells] = {}  # what was written into the bars that are still shown
        # Columns without sound before this bar; promises start where the new music does.
        self._silent, self._silent_at = 0, sheet.origin
        self._heard: set[int] = set()  # patches that have a note

    def pieces(self) -> Iterator[Score]:
        """Yield the bars from the first that the request's answer has, each when it is settled."""
        sheet = self.sheet
        done = sheet.known if sheet.new_slots else 0
        first = sheet.next_open(done)
        span = None if first is None else span_of(sheet, first, self.window)
        while span is not None:
            first = sheet.next_open(span.stop)
            after = None if first is None else span_of(sheet, first, self.window)
            notes, settled = self._write(span, after)
            for bar in range(done, settled):
                yield self._piece(bar, notes.pop(bar, []))
            done, span = max(done, settled), after
        for bar in range(done, sheet.total or 0):
            yield self._piece(bar, [])

    def _write(
        self, span: Span, after: Span | None
    ) -> tuple[dict[int, list[tuple[int, Note]]], int]:
        """Write one window; return the notes of its bars and the bar before which all is settled.

        A bar is settled if no note that starts in it can still be cut by what is written next.
        """
        stage = self._stage(span)
        predict = self.ask(stage.view)
        cells = self._mended(stage, predict, self._drawn(stage, predict, stage.targets, ()))
        cells = self._with_a_note_in_each(stage, predict, cells)
        scope = stage.scope
        settled = span.stop
        for note in new_notes(cells, scope):
            if after is not None and note.stop > scope.end:
                if stage.bar_of[note.start] >= after.start:
                    settled = min(settled, int(stage.bar_of[note.start]))
                else:  # too long ago for the next window to see
                    cells[note.slot, note.start, 1] = scope.end - note.start
        notes = self._keep(stage, cells)
        self._silent, self._silent_at = self._silence(cells, scope, scope.end), span.stop
        self._made = {bar: made for bar, made in self._made.items() if after and bar >= after.start}
        return notes, settled

    def _stage(self, span: Span) -> _Stage:
        sheet = self.sheet
        look, count = span.end, int(sheet.bars(span.stop, span.end).used.sum())
        while count < LONGEST and (sheet.total is None or look < sheet.total):
            count += int(sheet.bars(look, look + 1).used[0])
            look += 1
        whole = sheet.bars(span.start, look)
        cells, is_open, kept = sheet.part(span.start, look)
        starts = whole.starts
        for bar in range(span.start, span.first):
            if bar in self._made:
                a, b = starts[[bar - span.start, bar - span.start + 1]]
                cells[:, a:b] = self._made[bar]
        before = np.concatenate([[0], np.cumsum(whole.used)])
        at = whole.sounding
        scope = Scope(
            layout=whole,
            first_bar=span.start - sheet.origin,
            begin=int(before[span.first - span.start]),
            end=int(before[span.stop - span.start]),
            is_open=is_open[: self._voices, at],
            sounding_most=kept[0, at],
            sounding_least=kept[1, at],
            taken=self._taken(span, whole, look),
        )
        silent = self._silent
        if self._silent_at != span.first:
            silent = self._silence(cells[: self._voices, at], scope, scope.begin)
        scope = replace(scope, silent=silent)
        front = BLOCK if span.start == 0 and not sheet.is_begun else 0
        back = BLOCK if span.end == sheet.total else 0
        layout = sheet.bars(span.start, span.end)
        shown = cells[:, : layout.columns]
        canvas = np.pad(shown, ((0, 0), (front, back), (0, 0)))
        targets = np.zeros(canvas.shape[:2], dtype=bool)
        a, b = starts[[span.first - span.start, span.stop - span.start]]
        targets[:, front + a : front + b] = is_open[:, a:b]
        view = View(layout, front, back, given_flags(sheet, shown))
        seen = int(before[span.end - span.start])
        bar_of = np.repeat(np.arange(span.start, look), whole.used)
        return _Stage(span, view, scope, canvas, front + at[:seen], targets, bar_of)

    def _taken(self, span: Span, whole: Layout, look: int) -> _Ints:
        """Return what kept notes take in the scope's columns."""
        sheet = self.sheet
        a, b = sheet.layout.starts[[min(span.start, sheet.known), min(look, sheet.known)]]
        taken: _Ints = sheet.taken[(sheet.taken[:, 1] >= a) & (sheet.taken[:, 1] < b)].copy()
        taken[:, 1] = np.searchsorted(whole.sounding, taken[:, 1] - a)
        return taken

    def _drawn(
        self, stage: _Stage, predict: Predict, targets: _Bools, forced: Sequence[tuple[int, int]]
    ) -> Cells:
        """Return the canvas with its targets drawn, a note starting in each of the forced cells."""
        first, second = self.constraint.allowed(stage.scope)
        count, voices = len(stage.at), self._voices
        slots, columns = targets.shape
        lengths = np.ones((slots, columns, second.shape[2]), dtype=bool)
        lengths[:voices, stage.at] = second[:, :count]
        whats: _Bools | None = None
        if first is not None or forced:
            whats = np.ones((slots, columns, self.sheet.grid.what_size), dtype=bool)
            if first is not None:
                whats[:voices, stage.at] = first[:, :count]
            for slot, column in forced:
                whats[slot, stage.at[column], EMPTY] = False
        return self.fill(predict, stage.canvas, targets, whats, lengths, stage.at)

    def _mended(
        self, stage: _Stage, predict: Predict, canvas: Cells, first: Sequence[tuple[int, int]] = ()
    ) -> Cells:
        """Return the voices' cells (S - 1, n, 2) of the canvas, all promises kept."""
        cells = canvas[: self._voices, stage.at]
        return self.constraint.repair(cells, stage.scope, self._odds(stage, predict), first)

    def _odds(self, stage: _Stage, predict: Predict) -> Callable[[Cells], npt.NDArray[np.float32]]:
        """Return what asks the model about the empty ones of the cells that are written now."""

        def odds(cells: Cells) -> npt.NDArray[np.float32]:
            canvas = self._canvas(stage, cells)
            empty = stage.targets & (canvas[:, :, 0] == EMPTY)
            canvas[empty] = MASK
            share = empty.sum() / max(1, stage.targets.sum())
            what, _ = predict(canvas, max(1, round(TIMES * float(share))))
            return what[: self._voices, stage.at]

        return odds

    def _canvas(self, stage: _Stage, cells: Cells) -> Cells:
        """Return the stage's canvas with these voices' cells in it."""
        canvas = stage.canvas.copy()
        canvas[: self._voices, stage.at] = cells
        return canvas

    def _with_a_note_in_each(self, stage: _Stage, predict: Predict, cells: Cells) -> Cells:
        """Return cells in which no patch that ends in this window has stayed without a note."""
        scope = stage.scope
        lacking = self._lacking(stage, cells)
        if not lacking:
            return cells
        forced: list[tuple[int, int]] = []
        targets = np.zeros_like(stage.targets)
        for slot, begin, end in lacking:
            others = [column for _, column in forced]
            column = self.constraint.cell_to_force(scope, slot, begin, end, others)
            if column is not None:
                forced.append((slot, column))
                inside = slice(stage.at[begin], stage.at[end - 1] + 1)
                targets[slot, inside] = stage.targets[slot, inside]
        if not forced:
            return cells
        stage = replace(stage, canvas=self._canvas(stage, cells))
        cells = self._mended(stage, predict, self._drawn(stage, predict, targets, forced), forced)
        for slot, begin, end in self._lacking(stage, cells):
            cells = self.constraint.place(
                cells, scope, slot, begin, end, self._odds(stage, predict)
            )
        return cells

    def _lacking(self, stage: _Stage, cells: Cells) -> list[tuple[int, int, int]]:
        """Return (voice, begin, end column) of each patch that would stay empty."""
        span, scope = stage.span, stage.scope
        notes = new_notes(cells, scope)
        lacking = []
        for index, patch in enumerate(self.sheet.patches):
            end_bar = span.stop if patch.end_bar is None else patch.end_bar
            begin = max(scope.begin, int(np.searchsorted(stage.bar_of, patch.first_bar)))
            end = min(scope.end, int(np.searchsorted(stage.bar_of, end_bar)))
            if index in self._heard or begin >= end:
                continue
            if any(n.slot in patch.slots and begin <= n.start < end for n in notes):
                self._heard.add(index)
            elif patch.end_bar is None or not self.sheet.opens(patch.slots, span.stop, end_bar):
                lacking.append((patch.slots[0], begin, end))
        return lacking

    def _silence(self, cells: Cells, scope: Scope, end: int) -> int:
        """Return how many columns before column ``end`` nothing sounds."""
        is_sounding = scope.sounding_least[:end] > 0
        for note in new_notes(cells, scope, -1):
            is_sounding[note.start : note.stop] = True
        columns = np.flatnonzero(is_sounding)
        if len(columns):
            return end - 1 - int(columns[-1])
        return scope.silent + end - scope.begin if end > scope.begin else end

    def _keep(self, stage: _Stage, cells: Cells) -> dict[int, list[tuple[int, Note]]]:
        """Keep what was written for the next window; return (track, note) of each bar shown.

        Notes start at their place in their bar.
        """
        sheet, span, scope = self.sheet, stage.span, stage.scope
        canvas = self._canvas(stage, cells)[:, stage.view.inside]
        starts = stage.view.layout.starts
        for bar in range(span.start, span.stop):
            a, b = starts[[bar - span.start, bar - span.start + 1]]
            self._made[bar] = canvas[:, a:b]
        ticks, bar_ticks = self._ticks(scope.layout, span.start)
        found: dict[tuple[int, int, int], tuple[int, int]] = {}  # to the bar, and the length
        for new in new_notes(cells, scope, -1):
            onset, track = int(ticks[new.start]), sheet.track_of[new.slot]
            length = int(ticks[new.stop]) - onset
            if length > 0 and track is not None:
                key = (track, new.pitch, onset)
                bar, longest = found.get(key, (int(stage.bar_of[new.start]), 0))
                found[key] = bar, max(length, longest)
        notes: dict[int, list[tuple[int, Note]]] = {}
        following = (-1, -1, 0)
        for key in sorted(found, reverse=True):
            (track, pitch, onset), (bar, length) = key, found[key]
            if key[:2] == following[:2]:  # another voice of the track strikes it again
                length = min(length, following[2] - onset)
            at = onset - int(bar_ticks[bar - span.start])
            notes.setdefault(bar, []).append((track, Note(at, pitch, length, _VELOCITY)))
            following = key
        return notes

    def _ticks(self, layout: Layout, first_bar: int) -> tuple[_Ints, _Ints]:
        """Return the tick of each sounding column and of the end, and of each bar, from the first.

        A column that a bar cut short has no room for stands at the bar's end.
        """
        sheet = self.sheet
        count = len(layout.metres)
        lengths = np.array([sheet.ticks_of(first_bar + i) for i in range(count)], dtype=np.int64)
        bars = np.concatenate([[0], np.cumsum(lengths)])
        bar_of = np.repeat(np.arange(count), layout.used)
        place = layout.sounding - layout.starts[:-1][bar_of]
        inside = np.minimum(place * sheet.ticks_per_quarter // _PER_QUARTER, lengths[bar_of])
        return np.append(bars[bar_of] + inside, bars[-1]), bars[:-1]

    def _piece(self, bar: int, notes: Sequence[tuple[int, Note]]) -> Score:
        """Return one bar; its notes may outlast it."""
        by_track: list[list[Note]] = [[] for _ in self.sheet.tracks]
        for track, note in notes:
            by_track[track].append(note)
        return Score(
            tuple(
                replace(track, notes=tuple(sorted(row)))
                for track, row in zip(self.sheet.tracks, by_track, strict=True)
            ),
            ticks_per_quarter=self.sheet.ticks_per_quarter,
            time_signatures=(replace(self.sheet.metre_of(bar), onset_ticks=0),),
            written_length_ticks=self.sheet.ticks_of(bar),
        )

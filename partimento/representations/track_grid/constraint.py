"""Promises on the cells of a grid of tracks: masks where they can be, a small repair where not.

Cells are drawn all over a window at once, so a promise becomes a mask over cells that is known
before the first draw: key and ranges everywhere, the tones of the chord where a strong beat stands,
lengths that reach no cell which is not to be written. What hangs on several cells together is put
right when all are drawn (``CellConstraint.repair``): a note held over a strong beat on which it
would be wrong is cut there, where too many sound at once inner voices are cut or left out, and a
silence that is too long is filled with the pitch that the model finds the likeliest.

Time is counted here in sounding columns: the padding at the ends of bars is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from partimento.music import Chord, Promises
from partimento.music.timeline import strong_beats
from partimento.representations.constraint import Mask
from partimento.representations.pitches import class_mask, track_mask
from partimento.representations.track_grid.grid import EMPTY, LONGEST, Cells, Layout

__all__ = ["CellConstraint", "NewNote", "Odds", "Scope", "new_notes"]

# Logits (S, N, 1 + 128) of what starts in each cell, the cells (S, N, 2) being as they are.
Odds = Callable[[Cells], npt.NDArray[np.float32]]

_PER_QUARTER = 4
_ROUNDING = 1e-9
_FINE = 840  # ticks to a column in which every strong beat is exact
_NOBODY = 1 << 30

_Ints = npt.NDArray[np.int64]


def _nothing() -> _Ints:
    return np.zeros((0, 3), dtype=np.int64)


@dataclass(frozen=True)
class Scope:
    """A stretch of a piece in sounding columns, N of them, for S voices.

    ``layout`` holds its bars, ``first_bar`` is what the promises call the first of them (below 0
    no promise rules). ``begin`` to ``end`` is what is written now; what was written just before
    stands in front of it, and at least ``LONGEST`` columns or all that is left follow.

    ``is_open`` (S, N) says which cells were or will be written; ``sounding_most`` and
    ``sounding_least`` (N,) how many kept notes sound in a column at most and at least; ``silent``
    how many columns before ``begin`` nothing sounded; ``taken`` (n, 3) are voice, column and pitch
    of kept notes of a voice's own track, which it does not strike again.
    """

    layout: Layout
    first_bar: int
    begin: int
    end: int
    is_open: Mask
    sounding_most: _Ints
    sounding_least: _Ints
    silent: int = 0
    taken: _Ints = field(default_factory=_nothing)

    @cached_property
    def room(self) -> _Ints:
        """(S, N): how many columns a note that starts in a cell may last."""
        count = self.is_open.shape[1]
        here = np.arange(count)
        # closed (S, N): the own column of a closed cell, N of an open one; the minimum from the
        # right is the next closed column, read one column further on.
        closed = np.where(self.is_open, count, here[None])
        next_closed = np.full(self.is_open.shape, count, dtype=np.int64)
        backwards = np.minimum.accumulate(closed[:, :0:-1], axis=1)
        next_closed[:, :-1] = backwards[:, ::-1]
        room: _Ints = np.minimum(next_closed - here, LONGEST)
        return room

    @cached_property
    def strong(self) -> tuple[_Ints, _Ints]:
        """The columns in which strong beats stand, and the number of the bar of each."""
        columns, bars = [], []
        at = 0
        for index, (metre, used) in enumerate(
            zip(self.layout.metres, self.layout.used.tolist(), strict=True)
        ):
            for beat in strong_beats(metre, _PER_QUARTER * _FINE):
                # What sounds at a beat between two columns is what sounds in the earlier.
                if beat // _FINE < used:
                    columns.append(at + beat // _FINE)
                    bars.append(self.first_bar + index)
            at += used
        return np.array(columns, dtype=np.int64), np.array(bars, dtype=np.int64)


@dataclass
class NewNote:
    """One note in cells that are written: it sounds from column ``start`` up to ``stop``."""

    slot: int
    start: int
    stop: int
    pitch: int


def new_notes(cells: Cells, scope: Scope, since: int | None = None) -> list[NewNote]:
    """Return the notes in cells (S, N, 2) that are written, in order of time.

    A note ends where the next of its voice starts. Notes that have ended by column ``since``
    (``scope.begin`` without) are left out.
    """
    since = scope.begin if since is None else since
    notes = []
    for slot, row in enumerate(cells[:, : scope.end]):
        starts = np.flatnonzero((row > EMPTY).all(axis=1))
        # (n,): its length, cut by the next cell that is not open, then by the voice's next note
        stops = starts + np.minimum(row[starts, 1], scope.room[slot, starts])
        stops[:-1] = np.minimum(stops[:-1], starts[1:])
        chosen = scope.is_open[slot, starts] & (stops > since)
        for start, stop in zip(starts[chosen].tolist(), stops[chosen].tolist(), strict=True):
            notes.append(NewNote(slot, start, stop, int(row[start, 0]) - 1))
    return sorted(notes, key=lambda note: (note.start, note.slot))


class CellConstraint:
    """All promises but bars and metre, for S voices of the tracks called ``names``.

    None is the name of a voice that is not used.
    """

    def __init__(self, promises: Promises, names: Sequence[str | None]) -> None:
        self.promises, self.names = promises, tuple(names)
        pitches = [track_mask(promises, name or "") for name in names]
        self._tables = np.ones((len(pitches), 1 + 128), dtype=bool)
        for row, mask in zip(self._tables, pitches, strict=True):
            row[EMPTY + 1 :] = mask
        self._longest: int | None = None
        if promises.max_silence_quarters is not None:
            self._longest = int(promises.max_silence_quarters * _PER_QUARTER + _ROUNDING)

    def allowed(self, scope: Scope) -> tuple[Mask | None, Mask]:
        """Return what may start in each cell, (S, N, 129), and how long it may last, (S, N, 65).

        The first is None where anything may.
        """
        lengths = np.arange(1 + LONGEST)
        second = lengths <= scope.room[:, :, None]
        promises = self.promises
        is_ruled = promises.key is not None or promises.ranges or promises.chords
        if not is_ruled and not len(scope.taken):
            return None, second
        slots, count = scope.is_open.shape
        first = np.broadcast_to(self._tables[:, None], (slots, count, 1 + 128)).copy()
        for column, bar in zip(*scope.strong, strict=True):
            chord = self._chord(int(bar))
            if chord is not None:
                first[:, column, EMPTY + 1 :] &= class_mask(chord.pitch_classes)
        slot, column, pitch = scope.taken.T
        first[slot, column, pitch + 1] = False
        return first, second

    def repair(
        self, cells: Cells, scope: Scope, odds: Odds, first: Collection[tuple[int, int]] = ()
    ) -> Cells:
        """Return cells (S, N, 2), the new notes among them put right.

        Args:
            cells: those of the voices; what lies past ``scope.end`` is not looked at.
            odds: asked once, and only if a silence is too long.
            first: cells whose notes give way last where too many sound at once.
        """
        written = new_notes(cells, scope, -1)
        notes = [note for note in written if note.stop > scope.begin]
        if self.promises.chords:
            for note in notes:
                note.stop = self._chord_stop(note, scope)
        if self.promises.max_polyphony is not None:
            notes = self._thinned(notes, scope, first)
        # A note that the next of its voice cut stays cut, even if that one goes.
        ended = [note for note in written if note.stop <= scope.begin]
        out = self._written(cells, [*ended, *notes], scope)
        if self._longest is not None:
            self._fill(out, notes, scope, odds)
        return out

    def cell_to_force(
        self, scope: Scope, slot: int, begin: int, end: int, others: Collection[int] = ()
    ) -> int | None:
        """Return the column at which a voice can be made to sound: on a strong beat if any can.

        Not together with the ``others``, columns at which voices are made to sound, if it can be.
        """
        free = self._free(scope, slot, begin, end)
        if not len(free):
            return None
        apart = free[~np.isin(free, list(others))]
        free = apart if len(apart) else free
        strong = free[np.isin(free, scope.strong[0])]
        return int(strong[0] if len(strong) else free[0])

    def place(
        self, cells: Cells, scope: Scope, slot: int, begin: int, end: int, odds: Odds
    ) -> Cells:
        """Return cells with one note of a voice put where all promises have room for it.

        Where there is no room the cells come back as they are.
        """
        notes = new_notes(cells, scope)
        count = np.bincount(
            [column for n in notes for column in range(n.start, n.stop)],
            minlength=scope.is_open.shape[1],
        )
        most = self.promises.max_polyphony or _NOBODY
        free = self._free(scope, slot, begin, end)
        free = free[count[free] + scope.sounding_most[free] < most]
        free = free[
            [not any(n.slot == slot and n.start <= f < n.stop for n in notes) for f in free]
        ]
        if not len(free):
            return cells
        strong = free[np.isin(free, scope.strong[0])]
        column = int(strong[0] if len(strong) else free[0])
        row = np.where(self._row(scope, slot, column), odds(cells)[slot, column], -np.inf)
        note = NewNote(slot, column, column + 1, int(row[EMPTY + 1 :].argmax()))
        full = np.flatnonzero(count + scope.sounding_most >= most)
        later = np.concatenate([full, np.flatnonzero(cells[slot, :, 0] > EMPTY)])
        note.stop = min(
            [column + int(scope.room[slot, column]), column + _PER_QUARTER, *later[later > column]]
        )
        note.stop = self._chord_stop(note, scope)
        out = cells.copy()
        out[slot, column] = note.pitch + 1, note.stop - note.start
        return out

    def _chord(self, bar: int) -> Chord | None:
        return self.promises.chord_of_bar(bar) if bar >= 0 else None

    def _row(self, scope: Scope, slot: int, column: int) -> Mask:
        """Return (129,): what may start in one cell."""
        row: Mask = self._tables[slot].copy()
        here = (scope.taken[:, 0] == slot) & (scope.taken[:, 1] == column)
        row[scope.taken[here, 2] + 1] = False
        columns, bars = scope.strong
        at = int(np.searchsorted(columns, column))
        if at < len(columns) and columns[at] == column:
            chord = self._chord(int(bars[at]))
            if chord is not None:
                row[EMPTY + 1 :] &= class_mask(chord.pitch_classes)
        return row

    def _free(self, scope: Scope, slot: int, begin: int, end: int) -> _Ints:
        """Return the columns in which kept notes leave room for one of this voice."""
        begin, end = max(begin, scope.begin), min(end, scope.end)
        columns = np.arange(begin, max(begin, end))
        most = self.promises.max_polyphony or _NOBODY
        is_free = scope.is_open[slot, columns] & (scope.sounding_most[columns] < most)
        free = columns[is_free]
        can = [bool(self._row(scope, slot, int(c))[EMPTY + 1 :].any()) for c in free]
        out: _Ints = free[np.array(can, dtype=bool)]
        return out

    def _chord_stop(self, note: NewNote, scope: Scope) -> int:
        """Return the first strong beat under a note at which it would be wrong, or its end."""
        columns, bars = scope.strong
        low, high = np.searchsorted(columns, [note.start + 1, note.stop])
        for at in range(low, high):
            chord = self._chord(int(bars[at]))
            if chord is not None and note.pitch % 12 not in chord.pitch_classes:
                return int(columns[at])
        return note.stop

    def _thinned(
        self, notes: list[NewNote], scope: Scope, first: Collection[tuple[int, int]]
    ) -> list[NewNote]:
        """Return the notes so that no more sound at once than may; outer voices stay longest."""
        used = [slot for slot, name in enumerate(self.names) if name is not None]
        low = used[-1] if used else 0
        while low > 0 and self.names[low - 1] == self.names[low]:  # voices of one track
            low -= 1
        outer = {low: 1, **dict.fromkeys(used[:1], 0)}

        def rank(note: NewNote) -> tuple[int, int, int]:
            is_first = (note.slot, note.start) in first  # of several the last: the others have been
            return -note.start - 1 if is_first else 0, outer.get(note.slot, 2), note.slot

        room = (self.promises.max_polyphony or _NOBODY) - scope.sounding_most
        waiting = notes[::-1]
        sounding: list[NewNote] = []
        for column in range(scope.begin, scope.end):
            while waiting and waiting[-1].start <= column:
                sounding.append(waiting.pop())
            sounding = [note for note in sounding if note.stop > column]
            over = len(sounding) - max(0, int(room[column]))
            if over > 0:
                for note in sorted(sounding, key=rank)[-over:]:
                    note.stop = column
        return [note for note in notes if note.stop > note.start]

    def _written(self, cells: Cells, notes: Sequence[NewNote], scope: Scope) -> Cells:
        """Return cells in which exactly ``notes`` are new from ``scope.begin`` on."""
        out = cells.copy()
        window = out[:, scope.begin : scope.end]
        window[scope.is_open[:, scope.begin : scope.end]] = EMPTY
        for note in notes:
            out[note.slot, note.start] = note.pitch + 1, note.stop - note.start
        return out

    def _fill(self, cells: Cells, notes: Sequence[NewNote], scope: Scope, odds: Odds) -> None:
        """Write notes into silences that are too long."""
        longest = self._longest
        assert longest is not None
        heard = scope.sounding_least > 0
        for note in notes:
            heard[note.start : note.stop] = True
        logits: npt.NDArray[np.float32] | None = None
        silent, column = scope.silent, scope.begin
        while column < scope.end:
            silent = 0 if heard[column] else silent + 1
            if silent > longest:
                if logits is None:
                    logits = odds(cells)
                start = max(scope.begin, column - longest)
                stop = int(np.append(np.flatnonzero(heard[column:]) + column, scope.end)[0])
                new = self._filler(cells, scope, logits, start, column, stop)
                if new is None:  # nothing here is to be written
                    silent, column = silent + stop - column, stop
                    continue
                cells[new.slot, new.start] = new.pitch + 1, new.stop - new.start
                heard[new.start : new.stop] = True
                silent, column = 0, new.stop
                continue
            column += 1

    def _filler(
        self,
        cells: Cells,
        scope: Scope,
        logits: npt.NDArray[np.float32],
        start: int,
        latest: int,
        stop: int,
    ) -> NewNote | None:
        """Return a note that ends a silence: at ``start`` or later, if it can by ``latest``."""
        most = self.promises.max_polyphony or _NOBODY
        columns = [c for c in range(start, stop) if scope.sounding_most[c] < most]
        # On a beat if there is one in time; past that the earliest, whatever it is.
        columns.sort(key=lambda c: (c > latest, c <= latest and c % _PER_QUARTER != 0, c))
        for column in columns:
            best: tuple[float, int, int] | None = None
            for slot in np.flatnonzero(scope.is_open[:, column]).tolist():
                row = np.where(self._row(scope, slot, column), logits[slot, column], -np.inf)
                pitch = int(row[EMPTY + 1 :].argmax())
                if row[pitch + 1] > (-np.inf if best is None else best[0]):
                    best = float(row[pitch + 1]), slot, pitch
            if best is not None:
                _, slot, pitch = best
                room = min(stop, column + int(scope.room[slot, column]))
                full = np.flatnonzero(scope.sounding_most[column:room] >= most)
                note = NewNote(slot, column, int(np.append(full + column, room)[0]), pitch)
                note.stop = self._chord_stop(note, scope)
                return note
        return None

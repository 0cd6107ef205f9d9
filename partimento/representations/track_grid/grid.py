"""The grid of tracks by sixteenths in which any cell can be given or asked for (GETScore).

After GETMusic (Lv et al. 2023, arXiv 2305.10841, section 3.1): a score is a picture whose rows are
tracks and whose columns are sixteenths. A cell is a pair: *what* starts there and *how long* it
lasts. Cells in which nothing starts are EMPTY; a cell that is to be found is MASK.

What differs from the paper, and why:

- **Several notes at once** stand in several *voices* of a track, each with cells of its own, the
  highest note first. The paper has one token for every combination of pitches that its data
  hold (11,880 of them): a combination never seen cannot be written, and small data see few.
- **Metre.** A bar fills whole blocks of 16 columns; the columns past its end are padding, always
  EMPTY. Bar lines thus stand at the same places in every metre.
- **Chords** stand at each quarter note of a bar rather than once where they change, so that a
  crop or a masked region keeps those inside it.

Onsets and ends go to the nearest sixteenth of their bar (at most 1/8 of a quarter note off);
notes last 1..64 sixteenths. Of notes that start in one column of a track the longest are kept, as
many as the track has voices. Dynamics, pedals and lyrics are not held.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from partimento.errors import ConfigError, NotSupported
from partimento.music import Chord, ChordSymbol, Note, Score, Tempo, TimeSignature, Track
from partimento.music.score import TICKS_PER_QUARTER
from partimento.music.timeline import Timeline

__all__ = [
    "BLOCK",
    "CHORD_QUALITIES",
    "EMPTY",
    "LONGEST",
    "MASK",
    "UNKNOWN",
    "Cells",
    "Grid",
    "GridTrack",
    "Layout",
    "TrackGrid",
    "sounding",
]

Cells = npt.NDArray[np.int64]  # (slots, columns, 2): what starts, how long it lasts

EMPTY = 0
MASK = -1
UNKNOWN = 129  # in ``sounding``
BLOCK = 16  # columns: a bar fills whole blocks
LONGEST = 64  # sixteenths
_PITCHES = 128
_MOST_TRACKS = 64
_COLUMNS_PER_QUARTER = 4
_COLUMN_TICKS = TICKS_PER_QUARTER // _COLUMNS_PER_QUARTER
_VELOCITY = 80

CHORD_QUALITIES = ("", "m", "7", "m7", "maj7", "dim", "m7b5", "aug", "sus4")
_SIMPLER = {
    "dim7": "dim", "mmaj7": "m", "aug7": "aug", "6": "", "m6": "m", "sus2": "sus4", "7sus4": "sus4",
    "9": "7", "maj9": "maj7", "m9": "m7", "add9": "", "7b9": "7", "7b5": "7", "11": "7", "13": "7",
    "5": "",
}  # fmt: skip


@dataclass(frozen=True)
class GridTrack:
    """One track of the grid; ``voices`` notes of it can sound at once."""

    name: str
    program: int = 0
    voices: int = 1


@dataclass(frozen=True)
class Layout:
    """Where the bars of a piece stand in the columns; ``metres`` holds the metre of each bar."""

    metres: tuple[TimeSignature, ...]

    @cached_property
    def used(self) -> npt.NDArray[np.int64]:
        """(bars,): how many columns of each bar can sound; at least 1."""
        quarters = [metre.quarters_per_bar * _COLUMNS_PER_QUARTER for metre in self.metres]
        return np.array([max(1, -(-q.numerator // q.denominator)) for q in quarters], np.int64)

    @cached_property
    def starts(self) -> npt.NDArray[np.int64]:
        """(bars + 1,): the first column of each bar, and the column count."""
        blocks = -(-self.used // BLOCK) * BLOCK
        return np.concatenate([[0], np.cumsum(blocks)]).astype(np.int64)

    @property
    def columns(self) -> int:
        """How many columns there are, padding included."""
        return int(self.starts[-1])

    @cached_property
    def sounding(self) -> npt.NDArray[np.int64]:
        """The columns that are no padding, in order."""
        spans = [np.arange(s, s + n) for s, n in zip(self.starts, self.used, strict=False)]
        out: npt.NDArray[np.int64] = np.concatenate([np.zeros(0, np.int64), *spans])
        return out

    @cached_property
    def features(self) -> npt.NDArray[np.int64]:
        """(columns, 2): place in the bar, 0..63; length of the bar, 0..63, + 64 if compound."""
        bars = np.repeat(np.arange(len(self.metres)), np.diff(self.starts))
        place = np.arange(self.columns) - self.starts[:-1][bars]
        compound = np.array([m.denominator >= 8 and m.numerator % 3 == 0 for m in self.metres])
        length = np.minimum(self.used, 63) + 64 * compound
        return np.stack([np.minimum(place, 63), length[bars]], axis=1).astype(np.int64)

    @cached_property
    def is_padding(self) -> npt.NDArray[np.bool_]:
        """(columns,): whether a column lies past the end of its bar."""
        out = np.ones(self.columns, dtype=bool)
        out[self.sounding] = False
        return out

    @cached_property
    def beats(self) -> npt.NDArray[np.int64]:
        """The columns of the quarter notes of every bar, which bear the chords."""
        bar = np.searchsorted(self.starts, self.sounding, "right") - 1
        place = self.sounding - self.starts[bar]
        out: npt.NDArray[np.int64] = self.sounding[place % _COLUMNS_PER_QUARTER == 0]
        return out

    def crop(self, first_bar: int, end_bar: int) -> Layout:
        """Return the layout of some bars alone."""
        return Layout(self.metres[first_bar:end_bar])


@dataclass(frozen=True)
class Grid:
    """A piece on the grid: cells (slots, columns, 2), the metre of each bar, the first tempo."""

    cells: Cells
    layout: Layout
    tempo: float | None = None

    def bars(self, first_bar: int, end_bar: int) -> Grid:
        """Return some bars of the piece; cells hold no reference outside them."""
        a, b = self.layout.starts[[first_bar, end_bar]]
        return Grid(self.cells[:, a:b], self.layout.crop(first_bar, end_bar), self.tempo)


class TrackGrid:
    """Scores as cells (slots, columns, 2): the voices of each track in order, the chords last.

    Values: what is 1 + pitch (1 + root in the chord slot), how long is sixteenths (1 + the index
    in ``CHORD_QUALITIES`` in the chord slot).

    Raises:
        ConfigError: for no track, a name used twice, or voices outside 1..8.
    """

    def __init__(self, tracks: Sequence[GridTrack]) -> None:
        where = "representation.tracks"
        if not 1 <= len(tracks) <= _MOST_TRACKS:
            raise ConfigError(where, f"a grid has 1..{_MOST_TRACKS} tracks, not {len(tracks)}")
        if len({track.name for track in tracks}) < len(tracks):
            raise ConfigError(where, "two tracks have one name")
        for track in tracks:
            if not 1 <= track.voices <= 8:
                raise ConfigError(where, f"{track.name} has 1..8 voices, not {track.voices}")
        self.tracks = tuple(tracks)
        ends = np.cumsum([track.voices for track in tracks]).tolist()
        self.slots_of = tuple(
            range(end - track.voices, end) for end, track in zip(ends, tracks, strict=True)
        )
        self.slots = ends[-1] + 1
        self.chord_slot = ends[-1]
        self.what_size = 1 + _PITCHES  # EMPTY and the pitches; roots are among their numbers
        self.length_size = 1 + LONGEST

    def spec(self) -> dict[str, Any]:
        """Return what makes this representation again, as JSON values."""
        tracks = [{"name": t.name, "program": t.program, "voices": t.voices} for t in self.tracks]
        return {"name": "track_grid", "tracks": tracks}

    @classmethod
    def from_spec(cls, tracks: Any) -> TrackGrid:
        """Return the representation of ``spec()["tracks"]``.

        Raises:
            ConfigError: for anything else.
        """
        where = "representation.tracks"
        if not isinstance(tracks, Sequence) or isinstance(tracks, str):
            raise ConfigError(where, "is a list of tables with name, program and voices")
        made = []
        for track in tracks:
            if not isinstance(track, Mapping) or not {*track} <= {"name", "program", "voices"}:
                raise ConfigError(where, f"holds tables with name, program and voices, not {track}")
            name, program = track.get("name"), track.get("program", 0)
            voices = track.get("voices", 1)
            if not isinstance(name, str) or type(program) is not int or not 0 <= program <= 127:
                raise ConfigError(where, f"name is a text and program 0..127, not {track}")
            if type(voices) is not int:
                raise ConfigError(where, f"voices is a number, not {voices!r}")
            made.append(GridTrack(name, program, voices))
        return cls(made)

    def places(self, score: Score) -> list[int | None]:
        """Return for each track of the grid the score's pitched track that goes there.

        By name where every pitched track has the name of a grid's track; else in order.

        Raises:
            NotSupported: if there are more pitched tracks with notes than the grid holds.
        """
        pitched = [i for i, t in enumerate(score.tracks) if t.notes and not t.is_drum]
        if len(pitched) > len(self.tracks):
            shown = ", ".join(score.tracks[i].name for i in pitched[:12])
            raise NotSupported(
                f"the grid holds {len(self.tracks)} tracks, not {len(pitched)} ({shown})"
            )
        known = [track.name for track in self.tracks]
        names = [score.tracks[i].name for i in pitched]
        chosen: list[int | None] = [None] * len(known)
        if len({*names}) == len(names) and {*names} <= {*known}:
            for i, name in zip(pitched, names, strict=True):
                chosen[known.index(name)] = i
        else:
            chosen[: len(pitched)] = pitched
        return chosen

    def encode(self, score: Score, places: Sequence[int | None] | None = None) -> Grid:
        """Return the grid of a score; ``places`` is by default what ``places()`` returns.

        Raises:
            NotSupported: if there are more pitched tracks with notes than the grid holds.
        """
        places = self.places(score) if places is None else places
        timeline = Timeline(score)
        layout = Layout(tuple(bar.time_signature for bar in timeline.bars))
        ruler = _Ruler(timeline, layout)
        cells = np.zeros((self.slots, layout.columns, 2), dtype=np.int64)
        for slots, place in zip(self.slots_of, places, strict=True):
            if place is not None:
                _put(cells[slots.start : slots.stop], score.tracks[place].notes, ruler)
        self._put_chords(cells[self.chord_slot], score.chords, timeline, layout)
        tempo = score.tempos[0].quarters_per_minute if score.tempos else None
        return Grid(cells, layout, tempo)

    def _put_chords(
        self,
        row: npt.NDArray[np.int64],
        chords: Sequence[ChordSymbol],
        timeline: Timeline,
        layout: Layout,
    ) -> None:
        if not chords:
            return
        ticks = timeline.ticks_per_quarter
        onsets = np.array([chord.onset_ticks for chord in chords])
        starts = np.array([bar.onset_ticks for bar in timeline.bars])
        bar = np.searchsorted(layout.starts, layout.beats, "right") - 1
        quarter = (layout.beats - layout.starts[bar]) // _COLUMNS_PER_QUARTER
        ruling = np.searchsorted(onsets, starts[bar] + quarter * ticks, "right") - 1
        for column, index in zip(layout.beats, ruling, strict=True):
            if index >= 0:
                row[column] = self.chord_cell(chords[index].chord)

    @staticmethod
    def chord_cell(chord: Chord) -> tuple[int, int]:
        """Return the cell of a chord; qualities outside ``CHORD_QUALITIES`` become simpler ones."""
        quality = _SIMPLER.get(chord.quality, chord.quality)
        return chord.root + 1, CHORD_QUALITIES.index(quality) + 1

    def decode(self, grid: Grid) -> Score:
        """Return the score of any grid: MASK and half-filled cells are silent."""
        layout, cells = grid.layout, grid.cells
        order = np.full(layout.columns + 1, len(layout.sounding), dtype=np.int64)
        order[layout.sounding] = np.arange(len(layout.sounding))
        ticks_at = _ticks_of(layout)
        tracks = []
        for track, slots in zip(self.tracks, self.slots_of, strict=True):
            notes: list[Note] = []
            for slot in slots:
                full = (cells[slot] > EMPTY).all(axis=1) & ~layout.is_padding
                at = np.flatnonzero(full)
                begins = order[at]
                ends = np.minimum(
                    begins + np.minimum(cells[slot, at, 1], LONGEST), len(ticks_at) - 1
                )
                ends[:-1] = np.minimum(ends[:-1], begins[1:])
                for a, b, what in zip(begins, ends, cells[slot, at, 0], strict=True):
                    onset, end = int(ticks_at[a]), int(ticks_at[b])
                    pitch = min(int(what) - 1, _PITCHES - 1)
                    notes.append(Note(onset, pitch, max(1, end - onset), _VELOCITY))
            tracks.append(Track(track.name, _without_doubles(notes), program=track.program))
        return Score(
            tuple(tracks),
            tempos=() if grid.tempo is None else (Tempo(0, grid.tempo),),
            time_signatures=_signatures(layout),
            chords=self._chords(cells[self.chord_slot], layout, order, ticks_at),
            written_length_ticks=int(ticks_at[-1]),
        )

    @staticmethod
    def _chords(
        row: npt.NDArray[np.int64],
        layout: Layout,
        order: npt.NDArray[np.int64],
        ticks_at: npt.NDArray[np.int64],
    ) -> tuple[ChordSymbol, ...]:
        found: list[ChordSymbol] = []
        for column in layout.beats:
            root, quality = int(row[column, 0]), int(row[column, 1])
            if root > EMPTY and quality > EMPTY:
                name = CHORD_QUALITIES[min(quality, len(CHORD_QUALITIES)) - 1]
                chord = Chord((root - 1) % 12, name)
                if not found or found[-1].chord != chord:
                    found.append(ChordSymbol(int(ticks_at[order[column]]), chord))
        return tuple(found)

    def quantize(self, score: Score) -> Score:
        """Return the score as the grid can hold it."""
        return replace(self.decode(self.encode(score)), recipe=score.recipe)

    def transposed(self, cells: Cells, semitones: int) -> Cells | None:
        """Return cells transposed, or None where a pitch would leave 0..127; MASK stays."""
        out = cells.copy()
        what = out[: self.chord_slot, :, 0]
        moved = np.where(what > EMPTY, what + semitones, what)
        if ((what > EMPTY) & ((moved < 1) | (moved > _PITCHES))).any():
            return None
        out[: self.chord_slot, :, 0] = moved
        roots = out[self.chord_slot, :, 0]
        out[self.chord_slot, :, 0] = np.where(
            roots > EMPTY, (roots - 1 + semitones) % 12 + 1, roots
        )
        return out


def sounding(tracks: Cells, is_padding: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return what is known of each voice at each column: (..., 3 voices, columns).

    First what sounds in each voice: 0, 1 + pitch, or ``UNKNOWN``. A voice sounds its last note
    before a column for as long as that lasts; where a MASK stands between, it is unknown. Then the
    nearest note known to start before each column, then the nearest after it: 0 or 1 + pitch.
    Networks read this beside the cells, so that they need not learn to look along a voice.

    Args:
        tracks: (..., voices, columns, 2), the chord slot left out.
        is_padding: (..., columns), as of ``Layout.is_padding``.
    """
    columns = np.arange(tracks.shape[-2])
    number = np.maximum(np.cumsum(~is_padding, axis=-1) - 1, 0)[..., None, :]
    number = np.broadcast_to(number, tracks.shape[:-1])
    last = np.maximum.accumulate(np.where((tracks != EMPTY).any(axis=-1), columns, -1), axis=-1)
    at = np.maximum(last, 0)
    what = np.take_along_axis(tracks[..., 0], at, axis=-1)
    length = np.take_along_axis(tracks[..., 1], at, axis=-1)
    age = number - np.take_along_axis(number, at, axis=-1)
    begun = (age < length) | ((length == MASK) & (age == 0))
    unknown = (what == MASK) | ((length == MASK) & (age > 0))
    known = np.where(begun, np.maximum(what, EMPTY), EMPTY)
    silent = (last < 0) | is_padding[..., None, :]
    now = np.where(silent, EMPTY, np.where(unknown, UNKNOWN, known))
    starts = tracks[..., 0]
    before, after = _before(starts), _before(starts[..., ::-1])[..., ::-1]
    out: npt.NDArray[np.int64] = np.concatenate([now, before, after], axis=-2)
    return out


def _before(starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return (..., columns): the last note to start before each column; 0 where there is none."""
    columns = np.arange(starts.shape[-1])
    last = np.maximum.accumulate(np.where(starts > EMPTY, columns, -1), axis=-1)
    last = np.concatenate([np.full_like(last[..., :1], -1), last[..., :-1]], axis=-1)
    found = np.take_along_axis(starts, np.maximum(last, 0), axis=-1)
    out: npt.NDArray[np.int64] = np.where(last < 0, EMPTY, found)
    return out


class _Ruler:
    """Turns ticks of one score into the number of the sounding column, and that into columns."""

    def __init__(self, timeline: Timeline, layout: Layout) -> None:
        bars = timeline.bars
        self.layout = layout
        self.starts = np.array([bar.onset_ticks for bar in bars], dtype=np.int64)
        self.lengths = np.array([bar.length_ticks for bar in bars], dtype=np.int64)
        self.before = np.concatenate([[0], np.cumsum(layout.used)])
        self.ticks_per_quarter = timeline.ticks_per_quarter

    def number(self, ticks: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the nearest sounding column's number, halves up, inside the bar or at its end."""
        bar = np.clip(np.searchsorted(self.starts, ticks, "right") - 1, 0, None)
        inside = ticks - self.starts[bar]
        quarter = self.ticks_per_quarter
        column = (2 * inside * _COLUMNS_PER_QUARTER + quarter) // (2 * quarter)
        # A bar cut short by a change of metre keeps its columns, the last of them silent.
        column = np.where(inside >= self.lengths[bar], self.layout.used[bar], column)
        out: npt.NDArray[np.int64] = self.before[bar] + np.minimum(column, self.layout.used[bar])
        return out


def _put(cells: Cells, notes: Sequence[Note], ruler: _Ruler) -> None:
    """Write the notes of one track into the cells of its voices (voices, columns, 2)."""
    if not notes:
        return
    sounding = ruler.layout.sounding
    begins = ruler.number(np.array([note.onset_ticks for note in notes], dtype=np.int64))
    begins = np.minimum(begins, len(sounding) - 1)
    ends = ruler.number(np.array([note.end_ticks for note in notes], dtype=np.int64))
    lengths = np.clip(ends - begins, 1, LONGEST)
    voices = len(cells)
    busy, last = [0] * voices, [-1] * voices  # where each voice ends, where its last note began
    items = sorted(zip(begins.tolist(), lengths.tolist(), notes, strict=True), key=_by_begin)
    for begin, group in groupby(items, key=lambda item: item[0]):
        kept = {note.pitch: length for _, length, note in reversed(list(group)[:voices])}
        chosen = sorted(kept.items(), reverse=True)
        free = [v for v in range(voices) if busy[v] <= begin]
        if len(free) < len(chosen):
            # The notes that would end soonest are cut here.
            taken = sorted((busy[v], v) for v in range(voices) if busy[v] > begin)
            cut = [v for _, v in taken[: len(chosen) - len(free)]]
            for voice in cut:
                cells[voice, sounding[last[voice]], 1] = begin - last[voice]
            free = sorted(free + cut)
        for voice, (pitch, length) in zip(free, chosen, strict=False):
            length = min(length, len(sounding) - begin)
            cells[voice, sounding[begin]] = (pitch + 1, length)
            busy[voice], last[voice] = begin + length, begin


def _by_begin(item: tuple[int, int, Note]) -> tuple[int, int, int]:
    begin, length, note = item
    return begin, -length, -note.pitch


def _ticks_of(layout: Layout) -> npt.NDArray[np.int64]:
    """Return (sounding columns + 1,): the tick of each, and of the end of the piece."""
    starts = np.zeros(len(layout.metres) + 1, dtype=np.int64)
    starts[1:] = np.cumsum([int(m.quarters_per_bar * TICKS_PER_QUARTER) for m in layout.metres])
    bars = np.repeat(np.arange(len(layout.metres)), layout.used)
    place = layout.sounding - layout.starts[:-1][bars]
    ticks = starts[:-1][bars] + place * _COLUMN_TICKS
    return np.concatenate([ticks, starts[-1:]]).astype(np.int64)


def _signatures(layout: Layout) -> tuple[TimeSignature, ...]:
    at, found = 0, []
    last: tuple[int, int] | None = None
    for metre in layout.metres:
        if (metre.numerator, metre.denominator) != last:
            found.append(replace(metre, onset_ticks=at))
            last = (metre.numerator, metre.denominator)
        at += int(metre.quarters_per_bar * TICKS_PER_QUARTER)
    return tuple(found)


def _without_doubles(notes: Sequence[Note]) -> tuple[Note, ...]:
    """Return the notes without a second one of the same pitch and onset, the longer kept."""
    best: dict[tuple[int, int], Note] = {}
    for note in notes:
        other = best.get((note.onset_ticks, note.pitch))
        if other is None or other.duration_ticks < note.duration_ticks:
            best[note.onset_ticks, note.pitch] = note
    return tuple(sorted(best.values()))

"""Scores as columns of numbers: what every measure here starts from.

Time is in *steps*, 24 a quarter note, so that sixteenths, their triplets and thirty-seconds are
whole; scores of any tick grid compare on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from partimento.music import Score, Timeline

__all__ = [
    "STEPS_PER_QUARTER",
    "TIME_CLASSES",
    "NoteTable",
    "NoteVoice",
    "note_table",
    "time_class",
    "voices",
]

Ints = npt.NDArray[np.int64]
STEPS_PER_QUARTER = 24
TIME_CLASSES = 17
_MIDDLE_CLASS = 8


@dataclass(frozen=True, eq=False)
class NoteTable:
    """All notes of a score, sorted by onset, then pitch; each column has shape (notes,).

    ``in_bar`` is the onset in steps from the start of the note's bar; ``track`` counts the
    score's tracks from 0. ``bar_steps`` (bars,) is the length of each bar in steps.
    """

    onset: Ints
    duration: Ints
    pitch: Ints
    track: Ints
    is_drum: npt.NDArray[np.bool_]
    bar: Ints
    in_bar: Ints
    bar_steps: Ints
    length_steps: int

    def __len__(self) -> int:
        return len(self.onset)

    @property
    def bars(self) -> int:
        """How many bars the score covers; at least one."""
        return len(self.bar_steps)

    def rows(self, keep: npt.NDArray[np.bool_]) -> NoteTable:
        """Return the table with only the notes where ``keep`` (notes,) is true."""
        return NoteTable(
            self.onset[keep],
            self.duration[keep],
            self.pitch[keep],
            self.track[keep],
            self.is_drum[keep],
            self.bar[keep],
            self.in_bar[keep],
            self.bar_steps,
            self.length_steps,
        )

    def pitched(self) -> NoteTable:
        """Return the table without drums."""
        return self.rows(~self.is_drum)


@dataclass(frozen=True, eq=False)
class NoteVoice:
    """One melodic line: onset and duration in steps, MIDI pitch, bar and place in the bar.

    ``name`` is the track it was drawn from.
    """

    name: str
    onset: Ints
    duration: Ints
    pitch: Ints
    bar: Ints
    in_bar: Ints


def _steps(ticks: Ints, ticks_per_quarter: int) -> Ints:
    return (2 * ticks * STEPS_PER_QUARTER + ticks_per_quarter) // (2 * ticks_per_quarter)


def note_table(score: Score) -> NoteTable:
    """Return the notes of a score as columns; a score without notes gives columns of length 0."""
    rows = [
        (note.onset_ticks, note.pitch, note.end_ticks, index, track.is_drum)
        for index, track in enumerate(score.tracks)
        for note in track.notes
    ]
    columns = np.array(sorted(rows), dtype=np.int64).reshape(-1, 5).T
    onset_ticks, pitch, end_ticks, track_index, is_drum = columns
    bars = Timeline(score).bars
    borders = np.array([bar.onset_ticks for bar in bars], dtype=np.int64)
    lengths = np.array([bar.length_ticks for bar in bars], dtype=np.int64)
    bar = np.maximum(np.searchsorted(borders, onset_ticks, side="right") - 1, 0)
    quarter = score.ticks_per_quarter
    onset = _steps(onset_ticks, quarter)
    return NoteTable(
        onset=onset,
        duration=np.maximum(_steps(end_ticks, quarter) - onset, 1),
        pitch=pitch,
        track=track_index,
        is_drum=is_drum.astype(bool),
        bar=bar,
        in_bar=_steps(onset_ticks - borders[bar], quarter),
        bar_steps=np.maximum(_steps(lengths, quarter), 1),
        length_steps=int(_steps(np.array([score.length_ticks]), quarter)[0]),
    )


def time_class(steps: npt.ArrayLike) -> Ints:
    """Return the class 0..16 of each span in steps: half octaves around a quarter, which is 8.

    Class c stands for 2^((c - 8) / 2) quarters: 4 is a sixteenth, 6 an eighth, 7 a dotted eighth
    or a third of a half, 10 a half. The borders lie far from every written value, so that small
    shifts of time do not change the class.
    """
    quarters = np.maximum(np.asarray(steps, dtype=np.float64), 1e-9) / STEPS_PER_QUARTER
    classes = np.rint(2 * np.log2(quarters)).astype(np.int64) + _MIDDLE_CLASS
    out: Ints = np.clip(classes, 0, TIME_CLASSES - 1)
    return out


def _skyline(table: NoteTable) -> npt.NDArray[np.bool_]:
    """Return which notes are on top: nothing higher sounds in the middle of the note."""
    middle = 2 * table.onset + table.duration
    order = np.argsort(middle, kind="stable")
    first = np.searchsorted(middle[order], 2 * table.onset, side="left")
    last = np.searchsorted(middle[order], 2 * (table.onset + table.duration), side="left")
    top = np.zeros(len(table), dtype=np.int64)
    for row in np.argsort(table.pitch, kind="stable").tolist():
        top[first[row] : last[row]] = table.pitch[row]
    on_top = np.zeros(len(table), dtype=bool)
    on_top[order] = table.pitch[order] >= top
    # Of several notes struck together the highest alone makes the line.
    highest = np.ones(len(table), dtype=bool)
    highest[:-1] = table.onset[1:] != table.onset[:-1]
    return on_top & highest


def voices(score: Score, table: NoteTable | None = None) -> list[NoteVoice]:
    """Return one line a pitched track with notes: the track itself, or its skyline if it is thick.

    The skyline holds the notes over which nothing sounds at the middle of their duration, so a
    melody survives a moving accompaniment below it (a refinement of Uitdenbogerd and Zobel 1999,
    who take the highest note of each onset).
    """
    table = note_table(score) if table is None else table
    lines = []
    for index, track in enumerate(score.tracks):
        mine = table.rows((table.track == index) & ~table.is_drum)
        if not len(mine):
            continue
        line = mine.rows(_skyline(mine))
        lines.append(
            NoteVoice(track.name, line.onset, line.duration, line.pitch, line.bar, line.in_bar)
        )
    return lines

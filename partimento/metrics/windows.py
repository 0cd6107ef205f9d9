"""What the judge sees: each window of some bars as one long vector, whatever its key.

Four families of counts, hashed into a fixed width (Weinberger et al. 2009) so that any music
fits, and a few dozen plain values:

- melody: two and three successive (interval, time class) steps of each line;
- harmony: the set of sounding pitch classes over the bass, alone and with the next one and the
  motion of the bass; the spacing of neighbouring notes;
- rhythm: the onset pattern of each line in each bar, durations by place in the bar;
- voice leading: for each pair of lines that move together, interval, motion, interval;
- values: density, polyphony, range, entropy, scale, groove, repetition by lag, and histograms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from partimento.errors import MusicError
from partimento.metrics.features import entropy_bits, estimate_tonic, scale_consistency
from partimento.metrics.hashing import hash_columns
from partimento.metrics.notes import (
    STEPS_PER_QUARTER,
    TIME_CLASSES,
    NoteTable,
    NoteVoice,
    note_table,
    time_class,
    voices,
)
from partimento.music import Score

__all__ = ["HASHED_WIDTH", "WindowVectors", "window_vectors"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_FAMILY_WIDTH = 512
_FAMILIES = ("melody", "harmony", "rhythm", "leading")
HASHED_WIDTH = _FAMILY_WIDTH * len(_FAMILIES)
_STEPS_PER_SIXTEENTH = STEPS_PER_QUARTER // 4
_MOST_LINES = 6
_MOST_WINDOWS = 512
_REST = 255


@dataclass(frozen=True, eq=False)
class WindowVectors:
    """``hashed`` (windows, HASHED_WIDTH) are counts, ``values`` (windows, width) plain values."""

    hashed: Floats
    values: Floats


@dataclass
class _Counter:
    """Counts hashed events by window; an event's bar decides its window."""

    table: Floats
    bars: int

    def add(self, family: str, kind: int, bar: Ints, columns: list[Ints]) -> None:
        """Count one event a row of the columns, each of shape (events,)."""
        window = bar // self.bars
        keep = window < len(self.table)
        if not keep.any():
            return
        rows = np.stack([np.full(len(bar), kind, dtype=np.int64), *columns], axis=1)[keep]
        slot = (hash_columns(rows) >> np.uint64(33)).astype(np.int64) % _FAMILY_WIDTH
        slot += _FAMILIES.index(family) * _FAMILY_WIDTH
        np.add.at(self.table, (window[keep], slot), 1.0)


def _count_melody(counter: _Counter, lines: list[NoteVoice]) -> None:
    for index, line in enumerate(lines):
        step = np.clip(np.diff(line.pitch), -24, 24)
        time = time_class(np.diff(line.onset))
        who = np.full(len(step), index, dtype=np.int64)
        bar = line.bar[:-1]
        counter.add("melody", 0, bar, [who, step, time])
        counter.add("melody", 1, bar[:-1], [who[:-1], step[:-1], step[1:]])
        counter.add("melody", 2, bar[:-1], [step[:-1], step[1:], time[:-1], time[1:]])
        counter.add("melody", 3, bar[:-2], [step[:-2], step[1:-1], step[2:]])


def _count_rhythm(counter: _Counter, table: NoteTable, lines: list[NoteVoice]) -> None:
    place = table.in_bar // _STEPS_PER_SIXTEENTH
    length = time_class(table.duration)
    counter.add("rhythm", 0, table.bar, [place, length, table.is_drum.astype(np.int64)])
    fine = table.in_bar % STEPS_PER_QUARTER
    counter.add("rhythm", 1, table.bar, [fine, np.minimum(table.duration, 96)])
    drums = table.rows(table.is_drum)
    counter.add("rhythm", 2, drums.bar, [drums.in_bar // _STEPS_PER_SIXTEENTH, drums.pitch])
    patterns = [(0, table.bar, place)]
    patterns += [(i + 1, x.bar, x.in_bar // _STEPS_PER_SIXTEENTH) for i, x in enumerate(lines)]
    for who, bar, at in patterns:
        beat = at // 4
        key = bar * 64 + np.minimum(beat, 63)
        mask = np.zeros(int(key.max()) + 2 if len(key) else 1, dtype=np.int64)
        np.bitwise_or.at(mask, key, 1 << (at % 4))
        here = np.unique(key)
        same_bar = (here + 1) // 64 == here // 64
        following = np.where(same_bar, mask[here + 1], 0) if len(here) else here
        lane = np.full(len(here), who, dtype=np.int64)
        counter.add("rhythm", 3, here // 64, [lane, mask[here], following])
        counter.add("rhythm", 4, here // 64, [lane, here % 64, mask[here]])


def _sounding(line: NoteVoice, at: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Return (pitch of the line at each time, -1 in rests; whether it is struck there)."""
    index = np.searchsorted(line.onset, at, side="right") - 1
    index = np.maximum(index, 0)
    inside = (line.onset[index] <= at) & (at < line.onset[index] + line.duration[index])
    return np.where(inside, line.pitch[index], -1), line.onset[index] == at


def _count_leading(counter: _Counter, lines: list[NoteVoice], at: Ints, bar: Ints) -> None:
    rows = [_sounding(line, at)[0] for line in lines]
    for high in range(len(rows)):
        for low in range(high + 1, len(rows)):
            first, second = rows[high], rows[low]
            both = (first >= 0) & (second >= 0)
            moves = (first[:-1] != first[1:]) | (second[:-1] != second[1:])
            here = np.flatnonzero(both[:-1] & both[1:] & moves)
            before = (first[here] - second[here]) % 12
            after = (first[here + 1] - second[here + 1]) % 12
            up = np.clip(first[here + 1] - first[here], -13, 13)
            down = np.clip(second[here + 1] - second[here], -13, 13)
            pair = np.full(len(here), high * 8 + low, dtype=np.int64)
            counter.add("leading", 0, bar[here], [pair, before, up, down])
            counter.add("leading", 1, bar[here], [before, after, np.sign(up), np.sign(down)])
            spread = np.clip(first[here] - second[here], -24, 36)
            counter.add("leading", 2, bar[here], [pair, spread])


def _chord_masks(table: NoteTable, at: Ints) -> tuple[Ints, Ints, Ints]:
    """Return (pitch-class set over the bass as 12 bits, bass pitch, notes) at each time."""
    first = np.searchsorted(at, table.onset, side="left")
    last = np.searchsorted(at, table.onset + table.duration, side="left")
    count = last - first
    note = np.repeat(np.arange(len(table)), count)
    time = np.arange(len(note)) - np.repeat(np.cumsum(count) - count, count)
    time += np.repeat(first, count)
    bass = np.full(len(at), _REST, dtype=np.int64)
    np.minimum.at(bass, time, table.pitch[note])
    mask = np.zeros(len(at), dtype=np.int64)
    np.bitwise_or.at(mask, time, 1 << ((table.pitch[note] - bass[time]) % 12))
    return mask, bass, np.bincount(time, minlength=len(at))


def _count_harmony(counter: _Counter, table: NoteTable, at: Ints, bar: Ints) -> None:
    mask, bass, _ = _chord_masks(table, at)
    step = np.clip(np.diff(bass), -13, 13)
    counter.add("harmony", 0, bar, [mask])
    counter.add("harmony", 1, bar[:-1], [mask[:-1], mask[1:], step])
    counter.add("harmony", 2, bar[:-1], [mask[:-1], step])
    starts = np.concatenate([[0], np.cumsum(table.bar_steps)])
    place = (at - starts[bar]) // _STEPS_PER_SIXTEENTH
    counter.add("harmony", 3, bar, [mask, (place % 4 > 0).astype(np.int64) + (place > 0)])


def _window_values(table: NoteTable, bars: int, lines: list[NoteVoice], window: int) -> Floats:
    inside = table.rows(table.bar // bars == window)
    pitched = inside.pitched()
    counts = np.bincount(pitched.pitch % 12, minlength=12).astype(np.float64)
    weights = np.bincount(pitched.pitch % 12, pitched.duration, minlength=12).astype(np.float64)
    tonic = np.roll(weights, -estimate_tonic(weights))
    gaps = np.diff(np.unique(inside.onset))
    own = [line.pitch[line.bar // bars == window] for line in lines[:_MOST_LINES]]
    steps = np.concatenate([np.zeros(0, np.int64), *(np.diff(x) for x in own)])
    some = len(pitched) > 0
    per_line = np.zeros((_MOST_LINES, 4))
    for index, x in enumerate(own):
        moves = np.abs(np.diff(x)) if len(x) > 1 else np.zeros(1)
        if len(x):
            per_line[index] = [len(x), np.ptp(x), moves.mean(), (moves == 0).mean()]
    scalars = [
        len(inside),
        len(np.unique(inside.onset)),
        float(pitched.pitch.std()) if some else 0.0,
        float(np.ptp(pitched.pitch)) if some else 0.0,
        len(np.unique(pitched.pitch)),
        entropy_bits(counts) if some else 0.0,
        scale_consistency(counts) if some else 0.0,
        float(pitched.duration.mean()) if some else 0.0,
        float(gaps.std()) if len(gaps) else 0.0,
        float(np.abs(steps).mean()) if len(steps) else 0.0,
        float((np.abs(steps) > 7).mean()) if len(steps) else 0.0,
    ]
    parts = [
        np.array(scalars),
        per_line.reshape(-1),
        tonic / max(tonic.sum(), 1.0),
        _histogram(time_class(gaps)),
        _histogram(time_class(pitched.duration)),
        _repetition(inside, bars, window),
    ]
    return np.concatenate(parts)


def _histogram(classes: Ints) -> Floats:
    return np.bincount(classes, minlength=TIME_CLASSES) / max(len(classes), 1)


def _repetition(inside: NoteTable, bars: int, window: int) -> Floats:
    """Return, by lag 1..bars - 1, how much of a bar comes again: exactly, and as rhythm alone."""
    out = np.zeros((2, bars - 1))
    exact = hash_columns(np.stack([inside.pitch, inside.in_bar, inside.duration], axis=1))
    for row, kind in enumerate((exact, inside.in_bar)):
        sets = [np.unique(kind[inside.bar == window * bars + i]) for i in range(bars)]
        for lag in range(1, bars):
            shares = []
            for first, second in zip(sets, sets[lag:], strict=False):
                both = len(np.intersect1d(first, second, assume_unique=True))
                either = len(first) + len(second) - both
                shares.append(both / either if either else 0.0)
            out[row, lag - 1] = float(np.mean(shares))
    return out.reshape(-1)


def window_vectors(score: Score, bars: int) -> WindowVectors:
    """Return the vectors of the whole windows of ``bars`` bars; of the piece where it is shorter.

    WindowVectors without notes, and those beyond the first 512, are left out.

    Raises:
        MusicError: if ``bars`` is below 2.
    """
    if bars < 2:
        raise MusicError(f"a judge needs windows of 2 bars or more, not {bars}")
    table = note_table(score)
    lines = voices(score, table)
    # Lines from high to low, so that the order of tracks in a file does not matter.
    lines = sorted(lines, key=lambda line: -float(line.pitch.mean()))[:_MOST_LINES]
    count = min(max(1, table.bars // bars), _MOST_WINDOWS)
    counter = _Counter(np.zeros((count, HASHED_WIDTH)), bars)
    pitched = table.pitched()
    at = np.unique(pitched.onset)
    starts = np.concatenate([[0], np.cumsum(table.bar_steps)])
    bar = np.clip(np.searchsorted(starts, at, side="right") - 1, 0, table.bars - 1)
    _count_melody(counter, lines)
    _count_rhythm(counter, table, lines)
    _count_leading(counter, lines, at, bar)
    _count_harmony(counter, pitched, at, bar)
    values = [_window_values(table, bars, lines, window) for window in range(count)]
    full = np.bincount(table.bar // bars, minlength=count)[:count] > 0
    return WindowVectors(counter.table[full], np.stack(values)[full])

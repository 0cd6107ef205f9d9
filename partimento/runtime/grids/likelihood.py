"""How likely a model finds what was written: each cell judged by the others (pseudo-likelihood)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from partimento.music import Promises, Score, Timeline
from partimento.music.regions import Region
from partimento.representations.track_grid import BLOCK, EMPTY, MASK, Cells
from partimento.runtime.contract import Request, Task
from partimento.runtime.grids.request import Sheet
from partimento.runtime.grids.windows import Ask, View, given_flags, span_of
from partimento.samplers.unmasking import TIMES

__all__ = ["judged_request", "mean_likelihood"]

_PASSES = 4  # each hides one beat in four of every voice
_PER_BEAT = 4

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]


def judged_request(request: Request, score: Score) -> Request:
    """Return the request to regenerate what ``score`` holds as the answer to ``request``."""
    bars = len(Timeline(score).bars)
    if request.task in (Task.INFILL, Task.ACCOMPANY):
        promises = Promises(chords=request.promises.chords)
        return replace(request, prompts=(score,), promises=promises)
    first = 0
    tracks = frozenset(i for i, t in enumerate(score.tracks) if t.notes and not t.is_drum)
    if request.task is Task.CONTINUE and request.score is not None:
        first = min(len(Timeline(request.score).bars), bars - 1)
        old = request.score.tracks
        tracks &= {i for i, track in enumerate(old) if track.notes}
    regions = (Region(first, bars, tracks),)
    return Request(Task.INFILL, Promises(bars=bars), (score,), regions=regions)


def mean_likelihood(sheet: Sheet, cells: Cells, ask: Ask, window: int) -> float:
    """Return the mean log-likelihood, in nats a cell, of the open cells of a sheet.

    The cells are hidden in four parts, a beat in four of every voice at a time, and each is judged
    by all the others. The cell of a note counts what starts and how long it lasts.

    Args:
        sheet: says which cells are judged.
        cells: (S, columns, 2), the whole piece.
        ask: the model.
        window: how many columns it sees at once.
    """
    total, count = 0.0, 0
    first = sheet.next_open(0)
    while first is not None:
        span = span_of(sheet, first, window)
        front = BLOCK if span.start == 0 else 0
        back = BLOCK if span.end == sheet.total else 0
        a, b = sheet.layout.starts[[span.start, span.end]]
        shown, _, _ = sheet.part(span.start, span.end)
        view = View(sheet.bars(span.start, span.end), front, back, given_flags(sheet, shown))
        held = shown[sheet.grid.chord_slot]
        shown = cells[:, a:b].copy()
        shown[sheet.grid.chord_slot] = held
        canvas = np.pad(shown, ((0, 0), (front, back), (0, 0)))
        judged = np.zeros(canvas.shape[:2], dtype=bool)
        c, d = sheet.layout.starts[[span.first, span.stop]]
        judged[:, front + c - a : front + d - a] = sheet.is_open[:, c:d]
        predict = ask(view)
        beat = np.arange(canvas.shape[1]) // _PER_BEAT
        part = (beat + np.arange(len(canvas))[:, None]) % _PASSES
        for number in range(_PASSES):
            hidden = judged & (part == number)
            masked = canvas.copy()
            masked[hidden] = MASK
            what, length = predict(masked, TIMES // _PASSES)
            total += _of(what[hidden], length[hidden], canvas[hidden])
            count += int(hidden.sum())
        first = sheet.next_open(span.stop)
    return total / max(1, count)


def _of(what: npt.NDArray[np.float32], length: npt.NDArray[np.float32], cells: _Ints) -> float:
    """Return the log-likelihood of some cells (n, 2), of logits (n, 129) and (n, 65)."""
    first = _log_shares(what)[np.arange(len(cells)), cells[:, 0]]
    second = _log_shares(length)[np.arange(len(cells)), cells[:, 1]]
    return float((first + np.where(cells[:, 0] > EMPTY, second, 0.0)).sum())


def _log_shares(logits: npt.NDArray[np.float32]) -> _Floats:
    rows = logits.astype(np.float64)
    rows -= rows.max(axis=1, keepdims=True)
    out: _Floats = rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))
    return out

"""How long a piece of a file may be, so that it can be rendered, barred and written."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from os import PathLike

from partimento.errors import FileError
from partimento.music import Score, Timeline, TimeSignature

__all__ = [
    "MAX_BARS",
    "MAX_SECONDS",
    "MAX_SILENCE_SECONDS",
    "MAX_TRACKS",
    "require_bounded",
    "silence_is_short",
]

MAX_TRACKS = 1_024
MAX_BARS = 50_000
MAX_SECONDS = 24 * 3600.0
MAX_SILENCE_SECONDS = 600.0  # after the last note


def require_bounded(score: Score, end_ticks: int, path: str | PathLike[str]) -> None:
    """Check how long the notes, which end at ``end_ticks``, and the maps of a score are.

    Raises:
        FileError: if they last longer than ``MAX_SECONDS`` or ``MAX_BARS``.
    """
    last = max(end_ticks, _last_mark(score))
    seconds = float(_timeline(score).seconds(last))
    remedy = "cut it into pieces in a MIDI editor"
    if seconds > MAX_SECONDS:
        hours = f"{seconds / 3600:,.0f} hours"
        raise FileError(path, f"it lasts {hours}, more than {MAX_SECONDS / 3600:.0f}", remedy)
    bars = _bar_count(score, last)
    if bars > MAX_BARS:
        raise FileError(path, f"it has {bars:,} bars, more than {MAX_BARS:,}", remedy)


def silence_is_short(score: Score, end_ticks: int, length_ticks: int) -> bool:
    """Return whether a piece of ``length_ticks`` is not silent for long after all that is in it."""
    last = max(end_ticks, _last_mark(score))
    start, end = _timeline(score).seconds([last, length_ticks])
    return bool(end - start <= MAX_SILENCE_SECONDS) and _bar_count(score, length_ticks) <= MAX_BARS


def _timeline(score: Score) -> Timeline:
    """Return the timeline of the maps alone, which need not look at every note."""
    return Timeline(replace(score, tracks=()))


def _last_mark(score: Score) -> int:
    maps = (score.tempos, score.time_signatures, score.key_signatures, score.chords)
    return max((events[-1].onset_ticks for events in maps if events), default=0)


def _bar_count(score: Score, end_ticks: int) -> int:
    """Return how many bars a ``Timeline`` would have, without making them."""
    metres = list(score.time_signatures)
    if not metres or metres[0].onset_ticks > 0:
        metres.insert(0, TimeSignature(0, 4, 4))
    ends = [after.onset_ticks for _, after in pairwise(metres)]
    count = 0
    for metre, end in zip(metres, [*ends, end_ticks], strict=True):
        bar = max(1, int(metre.quarters_per_bar * score.ticks_per_quarter))
        count += -(-max(0, end - metre.onset_ticks) // bar)
    return count

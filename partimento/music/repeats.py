"""Repeats played out: a score in the order in which its bars sound.

Repeats, endings (voltas), da capo, dal segno, coda and fine are followed as players do: after a
da capo or dal segno repeats are not taken, and of endings the last one is played.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from itertools import pairwise

from partimento.errors import MusicError
from partimento.music.replace_regions import join_parts
from partimento.music.score import RepeatMark, Score
from partimento.music.transform import crop

__all__ = ["play_order", "unfolded"]

_MAX_QUARTERS = 2**20  # played out; at 120 a minute it lasts six days
_MAX_SPANS = 10_000


def unfolded(score: Score) -> Score:
    """Return the score with its repeats played out, and without repeat marks.

    A score without marks is returned as it is.

    Raises:
        MusicError: if what is played would be longer than 2**20 quarters.
    """
    if not score.repeats:
        return score
    spans = play_order(score)
    whole = [(0, score.length_ticks)]
    if not spans or spans == whole:
        return replace(score, repeats=())
    played = join_parts((crop(score, start, end) for start, end in spans), score)
    return replace(
        played,
        tracks=tuple(
            replace(track, notes=now.notes, pedals=now.pedals, lyrics=now.lyrics)
            for track, now in zip(score.tracks, played.tracks, strict=True)
        ),
        title=score.title,
        recipe=score.recipe,
    )


def play_order(score: Score) -> list[tuple[int, int]]:
    """Return the spans (start, end) in ticks in the order in which they are played.

    Raises:
        MusicError: as ``unfolded``.
    """
    if not score.length_ticks:
        return []
    order = _Walk(score).order()
    spans: list[tuple[int, int]] = []
    for start, end in order:
        if spans and spans[-1][1] == start:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans


class _Walk:
    """One way through the stretches between the marks of a score."""

    def __init__(self, score: Score) -> None:
        self.score = score
        length = score.length_ticks
        ticks = {0, length}
        for mark in score.repeats:
            ticks |= {t for t in (mark.onset_ticks, mark.end_ticks) if 0 < t < length}
        self.bounds = sorted(ticks)
        self.at_start: list[dict[str, RepeatMark]] = [{} for _ in self.bounds]
        self.at_end: list[dict[str, RepeatMark]] = [{} for _ in self.bounds]
        for mark in score.repeats:
            starts = mark.kind in ("forward", "ending", "segno", "coda")
            place = bisect_right(self.bounds, mark.onset_ticks) - 1
            if starts and self.bounds[place] == mark.onset_ticks < length:
                self.at_start[place].setdefault(mark.kind, mark)
            elif not starts and 0 < mark.onset_ticks <= length:
                self.at_end[place - 1].setdefault(mark.kind, mark)
        self.passes = self._passes()

    def _passes(self) -> dict[int, int]:
        """Return for each stretch that begins an ending how many passes its chain has."""
        found: dict[int, int] = {}
        endings = sorted(mark for mark in self.score.repeats if mark.kind == "ending")
        chain: list[RepeatMark] = []
        for ending, after in pairwise([*endings, None]):
            if ending is None:
                continue
            chain.append(ending)
            if after is None or after.onset_ticks != ending.end_ticks:
                most = max((number for each in chain for number in each.passes), default=1)
                found |= {each.onset_ticks: most for each in chain}
                chain = []
        return found

    def order(self) -> list[tuple[int, int]]:
        """Return the stretches (start, end) in ticks as they are played."""
        out: list[tuple[int, int]] = []
        total, at, begin, count, total_passes, ending_end = 0, 0, 0, 1, 0, -1
        jumped = False
        most = _MAX_QUARTERS * self.score.ticks_per_quarter
        while at < len(self.bounds) - 1:
            starts, ends = self.at_start[at], self.at_end[at]
            if "forward" in starts and at != begin:
                begin, count, total_passes = at, 1, 0
            ending = starts.get("ending")
            if ending is not None:
                total_passes = self.passes[ending.onset_ticks]
                now = total_passes if jumped else count
                if now not in ending.passes and ending.end_ticks > self.bounds[at]:
                    at = max(at + 1, bisect_right(self.bounds, ending.end_ticks) - 1)
                    continue
                ending_end = ending.end_ticks
            out.append((self.bounds[at], self.bounds[at + 1]))
            total += self.bounds[at + 1] - self.bounds[at]
            if total > most or len(out) > _MAX_SPANS:
                raise MusicError("its repeats last too long to be played; play it without them")
            if jumped and "fine" in ends:
                break
            coda = self._place("coda") if jumped and "tocoda" in ends else None
            jump = self._jump(ends) if not jumped else None
            backward = ends.get("backward")
            if coda is not None and coda > at:
                at, begin, count, total_passes = coda, coda, 1, 0
            elif backward and not jumped and count < max(backward.times, total_passes):
                at, count = begin, count + 1
            elif jump is not None:
                at, begin, jumped = jump, jump, True
            else:
                at += 1
                # A backward sign of its own, or a last ending, closes the repeated section.
                if backward or (count == total_passes and self.bounds[at] == ending_end):
                    begin, count, total_passes = at, 1, 0
        return out

    def _jump(self, ends: dict[str, RepeatMark]) -> int | None:
        if "dacapo" in ends:
            return 0
        return self._place("segno") if "dalsegno" in ends else None

    def _place(self, kind: str) -> int | None:
        return next((i for i, marks in enumerate(self.at_start) if kind in marks), None)

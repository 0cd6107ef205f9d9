"""How well the same work is recognised across files: what is missed, and what is wrongly found.

    python -m benchmarks.same_work [--data DIR] [--quick]

Pieces of five data sets, each against a copy of itself, transposed by up to six semitones either
way, at half to twice the note values, its tracks joined into one, and one note in twenty missing;
``missed_plain`` is the share of copies with no note missing that are not found, ``missed`` of all.
Unrelated are pieces of data sets that share no music (songs, fiddle tunes, piano works, game music,
chorales); ``wrong`` is the share of pieces that are found to be the work of any piece of another
such set. ``pairs`` counts the pairs of pieces in question.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from benchmarks.harness import Options, say, start
from partimento.errors import FileError
from partimento.files import open_corpus
from partimento.files.corpora.same_work import same_works, shingles_of
from partimento.music import Note, Score, Track
from partimento.seeds import generator

_SETS = ("freedoom_midi", "js_fakes", "jsb_chorales", "mutopia", "nottingham")
# Sets whose pieces cannot be one work: nobody's game music is in a book of fiddle tunes.
_UNRELATED = ("freedoom_midi", "js_fakes", "nottingham")
_LEAST_NOTES = 100
_PIECES, _QUICK_PIECES = 150, 4  # of each set
_DROPPED = 0.05
_TARGETS = {
    "missed_plain": lambda share: share <= 0.01,
    "missed": lambda share: share <= 0.05,
    "wrong": lambda share: share <= 0.01,
}


def changed(score: Score, draw: np.random.Generator, dropped: float) -> Score:
    """Return a copy in another key, at other note values, on one track, some notes missing."""
    pitches = [note.pitch for note in score.notes]
    low, high = max(-6, -min(pitches)), min(6, 127 - max(pitches))
    shift = int(draw.integers(low, high + 1))
    factor = float(draw.choice([0.5, 1.0, 1.5, 2.0]))
    ticks = max(1, min(32767, round(score.ticks_per_quarter * 2)))
    scale = factor * ticks / score.ticks_per_quarter
    notes = [
        Note(
            round(note.onset_ticks * scale), note.pitch + shift,
            max(1, round(note.duration_ticks * scale)), note.velocity,
        )
        for track in score.tracks
        if not track.is_drum
        for note in track.notes
        if draw.random() >= dropped
    ]  # fmt: skip
    return replace(score, tracks=(Track("all", tuple(notes)),), ticks_per_quarter=ticks)


def pieces(data: str, count: int, draw: np.random.Generator) -> dict[str, list[Score]]:
    """Return some pieces of each data set that is there, none of a few notes."""
    out: dict[str, list[Score]] = {}
    for name in _SETS:
        try:
            items = open_corpus(name, data).items
        except FileError as error:
            say(f"left out: {error}")
            continue
        chosen = draw.permutation(len(items))[: 2 * count]
        out[name] = []
        for index in chosen:
            score = items[index].load()
            assert isinstance(score, Score)
            pitched = [track for track in score.tracks if not track.is_drum]
            if sum(len(track.notes) for track in pitched) >= _LEAST_NOTES:
                out[name].append(score.with_tracks(pitched))
            if len(out[name]) == count:
                break
        say(f"{name}: {len(out[name])} pieces")
    return out


def run(options: Options) -> Mapping[str, Any]:
    """Measure and return the figures."""
    draw = generator(0)
    found = pieces(options.data, _QUICK_PIECES if options.quick else _PIECES, draw)
    missed = {0.0: 0, _DROPPED: 0}
    scores = [score for own in found.values() for score in own]
    for dropped in missed:
        for score in scores:
            pair = [shingles_of(score), shingles_of(changed(score, draw, dropped))]
            missed[dropped] += not same_works(pair)
    groups = [(name, shingles_of(score)) for name in _UNRELATED for score in found.get(name, [])]
    wrong = {
        index
        for pair in same_works([shingles for _, shingles in groups])
        if groups[pair.first][0] != groups[pair.second][0]
        for index in (pair.first, pair.second)
    }
    sizes = [len(found.get(name, [])) for name in _UNRELATED]
    return {
        "pieces": len(scores),
        "missed_plain": round(missed[0.0] / max(1, len(scores)), 4),
        "missed": round((missed[0.0] + missed[_DROPPED]) / max(1, 2 * len(scores)), 4),
        "wrong": round(len(wrong) / max(1, len(groups)), 4),
        "pairs": sum(a * b for a, b in combinations(sizes, 2)),
    }


if __name__ == "__main__":
    start(__doc__, run, _TARGETS)

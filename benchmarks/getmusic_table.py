"""The measures of GETMusic on held-out quartets, at 10, 25, 50 and 100 steps.

After section 4 of the paper (Lv et al. 2023, arXiv 2305.10841) and PopMAG, from which it takes
them (Ren et al. 2020, arXiv 2008.07703, section 4.3). Windows of sixteen bars, up to two from each
test quartet of OpenScore, in which all four parts play; two tasks on each:

- accompaniment: the first part is given, the three others are written;
- infilling: all is given but bars 5 to 12 of two parts, drawn at random (keys with ``infill_``).

Of the notes written against the notes that stood there, the mean over windows:

- ``chord_accuracy``: on how many beats with a chord (``music.chord_finding``, of these parts alone)
  root and quality class are the same;
- ``kl_pitch``, ``kl_duration``, ``kl_ioi``: KL(real || written) in nats of the distributions of
  pitch classes, of durations and of inter-onset intervals (of a part), both in sixteenths up to 32,
  half a count added to each bin.

``real`` is what two windows of one quartet come to against each other: a floor, not a contestant.
``seconds`` is for one window of accompaniment, on all cores.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.harmonise import chords
from benchmarks.harness import Options, say, start
from partimento import api, seeds
from partimento.files import open_corpus
from partimento.music import Score, Timeline
from partimento.music.transform import crop

BARS = 16
STEPS = (10, 25, 50, 100)
INFILLED = (4, 12)  # bars from 0, the end left out
MODEL = "getmusic-four-voices"
LONGEST = 32  # sixteenths
# The parts written must fit the given one better than those of another window of the piece.
TARGETS: dict[str, Callable[[Any], bool]] = {
    "25": lambda figures: figures["chord_accuracy"] > figures["chord_accuracy_of_another_window"]
}
_MARGIN = 0.5  # added to each bin
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Window:
    """Sixteen bars of a quartet, four tracks."""

    name: str
    score: Score


def windows(split: str = "test", bars: int = BARS, most: int = 2) -> Iterator[Window]:
    """Yield up to ``most`` windows a quartet in which all of its four parts play."""
    for name, piece in open_corpus("openscore_quartets").pieces(split):
        assert isinstance(piece, Score)
        lines = Timeline(piece).bars
        found = 0
        for first in np.linspace(0, len(lines) - bars, 12).astype(int).tolist()[1:]:
            if found == most or first < 0:
                break
            cut = crop(piece, lines[first].onset_ticks, lines[first + bars - 1].end_ticks)
            playing = [t for t in cut.tracks if t.notes and not t.is_drum]
            whole = len(Timeline(cut).bars) == bars
            if whole and len(playing) == 4 and all(len(t.notes) >= bars for t in playing):
                found += 1
                yield Window(f"{name}:{first + 1}", cut.with_tracks(playing))


def _part(score: Score, tracks: tuple[int, ...], bars: tuple[int, int]) -> Score:
    """Return some bars of some tracks."""
    lines = Timeline(replace(score, tracks=())).bars
    chosen = score.with_tracks(score.tracks[i] for i in tracks)
    return crop(chosen, lines[bars[0]].onset_ticks, lines[bars[1] - 1].end_ticks)


def histograms(score: Score) -> tuple[Floats, Floats, Floats]:
    """Return counts of pitch classes, durations and inter-onset intervals."""
    pitch, duration, ioi = np.zeros(12), np.zeros(LONGEST + 1), np.zeros(LONGEST + 1)
    sixteenth = score.ticks_per_quarter / 4
    for track in score.tracks:
        notes = np.array([(n.pitch, n.duration_ticks, n.onset_ticks) for n in track.notes])
        if not len(notes):
            continue
        pitch += np.bincount(notes[:, 0] % 12, minlength=12)
        gaps = np.diff(np.unique(notes[:, 2]))
        for into, ticks in ((duration, notes[:, 1]), (ioi, gaps)):
            bins = np.minimum(np.round(ticks / sixteenth), LONGEST).astype(np.int64)
            into += np.bincount(bins, minlength=LONGEST + 1)
    return pitch, duration, ioi


def kl(real: Floats, made: Floats) -> float:
    """Return KL(real || made) in nats of counts."""
    p, q = (x + _MARGIN for x in (real, made))
    p, q = p / p.sum(), q / q.sum()
    return float((p * np.log(p / q)).sum())


def compare(real: Score, made: Score) -> dict[str, float]:
    """Return the measures of what was written against what stood there."""
    count = int(real.length_ticks // real.ticks_per_quarter)
    pairs = zip(chords(real, count), chords(made, count), strict=True)
    same = [a == b for a, b in pairs if a is not None]
    names = ("kl_pitch", "kl_duration", "kl_ioi")
    both = zip(names, histograms(real), histograms(made), strict=True)
    return {
        "chord_accuracy": float(np.mean(same)) if same else 1.0,
        **{name: kl(a, b) for name, a, b in both},
    }


def _mean(rows: list[dict[str, float]], prefix: str = "") -> dict[str, float]:
    return {
        f"{prefix}{name}": round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0]
    }


def accompanied(instrument: Any, window: Window, seed: int, steps: int) -> dict[str, float]:
    """Return the measures of the three parts below the first."""
    began = time.perf_counter()
    made = instrument.accompany(window.score, tracks=["2", "3", "4"], seed=seed, steps=steps).score
    seconds = time.perf_counter() - began
    parts = (1, 2, 3), (0, BARS)
    return {**compare(_part(window.score, *parts), _part(made, *parts)), "seconds": seconds}


def infilled(instrument: Any, window: Window, seed: int, steps: int) -> dict[str, float]:
    """Return the measures of eight bars of two parts."""
    two = sorted(seeds.generator(seed).choice(4, 2, replace=False).tolist())
    bars = f"{INFILLED[0] + 1}:{INFILLED[1]}"
    tracks = [str(i + 1) for i in two]
    made = instrument.infill(window.score, bars=bars, tracks=tracks, seed=seed, steps=steps).score
    parts = tuple(two), INFILLED
    return compare(_part(window.score, *parts), _part(made, *parts))


def floor(given: list[Window]) -> dict[str, float]:
    """Return the measures of windows against another window of the same quartet."""
    rows = []
    for one, other in pairwise(given):
        if one.name.rpartition(":")[0] == other.name.rpartition(":")[0]:
            parts = (1, 2, 3), (0, BARS)
            rows.append(compare(_part(one.score, *parts), _part(other.score, *parts)))
    return _mean(rows) if rows else {}


def run(options: Options) -> dict[str, Any]:
    """Measure both tasks at each number of steps."""
    given = list(windows())
    if options.quick:
        given = given[:2]
    say(f"{len(given)} windows")
    out: dict[str, Any] = {"windows": len(given), "real": floor(given)}
    say(f"real: {out['real']}")
    instrument = api.load(options.more.get("model") or MODEL)
    for steps in STEPS[:2] if options.quick else STEPS:
        rows = [accompanied(instrument, one, seed, steps) for seed, one in enumerate(given)]
        inner = [infilled(instrument, one, seed, steps) for seed, one in enumerate(given)]
        out[str(steps)] = _mean(rows) | _mean(inner, "infill_")
        another = out["real"].get("chord_accuracy", 0.0)
        out[str(steps)]["chord_accuracy_of_another_window"] = another
        say(f"{steps} steps: {out[str(steps)]}")
    return out


if __name__ == "__main__":
    start(__doc__, run, TARGETS, {"model": "the model that plays: a name or a folder"})

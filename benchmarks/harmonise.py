"""Held-out sopranos for four voices: how near to Bach, and how clean?

Each contestant of ``benchmarks.harmonisers`` is given the soprano of every test chorale of the
published JSB split and nothing else; the copyist and the n-gram know its training part alone.
Everything is measured in the form of that data, sixteenths in which a held note is its pitch
again. Of each contestant:

- ``chord_agreement``: the share of Bach's beats (quarters) on which the chord recognised
  (``music.chord_finding``) has the same root and the same class as Bach's: major (7, maj7, aug
  with it), minor (m7), diminished (m7b5), sus4. ``chord_root`` is the share with the same root.
- ``pitch_accuracy``: the share of Bach's sounding sixteenths on which a voice has Bach's pitch,
  the mean over alto, tenor and bass, which stand beside it.
- ``faults_per_100_beats``: parallel fifths and octaves, crossings, notes outside the choral ranges
  (``evaluate.voice_leading``), together; its parts stand beside it.
- ``faults_after_search``: the same after one search that serves all alike
  (``benchmarks.fault_search``), so that a model that searches by itself (GETMusic's rounds of care)
  is not held against rivals that did not. ``getmusic_careless`` is GETMusic without its own search.
- ``judge``: the accuracy in % of ``evaluate.judge`` telling the contestant's pieces from the valid
  chorales, the mean over the same three seeds for all; 50 is perfect. The valid chorales, since no
  soprano may stand on both sides; ``bach``, the test chorales themselves, is what can be reached.

``--model`` names the model that accompanies; where there is none, it is left out. ``behind`` names
the figures in which it does not beat the copyist or the n-gram: faults without a search by the
careless model against theirs, and faults after a search against theirs after it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.fault_search import searched
from benchmarks.harmonisers import (
    Accompanist,
    Copyist,
    ForcedTransformer,
    Grid,
    Harmoniser,
    NGram,
    chorale_grids,
)
from benchmarks.harness import Options, say, start
from partimento import seeds
from partimento.analysis.chords import recognise_beats
from partimento.analysis.voice_leading import CHORAL_RANGES, faults, total_faults
from partimento.errors import ModelError
from partimento.metrics.judge import judge
from partimento.music import Chord, Score
from partimento.representations import FourVoiceGrid

GRID = FourVoiceGrid()
JUDGES = 3
QUICK = 6
CLASSES = {"": "major", "7": "major", "maj7": "major", "aug": "major", "m": "minor", "m7": "minor"}
CLASSES |= {"dim": "diminished", "m7b5": "diminished", "sus4": "sus4"}
LOWER = ("alto", "tenor", "bass")
FAULTS = "faults_per_100_beats"
SEARCHED = "faults_after_search"
# 1: more is better.
BETTER = {"chord_agreement": 1, "pitch_accuracy": 1, FAULTS: -1, SEARCHED: -1, "judge": -1}
MOST_FAULTS = 1.5  # times Bach's own
TARGETS: dict[str, Callable[[Any], bool]] = {
    "behind": lambda names: not names,
    "faults_ratio": lambda ratio: ratio <= MOST_FAULTS,
}


def chords(score: Score, beats: int) -> list[tuple[int, str] | None]:
    """Return (root, class) of each of the first beats."""
    found: list[Chord | None] = [*recognise_beats(score), *[None] * beats][:beats]
    return [None if c is None else (c.root, CLASSES[c.quality]) for c in found]


def agreement(made: list[Grid], bach: list[Grid]) -> dict[str, float]:
    """Return how often chords and pitches are Bach's."""
    same, roots, beats = 0, 0, 0
    right, sounding = np.zeros(4), np.zeros(4)
    for mine, his in zip(made, bach, strict=True):
        count = -(-len(his) // 4)
        pairs = zip(chords(GRID.score(mine), count), chords(GRID.score(his), count), strict=True)
        for a, b in pairs:
            if b is not None:
                beats += 1
                same += a == b
                roots += a is not None and a[0] == b[0]
        sounds = his >= 0
        right += (sounds & (mine == his)).sum(axis=0)
        sounding += sounds.sum(axis=0)
    shares = (right / sounding)[1:]
    return {
        "chord_agreement": round(same / beats, 4),
        "chord_root": round(roots / beats, 4),
        "pitch_accuracy": round(float(shares.mean()), 4),
        **{f"pitch_accuracy_{v}": round(float(s), 4) for v, s in zip(LOWER, shares, strict=True)},
    }


def judged(made: list[Grid], valid: list[Grid]) -> dict[str, float]:
    """Return in % how well a judge tells the pieces from the valid chorales."""
    mine = {f"made-{i}": GRID.score(grid) for i, grid in enumerate(made)}
    real = {f"real-{i}": GRID.score(grid) for i, grid in enumerate(valid)}
    reports = [judge(mine, real, seeds.generator(seed)) for seed in range(JUDGES)]
    return {
        "judge": round(100 * float(np.mean([r.accuracy for r in reports])), 2),
        "judge_error": round(100 * float(np.mean([r.standard_error for r in reports])), 2),
    }


def figures(made: list[Grid], bach: list[Grid], valid: list[Grid]) -> dict[str, float]:
    """Return all figures of one contestant."""
    found = total_faults(faults(GRID.score(grid), CHORAL_RANGES) for grid in made)
    improved = total_faults(faults(GRID.score(searched(grid)), CHORAL_RANGES) for grid in made)
    rates = {kind: round(rate, 3) for kind, rate in found.per_100_beats.items()}
    return {
        **agreement(made, bach),
        FAULTS: rates.pop("total"),
        SEARCHED: round(improved.per_100_beats["total"], 3),
        **rates,
        **judged(made, valid),
    }


def contestants(
    train: list[Grid], model: str, threads: int | None
) -> dict[str, Callable[[], Harmoniser]]:
    """Return who takes part, made when it is their turn."""
    return {
        "getmusic": lambda: Accompanist(model, threads),
        "getmusic_careless": lambda: Accompanist(model, threads, care=0),
        "music_transformer": lambda: ForcedTransformer(threads=threads),
        "copyist": lambda: Copyist(train),
        "ngram": lambda: NGram(train),
    }


def run(options: Options) -> dict[str, Any]:
    """Measure every contestant."""
    train, valid, bach = (chorale_grids(split) for split in ("train", "valid", "test"))
    if options.quick:
        valid, bach = valid[:QUICK], bach[:QUICK]
    model = options.more.get("model") or "getmusic-four-voices"
    only, threads = options.more.get("only"), options.more.get("threads")
    out: dict[str, Any] = {}
    for name, make in contestants(train, model, int(threads) if threads else None).items():
        if only is not None and name not in only.split(","):
            continue
        try:
            player = make()
        except ModelError as error:
            say(f"{name} is left out: {error}")
            continue
        made = []
        for seed, grid in enumerate(bach):
            made.append(player.harmonise(grid[:, 0], seed))
            if seed % 10 == 9:
                say(f"{name}: {seed + 1} of {len(bach)}")
        out[name] = figures(made, bach, valid)
        say(f"{name}: {out[name]}")
    out["bach"] = figures(bach, bach, valid)
    say(f"bach: {out['bach']}")
    out["pieces"] = len(bach)
    if "getmusic" in out:
        careless = out.get("getmusic_careless", out["getmusic"])
        mine = {**out["getmusic"], FAULTS: careless[FAULTS]}
        ratio = out["getmusic"][FAULTS] / max(out["bach"][FAULTS], 1e-9)
        out["faults_ratio"] = round(ratio, 3)
        out["behind"] = [
            f"{name}: {figure}"
            for name in ("copyist", "ngram")
            for figure, sign in BETTER.items()
            if name in out and sign * mine[figure] <= sign * out[name][figure]
        ]
    return out


if __name__ == "__main__":
    start(
        __doc__,
        run,
        TARGETS,
        {
            "model": "the model that accompanies: a name or a folder",
            "only": "some contestants alone, with commas between",
            "threads": "how many threads the models take (all cores)",
        },
    )

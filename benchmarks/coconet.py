"""Coconet: how surprised it is by held-out chorales, and what Gibbs steps buy.

    python -m benchmarks.coconet [--model DIR] [--pieces N]

Chorales of the published test part (sixteenths, four voices), the first 128 columns of each.
Likelihoods are mean surprises in nats a cell (one voice in one sixteenth) that sounds:

- ``nll_chronological``: columns in order, the voices of a column in random order; every cell given
  all before it, those after it hidden. ``nll_published`` is the figure that is quoted for the
  published network (64 layers of 128 filters) on the same sixteenths.
- ``nll_orderless``: cells in any order, by hidden sets of random sizes.
- ``nll_repeat``: a rival that says that each voice sounds what it did before, or else any pitch as
  often as in the training part; chronological, its one probability chosen on the training part.

``gibbs`` holds, for several numbers of steps, sixteen bars made so: faults of voice leading in 100
beats (`analysis/voice_leading.py`), the share of columns in which a voice moves, and seconds a
piece. ``bach`` holds the same of the test chorales. Nothing is searched or chosen.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.harmonisers import chorale_grids
from benchmarks.harness import Options, say, start
from partimento import api, seeds
from partimento.analysis.voice_leading import CHORAL_RANGES, Faults, faults, total_faults
from partimento.catalog import open_model
from partimento.music import Score
from partimento.representations import FourVoiceGrid
from partimento.runtime.grids.gibbs_performer import GibbsPerformer
from partimento.runtime.grids.rolls import HIDDEN, SILENT

MODEL = "coconet-chorales"
PUBLISHED = 0.436
COLUMNS, BATCH = 128, 32
HIDDEN_SETS = 16  # of each piece
STEPS = (8, 64)
MADE = 12
PIECES = 12
GRID = FourVoiceGrid()
TARGETS: dict[str, Callable[[Any], bool]] = {
    "nll_chronological": lambda nats: nats <= 0.75,
    "nll_ahead": lambda nats: nats > 0,
}

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float32]


def surprises(player: GibbsPerformer, shown: _Ints, wanted: _Ints) -> npt.NDArray[np.float64]:
    """Return (n, V, T): the surprise of each cell of ``wanted`` given ``shown``, both (n, V, T)."""
    low = player.network.facts.lowest
    out = np.empty(wanted.shape)
    for at in range(0, len(shown), BATCH):
        rows = slice(at, at + BATCH)
        (logits,) = player.network.session.run(["logits"], {"pitches": shown[rows]})
        logits = logits.astype(np.float64)
        logits -= logits.max(axis=-1, keepdims=True)
        index = np.clip(wanted[rows] - low, 0, logits.shape[-1] - 1)[..., None]
        chosen = np.take_along_axis(logits, index, axis=-1)[..., 0]
        out[rows] = np.log(np.exp(logits).sum(axis=-1)) - chosen
    return out


def chronological(player: GibbsPerformer, piece: _Ints, rng: np.random.Generator) -> _Floats:
    """Return the surprise of every sounding cell of a piece (V, T), in order of time."""
    voices, columns = piece.shape
    shown, at = [], []
    known = np.full_like(piece, HIDDEN)
    for column in range(columns):
        for voice in rng.permutation(voices):
            if piece[voice, column] >= 0:
                shown.append(known.copy())
                at.append((voice, column))
            known[voice, column] = piece[voice, column]
    places = np.array(at)
    found = np.empty(len(at), dtype=np.float32)
    for first in range(0, len(at), BATCH):
        rows = slice(first, first + BATCH)
        batch = np.stack(shown[rows])
        all_cells = surprises(player, batch, np.repeat(piece[None], len(batch), axis=0))
        voice, column = places[rows].T
        found[rows] = all_cells[np.arange(len(batch)), voice, column]
    return found


def orderless(player: GibbsPerformer, piece: _Ints, rng: np.random.Generator) -> float:
    """Return the mean surprise over hidden sets of random sizes."""
    cells = np.flatnonzero(piece >= 0)
    means = []
    for _ in range(HIDDEN_SETS):
        hidden = rng.permutation(cells)[: int(rng.integers(1, len(cells) + 1))]
        shown = piece.copy()
        shown.flat[hidden] = HIDDEN
        means.append(surprises(player, shown[None], piece[None])[0].flat[hidden].mean())
    return float(np.mean(means))


def repeating(train: list[_Ints], test: list[_Ints]) -> float:
    """Return the mean surprise of a rival that expects each voice to stay where it is."""
    counts = np.ones((4, 128))
    stays = moves = 0
    for piece in train:
        for voice in range(4):
            row = piece[voice][piece[voice] >= 0]
            counts[voice] += np.bincount(row, minlength=128)
            stays += int((row[1:] == row[:-1]).sum())
            moves += int((row[1:] != row[:-1]).sum())
    odds, stay = counts / counts.sum(axis=1, keepdims=True), stays / (stays + moves)
    total, cells = 0.0, 0
    for piece in test:
        for voice in range(4):
            row = piece[voice][piece[voice] >= 0]
            chance = (1 - stay) * odds[voice, row]
            chance[1:] += stay * (row[1:] == row[:-1])
            total -= float(np.log(chance).sum())
            cells += len(row)
    return total / cells


def voice_leading(scores: list[Score]) -> dict[str, float]:
    """Return faults in 100 beats, and the share of columns in which a voice starts a note."""
    found: Faults = total_faults(faults(score, CHORAL_RANGES) for score in scores)
    starts = sum(len(track.notes) for score in scores for track in score.tracks)
    columns = sum(score.length_ticks / score.ticks_per_quarter * 4 for score in scores)
    return {
        "faults": round(found.per_100_beats["total"], 2),
        "starts": round(starts / columns / 4, 3),
    }


def crops(split: str) -> list[_Ints]:
    """Return the first columns (V, T) of every chorale of a split."""
    made = []
    for grid in chorale_grids(split):
        piece = grid[:COLUMNS].T.astype(np.int64)
        made.append(np.where(piece < 0, SILENT, piece))
    return made


def run(options: Options) -> dict[str, Any]:
    """Measure likelihoods, then music."""
    folder = open_model(options.more.get("model") or MODEL)
    player = GibbsPerformer.load(folder)
    count = int(options.more.get("pieces") or PIECES)
    test = crops("test")[: 1 if options.quick else count]
    if options.quick:
        test = [piece[:, :8] for piece in test]
    rng = seeds.generator(0)
    nats = [chronological(player, piece, rng) for piece in test]
    figures: dict[str, Any] = {
        "nll_chronological": round(float(np.concatenate(nats).mean()), 4),
        "nll_published": PUBLISHED,
        "nll_orderless": round(float(np.mean([orderless(player, p, rng) for p in test])), 4),
        "nll_repeat": round(repeating(crops("train"), test), 4),
        "pieces": len(test),
        "gibbs": {},
    }
    figures["nll_ahead"] = round(figures["nll_repeat"] - figures["nll_chronological"], 4)
    say(f"likelihood: {figures}")
    instrument = api.load(str(folder.path))
    for steps in (4,) if options.quick else STEPS:
        began, scores = time.perf_counter(), []
        for seed in range(1 if options.quick else MADE):
            bars = 2 if options.quick else 16
            made = instrument.generate(bars=bars, seed=seed, steps=steps, humanize=0)
            scores.append(made.score)
        seconds = (time.perf_counter() - began) / len(scores)
        figures["gibbs"][steps] = voice_leading(scores) | {"seconds": round(seconds, 2)}
        say(f"{steps} steps: {figures['gibbs'][steps]}")
    bach = [GRID.score(grid) for grid in chorale_grids("test")[: 1 if options.quick else MADE]]
    figures["bach"] = voice_leading(bach)
    return figures


if __name__ == "__main__":
    start(
        __doc__,
        run,
        TARGETS,
        {"model": "a model folder", "pieces": "how many test chorales"},
    )

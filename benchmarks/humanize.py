"""Do humanized scores play like people? Held-out drumming against three ways to bring it back.

The test performances of Groove MIDI are dealt into two halves. Of the first half the hand is taken
away: every onset on its sixteenth, every note equally loud. Then it is given back by nothing
(flat), by Gaussian noise whose means and deviations are those of the training performances, limb
by limb (jitter), and by the model (tts_gan); ``real`` is the first half as it was played. All are
held against the second half: Jensen-Shannon distances (0 alike, 1 apart) between the velocities,
the offsets from the sixteenth, and their autocorrelations over lags of 1 to 16 sixteenths; and the
accuracy of a judge, trained apart, at telling four-bar windows (0.5 is best). With ``--out FOLDER``
the windows are drawn, by their principal components and by t-SNE, beside the same performances as
they were played.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.curve_judge import Windows, judge_windows
from benchmarks.curve_pictures import draw
from benchmarks.harness import Options, say, start
from partimento import api, seeds
from partimento.files import open_corpus
from partimento.metrics.curve_distances import compare_curves
from partimento.music import Score
from partimento.music.performance import perform
from partimento.representations.performance_curves import PerformanceCurves, cells_of

MODEL = "tts-gan-groove"
STEPS = 64
LEAST_ONSETS = 16  # of a window: less says little of a hand
CURVES = PerformanceCurves(STEPS)


def performances(split: str, most: int | None) -> list[Score]:
    """Return performances of a split, the longest first so that halves are alike."""
    found = [
        piece for _, piece in open_corpus("groove_midi").pieces(split) if isinstance(piece, Score)
    ]
    found.sort(key=lambda score: -score.end_ticks)
    return found if most is None else found[:: max(1, len(found) // most)][:most]


def halves(pieces: Sequence[Score], rng: np.random.Generator) -> tuple[list[Score], list[Score]]:
    """Return two halves: of each two performances of about one length, one to either."""
    first: list[Score] = []
    second: list[Score] = []
    for at in range(0, len(pieces) - 1, 2):
        swap = int(rng.integers(2))
        first.append(pieces[at + swap])
        second.append(pieces[at + 1 - swap])
    return first, second


def flat(score: Score, level: float) -> Score:
    """Return a performance as a score: onsets on their sixteenths, all at one velocity.

    What falls on the same sixteenth and drum is one note.
    """
    step = score.ticks_per_quarter // 4
    velocity = round(127 * level)
    tracks = []
    for track in score.tracks:
        notes = {}
        for note in track.notes:
            onset = (note.onset_ticks + step // 2) // step * step
            notes.setdefault(
                (onset, note.pitch), replace(note, onset_ticks=onset, velocity=velocity)
            )
        tracks.append(replace(track, notes=tuple(notes.values())))
    return replace(score, tracks=tuple(tracks))


def windows(scores: Sequence[Score]) -> Windows:
    """Return the windows of four bars that have enough onsets."""
    parts: list[list[Any]] = [[], [], [], []]
    for piece, score in enumerate(scores):
        curves = CURVES.encode(score)
        for at in range(0, len(curves.onset), STEPS):
            rows = slice(at, at + STEPS)
            if curves.onset[rows].sum() < LEAST_ONSETS:
                continue
            fill = ((0, STEPS - len(curves.onset[rows])), (0, 0))
            cut = (curves.velocity[rows], curves.offset[rows], curves.onset[rows])
            for part, values in zip(parts, cut, strict=False):
                part.append(np.pad(values, fill))
            parts[3].append(piece)
    return Windows(*(np.array(part) for part in parts))


Fit = npt.NDArray[np.float64]  # (limb, velocity or offset, mean or deviation)


def fit(scores: Sequence[Score]) -> Fit:
    """Return means and deviations of the onsets of performances, limb by limb."""
    found = [CURVES.encode(score) for score in scores]
    out = np.zeros((3, 2, 2))
    for limb in range(3):
        for place, name in enumerate(("velocity", "offset")):
            values = [getattr(c, name)[c.onset[:, limb], limb] for c in found]
            whole = np.concatenate(values)
            out[limb, place] = whole.mean(), whole.std()
    return out


def jittered(score: Score, fitted: Fit, rng: np.random.Generator) -> Score:
    """Return a flat score with Gaussian velocities and offsets, one draw a cell and limb."""
    cells = cells_of(score)
    shape = (int(cells.step.max()) + 1, 3)
    drawn = [fitted[:, i, 0] + fitted[:, i, 1] * rng.standard_normal(shape) for i in range(2)]
    where = (cells.step, cells.limb)
    velocities = np.clip(np.rint(127 * drawn[0][where]), 1, 127).astype(np.int64)
    step = score.ticks_per_quarter / 4
    late = np.clip(drawn[1][where], -0.49, 0.49)
    return perform(score, velocities, np.rint(step * late).astype(np.int64))


def run(options: Options) -> dict[str, Any]:
    """Measure all contestants."""
    held = performances("test", 16 if options.quick else None)
    first, second = halves(held, seeds.generator(0))
    fitted = fit(performances("train", 40 if options.quick else None))
    model = options.more.get("model") or MODEL
    level = float(api.load(model).folder.config["network"]["level"])
    scores = [flat(score, level) for score in first]
    say(f"{len(first)} performances of {len(held)} made anew, against the other {len(second)}")
    rng = seeds.generator(1)
    makers: dict[str, Callable[[], list[Score]]] = {
        "tts_gan": lambda: [
            api.humanize(score, seed=seed, model=model, threads=1).score
            for seed, score in enumerate(scores)
        ],
        "flat": lambda: scores,
        "jitter": lambda: [jittered(score, fitted, rng) for score in scores],
        "real": lambda: first,
    }
    real = windows(second)
    made = {name: windows(make()) for name, make in makers.items()}
    figures = {name: _figures(found, real) for name, found in made.items()}
    for name, values in figures.items():
        say(f"{name}: {values}")
    folder = options.more.get("out")
    if folder:
        shown = {name: _points(made[name]) for name in ("tts_gan", "jitter", "flat")}
        paths = draw({"real": _points(made["real"]), **shown}, Path(folder))
        say(f"drawn: {', '.join(map(str, paths))}")
    ours = figures.pop("tts_gan")
    counts = {"pieces": len(first), "windows": len(made["tts_gan"].piece)}
    beats = all(ours[key] < figures["jitter"][key] for key in ours if key.startswith("js_"))
    return {**ours, **figures, **counts, "beats_jitter": beats}


def _figures(made: Windows, real: Windows) -> dict[str, float]:
    apart = compare_curves(made.curves(), real.curves())  # type: ignore[arg-type]
    accuracy, error = judge_windows(made, real, seeds.generator(2))
    return {
        "js_velocity": round(apart.velocity, 4),
        "js_offset": round(apart.offset, 4),
        "js_velocity_autocorrelation": round(apart.velocity_autocorrelation, 4),
        "js_offset_autocorrelation": round(apart.offset_autocorrelation, 4),
        "judge": round(accuracy, 3),
        "judge_error": round(error, 3),
    }


def _points(found: Windows) -> npt.NDArray[np.float64]:
    """Return (windows, values): both curves, 0 where nothing is struck."""
    parts = [x * found.onset for x in (found.velocity, 2 * found.offset)]
    return np.concatenate([p.reshape(len(p), -1) for p in parts], axis=1).astype(np.float64)


if __name__ == "__main__":
    start(
        __doc__,
        run,
        {"beats_jitter": bool},
        more={"model": f"a model that humanizes ({MODEL})", "out": "a folder for pictures"},
    )

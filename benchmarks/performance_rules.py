"""What the performance rules do to generated pieces, and whether promises survive them.

Each model that generates notes makes pieces of random wishes (as ``benchmarks.promises``) as they
are written; every one is then played at amounts 0.5 and 1 and held against its promises, its
ending among them; ``broken`` are those that were kept as written. Printed are the standard
deviation of velocity, how late inner voices and basses are behind the note that leads their chord
(milliseconds, at amount 1), and the tempo at the end.

Published, for a melody over an accompaniment on the piano: a lead of about 30 ms (Goebl 2001), of
20-30 ms (Bjurling, KTH). Notes that lead their chord while another holds the melody, and caps at a
quarter of a short note, bring the mean down.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import Options, say, start
from benchmarks.promises import draw
from partimento import api, seeds
from partimento.analysis.phrases import structure_of
from partimento.errors import CannotBeMet, NotSupported
from partimento.metrics.adherence import adherence
from partimento.music import Score, Timeline
from partimento.music.performance_rules import end_tempo, perform_score
from partimento.recipe import promises_from_record
from partimento.runtime.contract import Task

_LEAD_MS = (15.0, 35.0)


def lags_ms(written: Score, played: Score) -> list[float]:
    """Return how late each note is that is late, in milliseconds at the written tempo."""
    timeline = Timeline(written)
    late: list[float] = []
    for track, moved in zip(written.tracks, played.tracks, strict=True):
        before = timeline.seconds([note.onset_ticks for note in track.notes])
        after = timeline.seconds([note.onset_ticks for note in moved.notes])
        if len(before):
            late += [float(x) for x in np.sort(after) - np.sort(before) if x > 0]
    return [1000.0 * x for x in late]


def run(options: Options) -> dict[str, Any]:
    """Ask every shipped model in turn."""
    wanted = 6 if options.quick else 100
    loaded = [api.load(model.name) for model in api.models()]
    players = [m for m in loaded if Task.GENERATE in m.card.tasks and m.makes == "score"]
    tried = broken = not_kept_as_written = refused = seed = 0
    deviations: dict[float, list[float]] = {0.5: [], 1.0: []}
    late: list[float] = []
    while tried < wanted:
        seed += 1
        wishes = draw(seeds.generator(seed)) | {"humanize": 0.0}
        try:
            made = players[seed % len(players)].generate(seed=seed, **wishes)
        except (CannotBeMet, NotSupported):
            refused += 1
            continue
        tried += 1
        promises = promises_from_record(made.recipe.promises)
        is_kept = adherence(made.score, promises).kept
        not_kept_as_written += not is_kept
        for amount, found in deviations.items():
            rng = seeds.generator(seed, 1)
            played = perform_score(made.score, structure_of(made.score), amount, rng).played
            verdict = adherence(played, promises)
            is_broken = is_kept and not verdict.kept
            broken += is_broken
            if is_broken:
                say(f"seed {seed}, amount {amount}, {wishes}: {verdict.violations}")
            pitched = [n.velocity for t in played.tracks if not t.is_drum for n in t.notes]
            found.append(float(np.std(pitched)) if pitched else 0.0)
        late += lags_ms(made.score, played)
    return {
        "tried": tried,
        "refused": refused,
        "broken": broken,
        "not_kept_as_written": not_kept_as_written,
        "velocity_std_half": round(float(np.mean(deviations[0.5])), 2),
        "velocity_std_full": round(float(np.mean(deviations[1.0])), 2),
        "late_ms_mean": round(float(np.mean(late)), 1) if late else 0.0,
        "late_ms_p90": round(float(np.percentile(late, 90)), 1) if late else 0.0,
        "end_tempo_half": round(end_tempo(0.5), 3),
        "end_tempo_full": round(end_tempo(1.0), 3),
    }


if __name__ == "__main__":
    start(
        __doc__,
        run,
        {
            "broken": lambda value: value == 0,
            "late_ms_mean": lambda value: _LEAD_MS[0] <= value <= _LEAD_MS[1],
        },
    )

"""Does a discriminator teach a Transformer anything? The GAN against its own starting point.

Chorales, four voices. The start (maximum likelihood) is sampled at each of a sweep of settings and
judged against validation pieces; the setting that comes nearest to them stands for it, since a well
tuned temperature is what adversarial training has to beat. The GAN is sampled at its own defaults.
Then both make as many pieces as there are held-out test pieces, of the same bars and metres, half
of them Bach's and half from JS Fake Chorales, which is what both models learnt from. The judge
(partimento.metrics.judge) is trained for this comparison alone, on made and held-out pieces; it
knows nothing of the discriminator, and no weight was chosen by it. 50 % is perfect. Beside it:
overlapped area of features (1 is perfect), similarity error SE over bar lags (0), the share of runs
of notes that stand in the training music, and the judge on real pieces alone, validation against
test.

judge_* and copy_share_* are percent; *_error is the judge's standard error.

No GAN ships, since none won; the best of them is among the benchmarks' models. ``--gan`` names
another.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np

from benchmarks.harness import Options, say, start
from benchmarks.quality import excerpt, wishes_of
from benchmarks.rivals import rival
from partimento import api, seeds
from partimento.files import open_corpus
from partimento.metrics.copying import CopyIndex
from partimento.metrics.judge import judge
from partimento.metrics.report import compare
from partimento.music import Promises, Score
from partimento.music.transform import join
from partimento.representations import FourVoiceGrid, realiser_for
from partimento.runtime.contract import Request
from partimento.runtime.model_folder import ModelFolder
from partimento.runtime.tokens.performer import TokenPerformer
from partimento.samplers.autoregressive import Decoder, sample_batch
from partimento.samplers.picks import Pick

START, GAN = "music-transformer-chorales", "gan-chorales"  # a model; a rival: it did not win
CORPORA = ("jsb_chorales", "js_fakes")
TEMPERATURES = (0.8, 0.85, 0.9, 0.95, 1.0)
TEMPO = 84.0
VALID, TEST = 38, 77  # pieces of each corpus
ROWS = 16  # pieces made at once
JUDGES = 3  # how often the judge is trained, each time with other folds; the mean is told

Pieces = Mapping[str, Score]


def held(split: str, count: int) -> dict[str, Score]:
    """Return ``count`` pieces of each corpus, their last bars on the grid, at one tempo."""
    grid, found = FourVoiceGrid(), {}
    for name in CORPORA:
        whole = (p for _, p in open_corpus(name).pieces(split) if isinstance(p, Score) and p.notes)
        for at, piece in enumerate(islice(whole, count)):
            found[f"{name}-{at}"] = excerpt(piece, grid, TEMPO)
    return found


def made_like(folder: ModelFolder, pieces: Pieces, pick: Pick) -> dict[str, Score]:
    """Return a made piece for each real one, of the same bars and metre, many in lockstep."""
    player = TokenPerformer.load(folder)
    groups: dict[tuple[int, str], list[str]] = {}
    for name, piece in pieces.items():
        bars, metre = wishes_of(piece)
        groups.setdefault((bars, str(metre)), []).append(name)
    made, number = {}, {name: at for at, name in enumerate(pieces)}
    for names in groups.values():
        bars, metre = wishes_of(pieces[names[0]])
        promises = Promises(bars=bars, time_signature=metre)
        request = Request(promises=promises, tempo_quarters_per_minute=TEMPO)
        for first in range(0, len(names), ROWS):
            part = names[first : first + ROWS]
            answers = [realiser_for(player.representation, request, player.config) for _ in part]
            decoder: Decoder[Any] = player.decoder.following(answers[0].representation)
            tokens = sample_batch(
                decoder,
                pick,
                [answer.constraint for answer in answers],
                [seeds.generator(number[name]) for name in part],
            )
            for name, answer, row in zip(part, answers, tokens, strict=True):
                piece = join(list(answer.pieces(iter(row))))
                made[f"made-{name}"] = excerpt(piece, FourVoiceGrid(), TEMPO)
    return made


def judged(made: Pieces, real: Pieces) -> tuple[float, float]:
    """Return the judge's accuracy and its standard error, percent."""
    found = [judge(made, real, seeds.generator(seed)) for seed in range(JUDGES)]
    accuracy = float(np.mean([each.accuracy for each in found]))
    return round(100 * accuracy, 1), round(100 * found[0].standard_error, 1)


def settings_of(folder: ModelFolder) -> Pick:
    """Return the settings that a model is sampled at when nothing is asked."""
    defaults = folder.config["defaults"]
    names = ("temperature", "top_k", "top_p", "min_p")
    return Pick(**{name: defaults[name] for name in names if name in defaults})


def run(options: Options) -> dict[str, Any]:
    """Sweep the start on validation pieces, then judge both on test pieces."""
    folders = {
        "mle": api.load(options.more.get("start") or START).folder,
        "gan": api.load(options.more.get("gan") or rival(GAN)).folder,
    }
    index = CopyIndex.load(folders["mle"].path / str(folders["mle"].config["copy_index"]))
    valid, test = (
        held("valid", 3 if options.quick else VALID),
        held("test", 3 if options.quick else TEST),
    )
    sweep = [Pick(temperature) for temperature in TEMPERATURES[: 1 if options.quick else None]]
    sweep.append(settings_of(folders["mle"]))
    figures: dict[str, Any] = {"pieces": len(test), "sweep": {}}
    best, nearest = sweep[-1], float("inf")
    for pick in sweep:
        accuracy, _ = judged(made_like(folders["mle"], valid, pick), valid)
        name = f"temperature {pick.temperature} top_p {pick.top_p}"
        figures["sweep"][name] = accuracy
        say(f"the start at {name}: judge {accuracy} % on validation pieces")
        if accuracy < nearest:
            best, nearest = pick, accuracy
    picks = {"mle": best, "gan": settings_of(folders["gan"])}
    figures["temperature_mle"], figures["top_p_mle"] = best.temperature, best.top_p
    for name, folder in folders.items():
        figures |= contest(name, made_like(folder, test, picks[name]), test, index)
        say(f"{name}: {figures}")
    figures["judge_real"] = judged(held("valid", VALID), test)[0]
    figures["gain"] = round(figures["judge_mle"] - figures["judge_gan"], 1)
    return figures


def contest(name: str, made: Pieces, real: Pieces, index: CopyIndex) -> dict[str, Any]:
    """Return the figures of one contestant."""
    report = compare(made, real, seeds.generator(0), copy_index=index)
    assert report.copy_generated is not None
    assert report.copy_reference is not None
    accuracy, error = judged(made, real)
    return {
        f"judge_{name}": accuracy,
        f"judge_error_{name}": error,
        f"overlap_{name}": round(report.overlap or 0.0, 3),
        f"se_{name}": round(report.similarity_error or 0.0, 4),
        f"copy_share_{name}": round(100 * report.copy_generated.share, 1),
        f"copy_longest_{name}": report.copy_generated.longest_max,
        "copy_share_real": round(100 * report.copy_reference.share, 1),
    }


if __name__ == "__main__":
    start(
        __doc__,
        run,
        {"gain": lambda points: points >= 5.0},
        {"gan": "the GAN: a folder or a name", "start": "another start"},
    )

"""Does Jukebox sound like the music it learnt? Generated sound against held-out sound.

    python -m benchmarks.jukebox_quality [--model NAME] [--corpus SPEC] [--clips 12]

Held-out recordings (valid and test, mono) are cut into clips of 20 s; every other one is the
reference, the others are ``real``. Contestants, of as many clips, each an object with ``frechet``
(distance of embeddings of windows of 4 s to those of the reference), ``frechet_error`` (its
deviation over clips drawn anew) and ``variety`` (spread over that of the reference):

- real: real against real, what cannot be bettered but by chance;
- bound_LEVEL: the same clips through the codec of a level: what each codec costs. The codec is
  given the very clips of ``real``: nothing through that codec is to be expected below it;
- generated: the model at its defaults, a seed a clip;
- primed: twenty seconds after the first twenty of a held-out recording;
- upsampled: the coarsest codes of real clips, the finer levels sampled;
- shuffled: codes of real clips in drawn order, decoded;
- untrained: priors with weights as drawn over the model's own codecs.

``bound_holds`` is false where generated sound lies below its bound by more than two errors: then
the yardstick is at fault. ``nll`` has, of each level, nats a code of held-out codes by the prior,
by a bigram of the training codes, by an even choice. ``style``: of a minute of sound after a prompt
by each artist, the share of windows, quarter by quarter, whose nearest artist (mean embedding) is
the prompt's, and the share that chance would give.

The ear is trained in this run to tell the training recordings apart, as
``benchmarks.recorded_clips`` says, so figures of one run compare with each other alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.audio_clips import F32
from benchmarks.audio_embedder import Ear, embed
from benchmarks.harness import Options, say, start
from benchmarks.jukebox_codes import Bench, bench_of, nll_of
from benchmarks.recorded_clips import CORPUS, QUICK_CORPUS, ear_of, mono, named_clips
from partimento import seeds
from partimento.metrics.audio_distances import frechet_distance
from partimento.music import Audio
from partimento.representations.sound_labels import labels_of_name
from partimento.runtime.codes import Codes
from partimento.runtime.contract import AUDIO_RATE_HZ, Request, Task

SECONDS, CLIPS, DRAWS = 20.0, 12, 20
TARGETS = {"bound_holds": bool}
Floats = npt.NDArray[np.float64]
Hearing = tuple[Ear, F32, F32]


class Judge:
    """The reference, and what is said of contestants."""

    def __init__(self, ear: Hearing, reference: Sequence[F32]) -> None:
        self.ear = ear
        self.reference = np.concatenate([embed([each], ear) for each in reference])

    def judged(self, name: str, sounds: Sequence[F32]) -> dict[str, float]:
        """Return the figures of a contestant."""
        each = [found for sound in sounds if len(found := embed([sound], self.ear))]
        if not each:
            return {"frechet": 1e9, "frechet_error": 0.0, "variety": 0.0}
        whole = np.concatenate(each)
        draw = seeds.generator(4)
        again = [
            frechet_distance(
                np.concatenate([each[at] for at in draw.integers(len(each), size=len(each))]),
                self.reference,
            )
            for _ in range(DRAWS)
        ]
        spread = [np.trace(np.cov(x, rowvar=False)) for x in (whole, self.reference)]
        out = {
            "frechet": round(frechet_distance(whole, self.reference), 3),
            "frechet_error": round(float(np.std(again, ddof=1)), 3),
            "variety": round(float(spread[0] / spread[1]), 3),
        }
        say(f"{name}: {out}")
        return out


def shuffled(codes: Sequence[npt.NDArray[np.int64]], draw: np.random.Generator) -> F32:
    """Return codes of the finest level in drawn order."""
    out: Any = draw.permutation(codes[0])
    return out


def primed(bench: Bench, seconds: float, prompts: Sequence[F32]) -> list[F32]:
    """Return what comes after each prompt."""
    return [
        bench.played(
            Request(
                Task.CONTINUE,
                prompts=(Audio(np.ascontiguousarray(sound), AUDIO_RATE_HZ),),
                duration_seconds=seconds,
            ),
            seed,
        )
        for seed, sound in enumerate(prompts)
    ]


def upsampled(bench: Bench, seconds: float, sounds: Sequence[F32]) -> list[F32]:
    """Return sound whose coarsest codes are those of real sounds."""
    out = []
    top = len(bench.performer.codecs) - 1
    for seed, sound in enumerate(sounds):
        codes = bench.performer.codecs[top].encode(sound.mean(axis=0))
        given = Codes(
            bench.performer.system,
            {"codec": bench.performer._fingerprint, f"level{top}": codes.astype(np.int32)},
        )
        out.append(
            bench.played(Request(Task.CONTINUE, duration_seconds=seconds, codes=given), seed)
        )
    return out


def style(
    bench: Bench, judge: Judge, train: Sequence[tuple[str, F32]], seconds: float
) -> dict[str, Any]:
    """Return how long the style of a prompt's artist is kept."""
    artists = sorted({labels_of_name(name).artist for name, _ in train})
    homes = np.stack(
        [
            np.concatenate(
                [embed([x], judge.ear) for n, x in train if labels_of_name(n).artist == artist]
            ).mean(axis=0)
            for artist in artists
        ]
    )
    shares = []
    for at, artist in enumerate(artists):
        prompt = next(x for n, x in train if labels_of_name(n).artist == artist)
        sound = primed(bench, seconds, [prompt[:, : 10 * AUDIO_RATE_HZ]])[0]
        found = embed([sound], judge.ear)
        near = np.linalg.norm(found[:, None] - homes[None], axis=2).argmin(axis=1) == at
        parts = np.array_split(near, 4)
        shares.append([float(part.mean()) if len(part) else 0.0 for part in parts])
    kept = np.mean(shares, axis=0)
    return {"quarters": [round(float(x), 3) for x in kept], "chance": round(1 / len(artists), 3)}


def run(options: Options) -> dict[str, Any]:
    """Let the contestants play, and judge them."""
    torch.set_num_threads(2)
    quick = options.quick
    spec = options.more.get("corpus") or (QUICK_CORPUS if quick else CORPUS)
    seconds, count = (4.2, 2) if quick else (SECONDS, int(options.more.get("clips") or CLIPS))
    train = named_clips(spec, "train", 3 if quick else 72, 4.5 if quick else 12.0)
    ear = ear_of([(name, mono(sound)) for name, sound in train], steps=3 if quick else 400)
    held = [
        (name, mono(sound))
        for split in ("valid", "test")
        for name, sound in named_clips(spec, split, count, 2 * seconds)
    ]
    whole = round(seconds * AUDIO_RATE_HZ)
    pairs = [sound for _, sound in held]
    reference, real = ([x[:, :whole] for x in pairs[at::2]] for at in range(2))
    judge = Judge(ear, reference)
    bench = bench_of(options.more.get("model"), quick)
    found: dict[str, Any] = {"real": judge.judged("real", real)}
    for level, codec in enumerate(bench.performer.codecs):
        made = [np.tile(codec.decode_all(codec.encode(x.mean(axis=0))), (2, 1)) for x in real]
        found[f"bound_{level}"] = judge.judged(f"bound_{level}", made)
    ask = Request(duration_seconds=seconds)
    contestants = {
        "generated": lambda: [bench.played(ask, 100 + seed) for seed in range(len(real))],
        "primed": lambda: primed(bench, seconds, [x[:, :whole] for x in pairs[1::2]]),
        "upsampled": lambda: upsampled(bench, seconds, real),
        "shuffled": lambda: bench.shuffled(real),
        "untrained": lambda: bench.untrained(seconds, len(real)),
    }
    for name, make in contestants.items():
        found[name] = judge.judged(name, make())
    below = found["bound_0"]["frechet"] - found["generated"]["frechet"]
    errors = found["bound_0"]["frechet_error"] + found["generated"]["frechet_error"]
    return {
        **found,
        "bound_holds": below <= 2 * errors,
        "nll": nll_of(bench, spec, quick),
        "style": style(bench, judge, train, 4.2 if quick else 60.0),
        "model": bench.name,
        "clips": len(real),
    }


if __name__ == "__main__":
    start(
        __doc__,
        run,
        TARGETS,
        {
            "model": "name or folder of the model",
            "corpus": f"what it learnt from ({CORPUS})",
            "clips": f"a split ({CLIPS})",
        },
    )

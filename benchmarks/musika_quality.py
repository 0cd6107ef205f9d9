"""Does it sound like the music it learnt? Generated sound against held-out sound.

    python -m benchmarks.musika_quality [--model NAME] [--corpus jsb_chorales,...] [--clips 40]

Held-out scores (test split), played as the training data were, are drawn into two halves. The first
is the reference. Contestants, of as many clips of 30 s:

- other_half: the second half of the real sound: real against real, what cannot be bettered;
- codec: the second half through the codec: what the codec costs. It is no bound: a generator may
  be nearer to the reference in its mean and spread than this half is;
- generated: the model, a seed a clip, at its defaults;
- shuffled: real latents of each clip in drawn order, decoded: the right sounds, no music;
- noise: latents drawn for themselves from a Gaussian with the mean and covariance of real ones.

``frechet`` is the Frechet distance between embeddings of windows of 4 s (2 s apart) and those of
the reference. The embedder is our own (``benchmarks.audio_embedder``, trained apart, 32 numbers,
whitened); figures of one run compare with each other, not with other papers'; ``frechet_error`` is
their deviation over clips drawn anew. ``variety`` is the spread of embeddings over that of the
reference (1 is alike, 0 is always the same). Of windows, too: ``onsets`` a second, ``loudness`` in
dBFS, ``chroma`` (strength of the strongest pitch class over all, in percent): the mean, and the
distance (Wasserstein's) of its distribution.

``bound`` is one: the reference through the codec against ``other_half`` through the codec, real
music on both sides, in the sound that every generator over this codec makes; ``frechet_coded`` is
the generated sound against that same reference. ``above_bound`` is their difference; below what two
draws differ by (two ``frechet_error``) under nothing, the measure itself is at fault.

``coherence``: of ten minutes of each of three seeds, 1 less the mean distance of minutes of one
seed that lie five or more apart, over that of minutes of different seeds: 1 is one style kept, 0
is styles forgotten. ``drift`` is the former over the distance of neighbouring minutes.

``seam_p`` is the chance that places elsewhere deviate as much, in energy, phases and clicks, as
those at which independently made stretches meet (``evaluate.audio_seams``), ``piece_p`` that of
the borders between pieces of a stream; small is bad. ``cut_p`` shows that seams would be found: the
same music, each stretch decoded by itself and the sounds put end to end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.audio_clips import F32, MODEL, clips, data_of
from benchmarks.audio_embedder import WINDOW, embed, load_ear
from benchmarks.harness import Options, say, start
from partimento import api, seeds
from partimento.analysis.audio import chroma, loudness, onset_times
from partimento.metrics.audio_distances import frechet_distance
from partimento.metrics.audio_seams import seam_p
from partimento.music import Audio
from partimento.runtime.audio.codec import Codec
from partimento.runtime.audio.stream import STRETCH

CORPORA = "jsb_chorales,js_fakes"
SECONDS = 30.0
MINUTES, SEEDS = 10, 3
LEAST_P = 0.01
DRAWS = 20
MOST_ABOVE_BOUND = 6.0
TARGETS: dict[str, Callable[[Any], bool]] = {
    "bound_holds": bool,
    "above_bound": lambda distance: distance <= MOST_ABOVE_BOUND,
    "seam_p": lambda chance: chance >= LEAST_P,
    "piece_p": lambda chance: chance >= LEAST_P,
}
REACH_HOPS = 8  # of 256 samples: what overlaps at a border reaches from -1536 to 512 around it

Floats = npt.NDArray[np.float64]


def windows_of(sounds: Sequence[F32], rate: int) -> dict[str, Floats]:
    """Return of each window of 4 s its onsets a second, its loudness and its chroma's strongest."""
    found: dict[str, list[float]] = {"onsets": [], "loudness": [], "chroma": []}
    for sound in sounds:
        onsets = onset_times(sound, rate) * rate
        classes, hop = chroma(sound, rate), sound.shape[1] / max(1, len(chroma(sound, rate)))
        for at in range(0, sound.shape[1] - WINDOW + 1, WINDOW // 2):
            inside = (onsets >= at) & (onsets < at + WINDOW)
            found["onsets"].append(float(inside.sum()) / WINDOW * rate)
            found["loudness"].append(float(np.median(loudness(sound[:, at : at + WINDOW]))))
            mean = classes[int(at / hop) : int((at + WINDOW) / hop)].mean(axis=0)
            found["chroma"].append(100 * float(mean.max() / max(mean.sum(), 1e-9)))
    return {name: np.array(values) for name, values in found.items()}


def wasserstein(first: Floats, second: Floats) -> float:
    """Return the distance of two sets of numbers: the mean distance of their quantiles."""
    at = (np.arange(200) + 0.5) / 200
    return float(np.abs(np.quantile(first, at) - np.quantile(second, at)).mean())


class Reference:
    """Real sound that contestants are held against."""

    def __init__(self, sounds: Sequence[F32], rate: int) -> None:
        self.ear, self.rate = load_ear(), rate
        self.embedded = np.concatenate([embed([sound], self.ear) for sound in sounds])
        self.windows = windows_of(sounds, rate)

    def judged(self, name: str, sounds: Sequence[F32]) -> dict[str, float]:
        """Return the figures of a contestant."""
        each, windows = (
            [embed([sound], self.ear) for sound in sounds],
            windows_of(sounds, self.rate),
        )
        embedded = np.concatenate(each)
        count = min(len(embedded), len(self.embedded))
        spread = [np.trace(np.cov(each, rowvar=False)) for each in (embedded, self.embedded)]
        out = {
            "frechet": frechet_distance(embedded[:count], self.embedded[:count]),
            "frechet_error": self.error(each),
            "variety": float(spread[0] / spread[1]),
        }
        for key, values in windows.items():
            out[key] = float(values.mean())
            out[f"{key}_distance"] = wasserstein(values, self.windows[key])
        out = {key: round(value, 3) for key, value in out.items()}
        say(f"{name}: " + ", ".join(f"{key} {value}" for key, value in out.items()))
        return out

    def error(self, each: Sequence[Floats]) -> float:
        """Return the deviation of the distance over clips drawn anew (bootstrap)."""
        draw = seeds.generator(4)
        rows = (draw.integers(0, len(each), len(each)) for _ in range(DRAWS))
        drawn_anew = (np.concatenate([each[at] for at in row]) for row in rows)
        return float(np.std([frechet_distance(some, self.embedded) for some in drawn_anew], ddof=1))


def heard(pieces: Sequence[Any]) -> F32:
    """Return pieces of sound joined."""
    return np.concatenate([piece.samples for piece in pieces if isinstance(piece, Audio)], axis=1)


def streamed(instrument: Any, seconds: float, seed: int) -> list[F32]:
    """Return the pieces that a stream of so many seconds comes in."""
    return [piece.samples for piece in instrument.stream(seconds=seconds, seed=seed)]


def drawn(latents: Sequence[F32], draw: np.random.Generator) -> list[F32]:
    """Return latents without order: a Gaussian of the same mean and covariance, within -1..1."""
    whole = np.concatenate(latents).astype(np.float64)
    values, vectors = np.linalg.eigh(np.cov(whole, rowvar=False))
    root = vectors * np.sqrt(np.maximum(values, 0))
    made = (draw.standard_normal(each.shape) @ root.T + whole.mean(axis=0) for each in latents)
    return [np.clip(each, -1, 1).astype(np.float32) for each in made]


def coherence(styles: Sequence[Floats]) -> dict[str, float]:
    """Return coherence and drift of minutes: for each seed (minutes, WIDTH)."""
    minutes = len(styles[0])
    far = max(1, minutes // 2)

    def apart(one: Floats, other: Floats) -> Floats:
        return np.linalg.norm(one[:, None] - other[None], axis=2)

    lags = np.abs(np.subtract.outer(np.arange(minutes), np.arange(minutes)))
    own = [apart(each, each) for each in styles]
    within = float(np.mean([each[lags >= far].mean() for each in own]))
    near = float(np.mean([each[lags == 1].mean() for each in own]))
    pairs = [(a, b) for at, a in enumerate(styles) for b in styles[at + 1 :]]
    between = float(np.mean([apart(a, b).mean() for a, b in pairs]))
    return {"coherence": round(1 - within / between, 3), "drift": round(within / near, 3)}


def borders(pieces: Sequence[F32], latent_samples: int) -> dict[str, npt.NDArray[np.int64]]:
    """Return the samples at which pieces meet, and those at which stretches do."""
    sizes = np.array([piece.shape[1] for piece in pieces])
    ends = np.cumsum(sizes)
    large = np.flatnonzero(sizes >= sizes.max())
    head = int(ends[large[0] - 1]) if len(large) and large[0] else 0
    stretches = np.arange(head, int(ends[-1]), STRETCH * latent_samples)
    return {"seam_p": stretches[stretches > 0], "piece_p": ends[:-1]}


def cut(codec: Codec, whole: F32) -> tuple[F32, npt.NDArray[np.int64]]:
    """Return sound decoded in stretches that know nothing of each other, and where they meet."""
    latents = codec.encode(whole)
    parts = [latents[at : at + STRETCH] for at in range(0, len(latents), STRETCH)]
    places = np.arange(1, len(parts)) * STRETCH * codec.latent_samples
    return np.concatenate(decoded(codec, parts), axis=1), places


def long_ones(
    instrument: Any, ear: Any, codec: Codec, minutes: int, count: int
) -> dict[str, float]:
    """Return what ten minutes of some seeds show: coherence, drift and seams."""
    styles, chances = [], []
    for seed in range(count):
        pieces = streamed(instrument, 60.0 * minutes, 100 + seed)
        whole = np.concatenate(pieces, axis=1)
        size = whole.shape[1] // minutes
        parts = [embed([whole[:, m * size : (m + 1) * size]], ear) for m in range(minutes)]
        styles.append(np.stack([part.mean(axis=0) for part in parts]))
        places = borders(pieces, codec.latent_samples)
        draw = seeds.generator(5, seed)
        chances.append(
            {name: seam_p(whole, at, draw, 2000, REACH_HOPS) for name, at in places.items()}
        )
        say(f"seed {100 + seed}: {whole.shape[1] / 44_100:.0f} s, {chances[-1]}")
    control = seam_p(*cut(codec, whole), seeds.generator(6), 2000, REACH_HOPS)
    # Of several tests the smallest chance, times their number: no seed may show its borders.
    found = {
        name: round(min(1.0, count * min(each[name] for each in chances)), 4) for name in chances[0]
    }
    return {**coherence(styles), **found, "cut_p": round(control, 4)}


def decoded(codec: Codec, latents: Sequence[F32]) -> list[F32]:
    """Return the sound of each of several runs of latents."""
    return [codec.decode_all(each) for each in latents]


def run(options: Options) -> dict[str, Any]:
    """Draw the halves, let the contestants play, and judge them."""
    torch.set_num_threads(2)
    quick = options.quick
    instrument = api.load(options.more.get("model") or MODEL)
    codec, data = Codec.load(instrument.folder), data_of(instrument.folder.config)
    rate, count = data.sample_rate_hz, 3 if quick else int(options.more.get("clips") or 40)
    length = int(SECONDS * rate / codec.latent_samples) * codec.latent_samples
    corpora = tuple((options.more.get("corpus") or CORPORA).split(","))
    real = list(clips(data, corpora, "test", 2 * count, length))
    order = seeds.generator(1).permutation(len(real))
    first, second = ([real[i] for i in order[half::2]] for half in (0, 1))
    reference = Reference(first, rate)
    latents = [codec.encode(sound) for sound in second]
    draw = seeds.generator(2)
    mixed = [each[draw.permutation(len(each))] for each in latents]
    found: dict[str, Any] = {"other_half": reference.judged("other_half", second)}
    generated = [
        heard(list(instrument.stream(seconds=length / rate, seed=seed)))[:, :length]
        for seed in range(len(second))
    ]
    made: Mapping[str, Any] = {
        "codec": lambda: decoded(codec, latents),
        "generated": lambda: generated,
        "shuffled": lambda: decoded(codec, mixed),
        "noise": lambda: decoded(codec, drawn(latents, draw)),
    }
    for name, make in made.items():
        found[name] = reference.judged(name, make())
    coded = Reference(decoded(codec, [codec.encode(sound) for sound in first]), rate)
    found["bound"] = coded.judged("bound", decoded(codec, latents))["frechet"]
    again = coded.judged("generated", generated)
    found["frechet_coded"] = again["frechet"]
    found["above_bound"] = round(again["frechet"] - found["bound"], 3)
    found["bound_holds"] = found["above_bound"] > -2 * again["frechet_error"]
    minutes, several = (1, 1) if quick else (MINUTES, SEEDS)
    return {
        **found,
        **long_ones(instrument, reference.ear, codec, minutes, several),
        "model": instrument.name,
        "embedder": "benchmarks/models/audio-embedder.npz",
        "windows": len(reference.embedded),
    }


if __name__ == "__main__":
    start(
        __doc__,
        run,
        TARGETS,
        {
            "model": f"name or folder of the model ({MODEL})",
            "corpus": f"names of corpora, joined by commas ({CORPORA})",
            "clips": "a contestant (40)",
        },
    )

"""Does sound that tokens and diffusion make lie near held-out music of its kind?

    python -m benchmarks.melody_quality [--model NAME] [--corpus jsb_chorales,...] [--clips 12]

Held-out scores (test split), played as the training music was, are drawn into two halves. The first
is the reference; contestants are of as many clips of 20 s: ``other_half`` (real against real),
``codec`` (the second half through the codec), ``steps_5``, ``steps_10`` and ``steps_20`` (the model
by number of steps), ``shuffled`` (its tokens in drawn order) and ``no_language`` (nothing leads the
diffusion: no tokens, no words).

``frechet`` is the Frechet distance between embeddings of windows of 4 s; figures of one run compare
with each other and not with other papers' (see ``benchmarks.musika_quality``). ``seam_p`` is the
chance that places elsewhere deviate as much, in energy, phases and clicks, as those at which chunks
meet; small is bad.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.audio_clips import F32, clips
from benchmarks.audio_embedder import embed, load_ear
from benchmarks.harness import Options, say, start
from benchmarks.melody_speed import model_of
from partimento import seeds
from partimento.config import validate_config
from partimento.metrics.audio_distances import frechet_distance
from partimento.metrics.audio_seams import seam_p
from partimento.runtime.audio.diffusion_presets import MelodyPreset
from partimento.runtime.audio.led_latents import MelodyControls
from partimento.runtime.audio.led_performer import LedPerformer
from partimento.runtime.contract import AUDIO_RATE_HZ, Request
from partimento.sound.fluidsynth import find_soundfont

CORPORA = "jsb_chorales,js_fakes,openscore_lieder"
SECONDS = 20.0
LEAST_P = 0.01
REACH_HOPS = 8
LEAST_APART = 64 * 256  # samples
TARGETS: dict[str, Callable[[Any], bool]] = {"seam_p": lambda chance: chance >= LEAST_P}


def made(performer: LedPerformer, seconds: float, seed: int, **asked: Any) -> F32:
    """Return the samples of a request."""
    controls = validate_config(MelodyControls, asked, "controls")
    request = Request(duration_seconds=seconds)
    stream = performer.stream(request, controls, np.random.default_rng(seed))
    return np.concatenate([piece.samples for piece in stream], axis=1)


def shuffled(performer: LedPerformer, call: Callable[[], list[F32]]) -> list[F32]:
    """Return what a call makes while tokens come in drawn order."""
    spoken, draw = performer.made._spoken, seeds.generator(3)
    performer.made._spoken = lambda *a: draw.permutation(spoken(*a))  # type: ignore[method-assign]
    try:
        return call()
    finally:
        performer.made._spoken = spoken  # type: ignore[method-assign]


def unled(performer: LedPerformer, call: Callable[[], list[F32]]) -> list[F32]:
    """Return what a call makes while nothing leads the denoiser."""
    denoiser = performer.denoiser
    velocity = denoiser.velocity

    def free(state: F32, angles: F32, tokens: Any, guide: F32, style: F32, guidance: float) -> F32:
        # v_u + 2 (v_c - v_u) and v_c give v_u.
        once = velocity(state, angles, tokens, guide, style, 1.0)
        return 2 * once - velocity(state, angles, tokens, guide, style, 2.0)

    denoiser.velocity = free  # type: ignore[method-assign]
    try:
        return call()
    finally:
        denoiser.velocity = velocity  # type: ignore[method-assign]


def run(options: Options) -> dict[str, Any]:
    """Measure."""
    torch.set_num_threads(2)
    quick = options.quick
    count = 2 if quick else int(options.more.get("clips") or 12)
    seconds = 6.0 if quick else SECONDS
    with tempfile.TemporaryDirectory() as place:
        folder = model_of(options.more.get("model"), Path(place), quick)
        performer = LedPerformer.load(folder)
    data = validate_config(MelodyPreset, folder.config["preset"], "preset").data
    if data.soundfont == "auto":
        font = find_soundfont() if shutil.which("fluidsynth") else None
        data = data.model_copy(update={"soundfont": font and str(font)})
    known = MelodyControls.model_fields
    defaults = {k: v for k, v in folder.config["defaults"].items() if k in known}
    corpora = tuple(
        (options.more.get("corpus") or ("jsb_chorales" if quick else CORPORA)).split(",")
    )
    real = list(clips(data, corpora, "test", 2 * count, int(seconds * AUDIO_RATE_HZ)))
    order = seeds.generator(1).permutation(len(real))
    first, second = ([real[at] for at in order[half::2]] for half in (0, 1))
    ear = load_ear()
    reference = np.concatenate([embed([sound], ear) for sound in first])

    def generated(**asked: Any) -> list[F32]:
        return [
            made(performer, seconds, seed, **{**defaults, **asked}) for seed in range(len(second))
        ]

    codec = performer.codec
    few = {"steps": 1} if quick else {"steps": 10}
    contestants: dict[str, Callable[[], list[F32]]] = {
        "other_half": lambda: second,
        "codec": lambda: [codec.decode_all(codec.encode(sound)) for sound in second],
        "steps_5": lambda: generated(steps=1 if quick else 5),
        "steps_10": lambda: generated(**few),
        "steps_20": lambda: generated(steps=2 if quick else 20),
        "shuffled": lambda: shuffled(performer, lambda: generated(**few)),
        "no_language": lambda: unled(performer, lambda: generated(**few)),
    }
    found: dict[str, Any] = {}
    for name, make in contestants.items():
        embedded = np.concatenate([embed([sound], ear) for sound in make()])
        size = min(len(embedded), len(reference))
        found[name] = round(frechet_distance(embedded[:size], reference[:size]), 3)
        say(f"{name}: {found[name]}")
    long = made(performer, 12.0 if quick else 90.0, 1, **{**defaults, **few})
    chunk = performer.denoiser.config.chunk * codec.latent_samples
    # Of short chunks only some borders: between those looked at there must be room.
    step = chunk * -(-LEAST_APART // chunk)
    borders = np.arange(performer.denoiser.config.chunks * chunk, long.shape[1], step)
    found["seam_p"] = round(seam_p(long, borders, seeds.generator(5), 2000, REACH_HOPS), 4)
    return {**found, "model": folder.name, "windows": len(reference)}


if __name__ == "__main__":
    more = {"model": "a name or a folder", "corpus": "names, joined by commas", "clips": "12"}
    start(__doc__, run, TARGETS, more)

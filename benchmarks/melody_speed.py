"""How fast is sound that tokens and diffusion make? Steps, parts, first sound, memory; two cores.

    python -m benchmarks.melody_speed [--model NAME]

``realtime_factor`` is seconds of stereo sound a second at 10 steps and the model's guidance, the
median of three runs of 30 s; ``realtime_factor_5`` and ``_20`` at 5 and 20 steps, ``_unguided`` at
10 and guidance 1, which halves the rows of the denoiser. ``first_sound_s`` is the time from the
call of a stream to its first samples, the model being loaded. ``shares`` are the parts of the time:
tokens, denoiser, codec. ``eager_ratio`` is the time of the same denoiser in PyTorch (float32, as
many threads) over that of its graph. ``memory_ratio`` is the resident memory after ten minutes of
sound over that after one, made with one step: streams are of constant memory.

Without a shipped model the weights are as drawn, which changes nothing of the time.
"""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.harness import Options, say, start, timed
from partimento.catalog import open_model
from partimento.config import validate_config
from partimento.errors import PartimentoError
from partimento.runtime.audio.diffusion_presets import MelodyFacts, MelodyPreset
from partimento.runtime.audio.led_latents import MelodyControls
from partimento.runtime.audio.led_performer import LedPerformer
from partimento.runtime.contract import AUDIO_RATE_HZ, Request
from partimento.runtime.model_folder import ModelFolder
from partimento.systems.melody import PRESETS
from partimento.systems.melody.networks import denoiser
from partimento.systems.melody.training import training_task

MODEL = "melody-ensembles"
SECONDS, ROUNDS, CORES = 30.0, 3, 2
LEAST_FACTOR, MOST_FIRST_SECONDS, MOST_GROWTH = 5.0, 2.0, 1.05
TARGETS = {
    "realtime_factor": lambda value: value >= LEAST_FACTOR,
    "first_sound_s": lambda value: value <= MOST_FIRST_SECONDS,
    "memory_ratio": lambda value: value <= MOST_GROWTH,
}


def model_of(name: str | None, place: Path, quick: bool) -> ModelFolder:
    """Return the model that is named or ships; else one with weights as drawn, in ``place``.

    A quick run takes a tiny one where none is named.
    """
    try:
        if name or not quick:
            return open_model(name or MODEL)
    except PartimentoError:
        if name:
            raise
        say(f"{MODEL} is not here: weights as drawn")
    preset = PRESETS["tiny" if quick else "ensembles"]
    folder: ModelFolder = training_task(preset).export(place / "melody-drawn", {})
    return folder


def samples_of(
    performer: LedPerformer, controls: MelodyControls, seconds: float, seed: int = 0
) -> Iterator[int]:
    """Yield how many samples come, piece by piece."""
    request = Request(duration_seconds=seconds)
    for piece in performer.stream(request, controls, np.random.default_rng(seed)):
        yield piece.samples.shape[1]


def factor(performer: LedPerformer, controls: MelodyControls, seconds: float, rounds: int) -> float:
    """Return seconds of sound a second, the median of some runs."""
    took = [
        timed(lambda seed=seed: sum(samples_of(performer, controls, seconds, seed)))
        for seed in range(rounds)
    ]
    return seconds / statistics.median(took)


def shares(performer: LedPerformer, controls: MelodyControls, seconds: float) -> dict[str, float]:
    """Return what part of the time tokens, denoiser and codec take."""
    spent = dict.fromkeys(("tokens", "denoiser", "codec"), 0.0)

    def clocked(owner: Any, name: str, part: str) -> None:
        call = getattr(owner, name)

        def timed_call(*args: Any, **more: Any) -> Any:
            began = time.perf_counter()
            try:
                return call(*args, **more)
            finally:
                spent[part] += time.perf_counter() - began

        setattr(owner, name, timed_call)

    for owner, name, part in (
        (performer.made, "_spoken", "tokens"),
        (performer.made.denoiser, "velocity", "denoiser"),
        (performer.codec, "decode", "codec"),
    ):
        clocked(owner, name, part)
    sum(samples_of(performer, controls, seconds))
    whole = sum(spent.values())
    return {name: round(value / whole, 3) for name, value in spent.items()}


def eager_ratio(folder: ModelFolder, performer: LedPerformer, rounds: int) -> float:
    """Return the time of the denoiser in PyTorch over that of its graph."""
    facts = folder.section("network", MelodyFacts)
    preset = validate_config(MelodyPreset, folder.config["preset"], "preset")
    network = denoiser(preset).eval()
    config, width = facts.diffusion, facts.codec.latent_width
    latents = np.zeros((config.length, width), dtype=np.float32)
    angles = np.ones(config.length, dtype=np.float32)
    tokens = np.zeros(config.length, dtype=np.int64)
    guide = np.zeros((config.length, 6), dtype=np.float32)
    style = np.zeros(config.style, dtype=np.float32)
    given = [
        torch.zeros(2, config.length, width), torch.ones(2, config.length),
        torch.zeros(2, config.length, dtype=torch.int64),
        torch.zeros(2, config.length, config.guide), torch.zeros(2, config.style),
        torch.tensor([1.0, 0.0]),
    ]  # fmt: skip

    def eager() -> None:
        with torch.inference_mode():
            network(*given)

    def graph() -> None:
        performer.denoiser.velocity(latents, angles, tokens, guide, style, 2.0)

    times = []
    for call in (eager, graph):
        call()
        times.append(statistics.median(timed(call) for _ in range(rounds)))
    return times[0] / times[1]


def resident_mb() -> float:
    """Return the memory of this process that is resident; 0 where it cannot be asked."""
    gc.collect()
    path = Path("/proc/self/statm")
    return int(path.read_text().split()[1]) * 4096 / 2**20 if path.exists() else 0.0


def memory(performer: LedPerformer, minutes: int) -> tuple[float, float]:
    """Return the resident memory after one minute of a stream and after more."""
    controls = MelodyControls(steps=1, guidance=1.0)
    made, first = 0, 0.0
    for count in samples_of(performer, controls, 60.0 * minutes):
        made += count
        if not first and made >= 60 * AUDIO_RATE_HZ:
            first = resident_mb()
    return first or resident_mb(), resident_mb()


def run(options: Options) -> dict[str, Any]:
    """Measure."""
    torch.set_num_threads(CORES)
    seconds, rounds = (6.0, 1) if options.quick else (SECONDS, ROUNDS)
    with tempfile.TemporaryDirectory() as place:
        folder = model_of(options.more.get("model"), Path(place), options.quick)
        performer = LedPerformer.load(folder, CORES)
        defaults = {
            k: v for k, v in folder.config["defaults"].items() if k in MelodyControls.model_fields
        }
        sum(samples_of(performer, MelodyControls(steps=1), 2.0))  # lays out the memory
        found: dict[str, Any] = {}
        for name, more in (
            ("realtime_factor", {}), ("realtime_factor_5", {"steps": 5}),
            ("realtime_factor_20", {"steps": 20}), ("realtime_factor_unguided", {"guidance": 1.0}),
        ):  # fmt: skip
            controls = validate_config(
                MelodyControls, {**defaults, "steps": 10, **more}, "controls"
            )
            found[name] = round(factor(performer, controls, seconds, rounds), 2)
            say(f"{name}: {found[name]}")
        controls = validate_config(MelodyControls, {**defaults, "steps": 10}, "controls")
        firsts = []
        for seed in range(rounds):
            stream = samples_of(performer, controls, seconds, seed)
            firsts.append(timed(lambda stream=stream: next(stream)))
        found["first_sound_s"] = round(statistics.median(firsts), 3)
        found["eager_ratio"] = round(eager_ratio(folder, performer, 3 * rounds), 2)
        first, last = memory(performer, 1 if options.quick else 10)
        found["memory_mb"] = [round(first, 1), round(last, 1)]
        found["memory_ratio"] = round(last / max(first, 1e-9), 3)
        found["shares"] = shares(performer, controls, seconds)
        return {**found, "model": folder.name, "cores": CORES}


if __name__ == "__main__":
    start(__doc__, run, TARGETS, {"model": f"the model: a name or a folder ({MODEL})"})

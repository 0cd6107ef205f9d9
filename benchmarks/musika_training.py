"""What does it cost to train Musika? Steps a second here, and hours of one GPU from FLOPs.

    python -m benchmarks.musika_training [--preset ensemble] [--steps 3]

A minute of chorales is played, cut and cached as for training; of each stage of the preset some
steps are taken (the median counts), all its players in turn, after one that is counted only.
``gflop_per_step`` is counted by torch (products and convolutions, forth and back, not Fourier
transforms). ``gpu_hours`` of a stage is its number of steps times that, at 30 % of the 35.6 TFLOP/s
in float32 of a consumer card: an estimate, not a measurement. ``published`` is the generator and
discriminator of the paper (``paper`` preset): FLOPs a step at its batch of 32, and the hours of the
same card for the 2,000,000 steps of the official code; its codec's training was never released, so
nothing can be said of that. The ratio of ``gflop_per_step`` and ``seconds_per_step`` is what this
machine makes of it.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks.audio_clips import clips
from benchmarks.harness import Options, say, start
from partimento.files import open_corpus
from partimento.files.audio.sound_files import write_audio
from partimento.music import Audio
from partimento.runtime.audio.presets import MusikaPreset
from partimento.systems.musika import PRESETS
from partimento.systems.musika.training import training_task
from partimento.training.audio.latent_gan import LatentGame
from partimento.training.contract import Batch, Stage
from partimento.training.device import autocast, best_device

GPU_FLOP_PER_SECOND = 0.3 * 35.6e12
STEPS = 3
CLIPS = 4
PUBLISHED_STEPS, PUBLISHED_BATCH = 2_000_000, 32


def prepared(preset: MusikaPreset, place: Path) -> Any:
    """Return a training_task with a minute of chorales to learn from."""
    music = place / "music"
    music.mkdir()
    for at, samples in enumerate(clips(preset.data, ("jsb_chorales",), "train", CLIPS)):
        write_audio(Audio(samples, preset.data.sample_rate_hz), music / f"{at}.wav")
    made = training_task(preset)
    made.prepare([open_corpus(str(music))], place / "run", say)
    return made


def one_step(stage: Stage, batch: Batch, optimizers: list[torch.optim.Optimizer]) -> None:
    """Let each player move as often as it does in a step."""
    device = best_device()
    for player, optimizer in zip(stage.players, optimizers, strict=True):
        for _ in range(player.updates):
            optimizer.zero_grad()
            with autocast(device):
                loss = player.loss(batch).total
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()


def optimizers_of(stage: Stage) -> list[torch.optim.Optimizer]:
    """Return an AdamW for each player, of a rate too small to change anything."""
    return [
        torch.optim.AdamW([p for m in player.modules for p in m.parameters()], lr=1e-9)
        for player in stage.players
    ]


class Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations of products and convolutions, gradients of gradients among them."""

    total = 0

    def __torch_dispatch__(  # the name is torch's
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        out = function(*args, **(kwargs or {}))
        count = flop_registry.get(function._overloadpacket)
        if count is not None:
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


def counted(call: Callable[[], Any]) -> float:
    """Return the operations that a call takes."""
    with Counter() as counter:  # type: ignore[no-untyped-call]
        call()
    return float(counter.total)


# No stage costs more than the published game of 479 GFLOP a step.
TARGETS: dict[str, Callable[[Any], bool]] = {
    "stages": lambda stages: all(0 < each["gflop_per_step"] < 479 for each in stages.values())
}


def cost(stage: Stage, steps: int) -> dict[str, float]:
    """Return what a stage costs."""
    device = best_device()
    for player in stage.players:
        for module in player.modules:
            module.to(device)
    optimizers, took = optimizers_of(stage), []
    draw = np.random.default_rng(0)

    def step() -> None:
        batch = {name: value.to(device) for name, value in stage.batches(draw).items()}
        one_step(stage, batch, optimizers)
        if device.type == "cuda":
            torch.cuda.synchronize()

    flop = counted(step)  # the first step, which also gets everything ready
    for _ in range(steps):
        began = time.perf_counter()
        step()
        took.append(time.perf_counter() - began)
    seconds = statistics.median(took)
    out = {
        "seconds_per_step": round(seconds, 4),
        "steps_per_s": round(1 / seconds, 4),
        "gflop_per_step": round(flop / 1e9, 2),
        "gflop_per_s": round(flop / 1e9 / seconds, 2),
    }
    if stage.training.steps:
        out["steps"] = stage.training.steps
        out["hours_here"] = round(stage.training.steps * seconds / 3600, 2)
        out["gpu_hours"] = round(stage.training.steps * flop / GPU_FLOP_PER_SECOND / 3600, 3)
    say(f"{stage.name}: {out}")
    return out


def published() -> dict[str, float]:
    """Return what the published generator and discriminator cost, counted at a batch of one."""
    preset = PRESETS["paper"]
    game = LatentGame(preset, nn.Identity())
    stage = game.stage()
    width = 2 * preset.codec.latent_width  # of both channels
    latents = torch.randn(1, game.crop, width).clamp(-1, 1)
    around = torch.zeros(1, game.crop + 2 * game.margin, preset.game.conditions)
    game.windows = lambda batch: (latents, around)  # type: ignore[method-assign]
    told: Batch = {"penalised": torch.tensor(True)}
    flop = PUBLISHED_BATCH * counted(lambda: one_step(stage, told, optimizers_of(stage)))
    return {
        "gflop_per_step": round(flop / 1e9, 1),
        "steps": PUBLISHED_STEPS,
        "gpu_hours": round(PUBLISHED_STEPS * flop / GPU_FLOP_PER_SECOND / 3600, 1),
    }


def run(options: Options) -> Mapping[str, Any]:
    """Measure each stage."""
    steps = 1 if options.quick else int(options.more.get("steps") or STEPS)
    name = options.more.get("preset") or ("tiny" if options.quick else "default")
    with tempfile.TemporaryDirectory() as place:
        made = prepared(PRESETS[name], Path(place))
        stages = {stage.name: cost(stage, steps) for stage in made.stages()}
    figures: dict[str, Any] = {"preset": name, "device": str(best_device()), "stages": stages}
    if not options.quick:
        figures["published"] = published()
    return figures


if __name__ == "__main__":
    start(
        __doc__,
        run,
        TARGETS,
        more={
            "preset": "whose stages are measured; default where not given",
            "steps": f"steps that are timed; {STEPS} where not given",
        },
    )

"""A system for tests that makes sound: a tone that depends on seed, prompt and controls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
from pydantic import Field

from partimento.config import Config
from partimento.music import Audio, Timeline
from partimento.runtime.contract import Card, Controls, Paper, Request, Task

__all__ = ["CARD"]

RATE = 44100
LATENT = 4096


class DroneControls(Controls):
    """What the tone is like."""

    density: float | None = Field(None, ge=0, le=16, description="swells a second")
    tempo: float | None = Field(None, ge=60, le=180, description="beats a minute")
    loudness: float = Field(-12.0, ge=-60, le=0, description="level in dBFS")


class DronePreset(Config):
    """One preset."""

    size: int = 1


@dataclass
class Droner:
    """Sounds chunks of one latent, then two, four, eight: 4,096 samples each."""

    short_by: int = 0  # how many samples are missing at the end
    rate: int = RATE
    log: list[Request] = field(default_factory=list)
    closed: int = 0

    def stream(
        self, request: Request, controls: Controls, rng: np.random.Generator
    ) -> Iterator[Audio]:
        """Yield one chunk after another."""
        assert isinstance(controls, DroneControls)
        self.log.append(request)
        hertz = 110.0 + float(rng.integers(400)) + (controls.tempo or 0.0)
        if request.sound is not None:
            assert request.sound.samples.shape[0] == 2
            hertz += float(np.abs(request.sound.samples[:, -100:]).mean())
        length = None
        if request.duration_seconds is not None:
            length = round(request.duration_seconds * RATE) - self.short_by
        if length is not None and request.is_loop:
            length = max(1, round(length / LATENT)) * LATENT
        if request.task is Task.RENDER:
            assert request.score is not None
            length = round(Timeline(request.score).seconds(request.score.length_ticks) * RATE)
        at = 0
        try:
            for turn in count():
                frames = LATENT << min(turn, 3)
                if length is not None and request.is_loop:
                    frames = min(frames, length - at)
                if request.steer is not None:
                    told = request.steer(at / RATE)
                    assert isinstance(told, DroneControls)
                    controls = told
                time = np.arange(at, at + frames) / RATE
                wave = 10 ** (controls.loudness / 20) * np.sin(2 * np.pi * hertz * time)
                wave *= 1 + 0.5 * np.sin(2 * np.pi * (controls.density or 0.0) * time)
                yield Audio(np.stack([wave, 0.5 * wave]).astype(np.float32), self.rate)
                at += frames
                if length is not None and at >= length:
                    if not request.endless:
                        return
                    at = 0
        finally:
            self.closed += 1


def load(folder: Any, threads: int | None = None, precision: str = "int8") -> Droner:
    """Return the performer of a model folder."""
    return Droner(folder.config.get("short_by", 0), folder.config.get("rate", RATE))


CARD = Card(
    name="drone",
    paper=Paper("On Droning", "A. Bee", 2001, "https://example.org/drone"),
    summary="holds one tone",
    tasks=frozenset({Task.GENERATE, Task.CONTINUE, Task.RENDER}),
    controls=DroneControls,
    presets={"default": DronePreset()},
    load=load,
    makes="audio",
)

"""A system for tests: it hums up and down, keeps simple promises, and needs no weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
from pydantic import Field

from partimento.config import Config
from partimento.errors import NotSupported
from partimento.music import Note, Score, TimeSignature, Track
from partimento.runtime.contract import Card, Controls, Paper, Request, SamplingControls, Task

__all__ = ["CARD"]


class HumControls(SamplingControls):
    """One control of its own."""

    loudness: int = Field(80, ge=1, le=127, description="velocity of every note")


class HumPreset(Config):
    """One preset."""

    size: int = 1


@dataclass(frozen=True)
class Hummer:
    """Hums one quarter note a beat, on one track or two."""

    names: tuple[str, ...] = ("Hum",)
    bar_error: int = 0
    log: list[Request] = field(default_factory=list)

    def stream(
        self, request: Request, controls: Controls, rng: np.random.Generator
    ) -> Iterator[Score]:
        """Yield one bar after another."""
        assert isinstance(controls, HumControls)
        self.log.append(request)
        promises = request.promises
        if promises.time_signature is not None and promises.time_signature.denominator != 4:
            raise NotSupported("hum counts quarter notes only; it can serve 4/4 and 3/4")
        metre = promises.time_signature or TimeSignature(0, 4, 4)
        scale = [
            p for p in range(48, 84) if promises.key is None or p % 12 in promises.key.pitch_classes
        ]
        bars = count() if request.endless else range((promises.bars or 0) + self.bar_error)
        for _ in bars:
            tracks = [
                Track(
                    name,
                    tuple(
                        Note(480 * beat, int(rng.choice(scale)), 480, controls.loudness)
                        for beat in range(metre.numerator)
                    ),
                )
                for name in self.names
            ]
            yield Score(tuple(tracks), written_length_ticks=480 * metre.numerator)


def load(folder: Any, threads: int | None = None, precision: str = "int8") -> Hummer:
    """Return the performer of a model folder."""
    if precision not in folder.precisions:
        raise NotSupported(f"{folder.name} has no {precision}")
    return Hummer(tuple(folder.config.get("names", ["Hum"])), folder.config.get("bar_error", 0))


CARD = Card(
    name="hum",
    paper=Paper("On Humming", "A. Bee", 1999, "https://example.org/hum"),
    summary="hums up and down",
    tasks=frozenset({Task.GENERATE, Task.CONTINUE}),
    controls=HumControls,
    presets={"default": HumPreset()},
    load=load,
)

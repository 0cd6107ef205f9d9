"""A system for tests: it fills regions with one note a beat, and needs no weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic import Field

from partimento.config import Config
from partimento.errors import NotSupported
from partimento.music import Note, Score, Timeline, Track
from partimento.music.regions import open_cells
from partimento.runtime.contract import Card, Controls, Paper, Request, SamplingControls, Task

__all__ = ["CARD"]

_BARS_A_PIECE = 2


class FillerControls(SamplingControls):
    """Controls of its own."""

    steps: int = Field(20, ge=1, description="rounds of filling in")
    loudness: int = Field(80, ge=1, le=127, description="velocity of every note")


class FillerPreset(Config):
    """One preset."""

    size: int = 1


@dataclass(frozen=True)
class Filler:
    """Writes one note a beat, each half a beat too long, into every open bar and beyond."""

    most_tracks: int = 64
    bar_error: int = 0
    log: list[Request] = field(default_factory=list)

    def ensemble_of(self, request: Request, asked: str | None) -> str:
        """Return ``band`` for music of three tracks and more, else ``duo``."""
        return "band" if request.prompt is not None and len(request.prompt.tracks) > 2 else "duo"

    def stream(
        self, request: Request, controls: Controls, rng: np.random.Generator
    ) -> Iterator[Score]:
        """Yield two bars after another."""
        assert isinstance(controls, FillerControls)
        self.log.append(request)
        prompt = request.prompt
        assert prompt is not None
        if len(prompt.tracks) > self.most_tracks:
            raise NotSupported(f"filler holds {self.most_tracks} tracks, not {len(prompt.tracks)}")
        key = request.promises.key
        scale = [p for p in range(48, 72) if key is None or p % 12 in key.pitch_classes]
        bars = Timeline(prompt).bars
        cells = open_cells(len(bars), len(prompt.tracks), request.regions, request.locks)
        beat = prompt.ticks_per_quarter
        shown = bars[: len(bars) + self.bar_error]
        for first in range(0, len(shown), _BARS_A_PIECE):
            group = shown[first : first + _BARS_A_PIECE]
            start = group[0].onset_ticks
            notes: list[list[Note]] = [[] for _ in prompt.tracks]
            for bar in group:
                for track in np.flatnonzero(cells[bar.index]):
                    for at in range(bar.onset_ticks - start, bar.end_ticks - start, beat):
                        pitch = int(rng.choice(scale))
                        notes[track].append(Note(at, pitch, beat * 3 // 2, controls.loudness))
            yield Score(
                tuple(Track(t.name, tuple(n)) for t, n in zip(prompt.tracks, notes, strict=True)),
                prompt.ticks_per_quarter,
                written_length_ticks=group[-1].end_ticks - start,
            )

    def score_of(self, request: Request, score: Score) -> float:
        """Return the higher a figure the higher the notes."""
        return float(np.mean([note.pitch for note in score.notes])) - 100


def load(folder: Any, threads: int | None = None, precision: str = "int8") -> Filler:
    """Return the performer of a model folder."""
    return Filler(folder.config.get("most_tracks", 64), folder.config.get("bar_error", 0))


CARD = Card(
    name="filler",
    paper=Paper("On Filling", "B. Cee", 1998, "https://example.org/filler"),
    summary="fills regions",
    tasks=frozenset({Task.INFILL, Task.ACCOMPANY}),
    controls=FillerControls,
    presets={"default": FillerPreset()},
    load=load,
)

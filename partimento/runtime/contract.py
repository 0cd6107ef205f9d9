"""What every system says of itself and how every system is asked: card, request, performer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol

import numpy as np
from pydantic import ConfigDict, Field

from partimento.config import Config
from partimento.errors import NotSupported
from partimento.music import Audio, Note, Piece, Promises, Score
from partimento.music.regions import Region

__all__ = [
    "AUDIO_CHANNELS",
    "AUDIO_RATE_HZ",
    "Card",
    "Controls",
    "Kind",
    "Paper",
    "Performer",
    "Request",
    "SamplingControls",
    "Task",
]

Kind = Literal["score", "audio"]
AUDIO_CHANNELS, AUDIO_RATE_HZ = 2, 44100  # of all audio that goes into a performer and comes out


class Task(StrEnum):
    """What a system can be asked to do."""

    GENERATE = "generate"
    CONTINUE = "continue"
    INFILL = "infill"
    ACCOMPANY = "accompany"
    INTERPOLATE = "interpolate"
    HUMANIZE = "humanize"


@dataclass(frozen=True)
class Paper:
    """Where a system was published."""

    title: str
    authors: str
    year: int
    url: str


class Controls(Config):
    """Base of every system's controls; a system adds its own fields with units and bounds.

    Types are strict: ``True`` and ``"0.9"`` are no numbers.
    """

    model_config = ConfigDict(strict=True)


class SamplingControls(Controls):
    """Controls of every system that picks tokens one by one."""

    temperature: float = Field(1.0, gt=0, le=5, description="below 1 safer, above 1 wilder")
    top_p: float = Field(1.0, gt=0, le=1, description="keep the likeliest tokens of this mass")
    top_k: int = Field(
        0, ge=0, le=1_000_000, description="keep so many likeliest tokens; 0 keeps all"
    )
    min_p: float = Field(0.0, ge=0, lt=1, description="drop tokens below this share of the best")


@dataclass(frozen=True)
class Request:
    """One request: a task, what must hold, and the sketch.

    INFILL and ACCOMPANY write the ``regions`` of the prompt anew, less the ``locks``, which win.
    Their ``prompt`` is the whole piece on its own tick grid, the old notes of the regions included:
    a performer looks at none of those but the locked. Parts to be added are there as tracks
    without notes. Metres are the prompt's, so ``promises.time_signature`` is None;
    ``promises.bars`` is how many bars the prompt has, and ``promises.chord_of_bar`` counts from
    its first.

    A system that makes audio (``Card.makes``) is asked in seconds: ``duration_seconds`` is the
    length of what is to be made, the prompt's left out, and None where it is without an end. Its
    ``promises`` are empty, a tempo is one of its controls, and its ``prompt`` is audio as
    ``AUDIO_CHANNELS`` and ``AUDIO_RATE_HZ`` say. ``is_loop`` asks for audio whose end leads into
    its beginning without a seam; ``duration_seconds`` is then that of one turn, and where
    ``endless`` it is played turn after turn. ``steer``, where there is one, is asked before each
    chunk for the controls from there on, with the place in seconds after the prompt.
    """

    task: Task = Task.GENERATE
    promises: Promises = field(default_factory=Promises)
    prompt: Piece | None = None
    tempo_quarters_per_minute: float | None = None
    endless: bool = False  # stream until the consumer stops; ``promises.bars`` is then None
    regions: tuple[Region, ...] = ()
    locks: tuple[Region, ...] = ()
    locked_notes: tuple[tuple[int, Note], ...] = ()  # (track, a note of it inside the regions)
    duration_seconds: float | None = None
    is_loop: bool = False
    steer: Callable[[float], Controls] | None = None

    @property
    def score(self) -> Score | None:
        """The prompt, where it is notes."""
        return self.prompt if isinstance(self.prompt, Score) else None

    @property
    def sound(self) -> Audio | None:
        """The prompt, where it is audio."""
        return self.prompt if isinstance(self.prompt, Audio) else None


class Performer(Protocol):
    """A loaded model that plays. It holds weights only; all state lives in the stream."""

    def stream(
        self, request: Request, controls: Controls, rng: np.random.Generator
    ) -> Iterator[Piece]:
        """Yield the pieces of the answer in order, each as soon as it is ready.

        A score piece starts at tick 0 and advances the whole by its ``written_length_ticks``; a
        note may outlast its piece. The prompt of CONTINUE is not yielded again.

        An audio piece is (2, n) samples at 44,100 Hz, n at least 1; the pieces joined are the
        whole, and its length is ``round(duration_seconds * 44100)`` samples, or more, of which the
        rest is left out; a loop is the nearest length that it can close, and nothing is left out.
        Pieces that follow a prompt go on from its last sample. In what sizes the pieces come must
        not change the samples.

        INFILL and ACCOMPANY yield the whole piece from its first bar on, a few bars at a time, on
        the prompt's ticks and with one track for each of the prompt's, in their order; they hold
        new notes of the regions alone. A velocity of 80 on all of them leaves loudness to the
        caller.

        HUMANIZE yields the prompt once, whole, as a hand might play it.

        A performer may also have ``score_of(request, score) -> float``: the mean log-likelihood,
        in nats a cell or token, of what ``score`` holds in the regions; higher is likelier.

        Raises:
            NotSupported: if the request asks for what this system cannot do.
            CannotBeMet: if no output could keep the promises together.
        """
        ...


@dataclass(frozen=True)
class Card:
    """What a system is: found by the catalogue, read by the CLI, server and studio."""

    name: str
    paper: Paper
    summary: str
    tasks: frozenset[Task]
    controls: type[Controls]
    presets: Mapping[str, Config]
    load: Callable[[Any], Performer] = field(repr=False)  # takes a runtime ``ModelFolder``
    makes: Kind = "score"

    def check_task(self, task: Task) -> None:
        """Raise NotSupported unless this system serves ``task``."""
        if task not in self.tasks:
            can = ", ".join(sorted(self.tasks))
            raise NotSupported(f"{self.name} cannot {task}; it can {can}")

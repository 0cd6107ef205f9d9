"""What a system declares and how it is called: card, request, performer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
from pydantic import ConfigDict, Field

from partimento.config import Config, validate_config
from partimento.errors import NotSupported
from partimento.music import Audio, Note, Piece, Promises, Score
from partimento.music.regions import Region
from partimento.runtime.codes import Codes
from partimento.runtime.conditions import Condition

__all__ = [
    "AUDIO_CHANNELS",
    "AUDIO_RATE_HZ",
    "PROMPT_TASKS",
    "Card",
    "Controls",
    "Draft",
    "Kind",
    "Paper",
    "Performer",
    "Request",
    "SamplingControls",
    "Streamed",
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
    RENDER = "render"
    TRANSFER = "transfer"


# Tasks whose answers are as long as their prompts say; bars, seconds and promises are not asked.
PROMPT_TASKS = frozenset({Task.HUMANIZE, Task.INTERPOLATE, Task.RENDER, Task.TRANSFER})


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

    temperature: float = Field(1.0, gt=0, le=5, description="below 1 safer, above 1 more varied")
    top_p: float = Field(1.0, gt=0, le=1, description="keep the likeliest tokens of this mass")
    top_k: int = Field(
        0, ge=0, le=1_000_000, description="keep so many likeliest tokens; 0 keeps all"
    )
    min_p: float = Field(0.0, ge=0, lt=1, description="drop tokens below this share of the best")


C = TypeVar("C", bound=Condition)


@dataclass(frozen=True)
class Request:
    """One request: a task, promises, conditions, and the sketch.

    ``prompts`` are the pieces to start from: none for GENERATE; one for CONTINUE, INFILL, ACCOMPANY
    and HUMANIZE; two for INTERPOLATE (from the first to the second, in ``steps`` pieces, both ends
    among them); one score for RENDER, by a system that makes audio; for TRANSFER the content and,
    if there is a second, the piece whose style or timbre it takes on. ``prompt`` is the only one.

    ``conditions`` hold at most one of each type, and only types that the card declares.

    INFILL and ACCOMPANY regenerate the ``regions`` of the prompt except for the ``locks``, which
    take precedence. Their ``prompt`` is the whole piece on its own tick grid, the old notes of the
    regions included: a performer reads none of those but the locked. Parts to be added are there as
    tracks without notes. Metres are the prompt's, so ``promises.time_signature`` is None;
    ``promises.bars`` is how many bars the prompt has, and ``promises.chord_of_bar`` counts from
    its first.

    A system that makes audio (``Card.makes``) takes seconds: ``duration_seconds`` is the length of
    what is to be made, the prompt's not counted, and None where there is no end. Its ``promises``
    are empty, a tempo is one of its controls, and audio among its ``prompts`` is as
    ``AUDIO_CHANNELS`` and ``AUDIO_RATE_HZ`` say. ``is_loop`` asks for audio whose end leads into
    its beginning without a seam; ``duration_seconds`` is then that of one turn, and where
    ``endless`` it is looped. ``steer``, where there is one, is called before each
    chunk with the place in seconds after the prompt, and returns the controls from there on.
    ``codes``, of a system that has some (``Card.has_codes``), are what an earlier answer gave:
    CONTINUE keeps them, makes what they lack, up to ``duration_seconds`` in all, and yields the
    whole.
    """

    task: Task = Task.GENERATE
    promises: Promises = field(default_factory=Promises)
    prompts: tuple[Piece, ...] = ()
    tempo_quarters_per_minute: float | None = None
    endless: bool = False  # stream until the consumer stops; ``promises.bars`` is then None
    regions: tuple[Region, ...] = ()
    locks: tuple[Region, ...] = ()
    locked_notes: tuple[tuple[int, Note], ...] = ()  # (track, a note of it inside the regions)
    duration_seconds: float | None = None
    is_loop: bool = False
    steer: Callable[[float], Controls] | None = None
    conditions: tuple[Condition, ...] = ()
    steps: int | None = None  # of INTERPOLATE
    codes: Codes | None = None  # to go on from

    @property
    def prompt(self) -> Piece | None:
        """The only prompt; None without any.

        Raises:
            NotSupported: if there are several.
        """
        if len(self.prompts) > 1:
            raise NotSupported(f"one prompt can be used here, not {len(self.prompts)}")
        return self.prompts[0] if self.prompts else None

    def condition(self, kind: type[C]) -> C | None:
        """Return the condition of a type; None where it was not given."""
        return next((each for each in self.conditions if isinstance(each, kind)), None)

    @property
    def score(self) -> Score | None:
        """The prompt, where it is notes."""
        return self.prompt if isinstance(self.prompt, Score) else None

    @property
    def sound(self) -> Audio | None:
        """The prompt, where it is audio."""
        return self.prompt if isinstance(self.prompt, Audio) else None


@dataclass(frozen=True)
class Draft:
    """The whole piece as a coarse-to-fine performer has it so far.

    ``level`` counts refinements from 0, the coarsest. A draft is there to look at and listen to; it
    is no part of the answer, keeps no promise, and the pieces that follow do not continue it.
    """

    piece: Piece
    level: int


Streamed = Piece | Draft | Codes


class Performer(Protocol):
    """A loaded model that plays. It holds weights only; all state lives in the stream."""

    def stream(
        self, request: Request, controls: Controls, rng: np.random.Generator
    ) -> Iterator[Streamed]:
        """Yield the pieces of the answer in order, each as soon as it is ready.

        Among them there may be drafts, which reach only a caller that asks for them, and the codes
        of the answer, each time more of them; the pieces must be the same whether or not anybody
        looks at these.

        A score piece starts at tick 0 and advances the whole by its ``written_length_ticks``; a
        note may outlast its piece. The prompt of CONTINUE is not yielded again.

        An audio piece is (2, n) samples at 44,100 Hz, n at least 1; the pieces joined are the
        whole, and its length is ``round(duration_seconds * 44100)`` samples, or more, of which the
        rest is left out; a loop is the nearest length that it can close, and nothing is left out.
        Pieces that follow a prompt continue from its last sample. In what sizes the pieces come
        must not change the samples.

        INFILL and ACCOMPANY yield the whole piece from its first bar on, a few bars at a time, on
        the prompt's ticks and with one track for each of the prompt's, in their order; they hold
        new notes of the regions alone. A velocity of 80 on all of them leaves loudness to the
        caller.

        HUMANIZE and TRANSFER yield the prompt once, whole, changed; INTERPOLATE yields ``steps``
        pieces, one for each point between the two prompts; RENDER yields the audio of the prompt.

        A performer may also have ``score_of(request, score) -> float``: the mean log-likelihood,
        in nats a cell or token, of what ``score`` holds in the regions; higher is likelier.

        Raises:
            NotSupported: if the request asks for what this system cannot do.
            CannotBeMet: if no output could keep the promises together.
        """
        ...


@dataclass(frozen=True)
class Card:
    """What a system is: found by the catalogue, read by the CLI, server and studio.

    ``conditions`` are the types that its requests may hold.
    """

    name: str
    paper: Paper
    summary: str
    tasks: frozenset[Task]
    controls: type[Controls]
    presets: Mapping[str, Config]
    load: Callable[[Any], Performer] = field(repr=False)  # takes a runtime ``ModelFolder``
    makes: Kind = "score"
    conditions: frozenset[type[Condition]] = frozenset()
    has_codes: bool = False  # gives codes, and goes on from them

    def check_task(self, task: Task) -> None:
        """Raise NotSupported unless this system serves ``task``."""
        if task not in self.tasks:
            can = ", ".join(sorted(self.tasks))
            raise NotSupported(f"{self.name} cannot {task}; it can {can}")

    def check_conditions(self, conditions: Iterable[Condition]) -> None:
        """Raise NotSupported unless this system takes these conditions; name those it takes."""
        refused = sorted(each.name for each in conditions if type(each) not in self.conditions)
        if refused:
            takes = ", ".join(sorted(kind.name for kind in self.conditions)) or "none"
            raise NotSupported(
                f"{self.name} takes no condition {', '.join(refused)}; it takes: {takes}"
            )

    def check_defaults(self, defaults: Mapping[str, Any]) -> None:
        """Check the controls among a model's defaults, and in the tables by task inside them.

        Raises:
            ConfigError: for a value that no control of this system takes.
        """
        waiting = [("defaults", defaults)]
        while waiting:
            where, table = waiting.pop()
            known = {k: v for k, v in table.items() if k in self.controls.model_fields}
            validate_config(self.controls, known, where, strict=True)
            waiting += [(f"{where}.{k}", v) for k, v in table.items() if isinstance(v, Mapping)]

"""A loaded model that plays."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from partimento import catalog
from partimento.config import validate_config
from partimento.errors import CannotBeMet, MusicError, NotSupported
from partimento.music import (
    ChordSymbol,
    Key,
    KeySignature,
    Score,
    Tempo,
    Timeline,
    TimeSignature,
)
from partimento.music.key_finding import estimate_key
from partimento.music.timeline import DEFAULT_QUARTERS_PER_MINUTE
from partimento.music.transform import concatenate, join
from partimento.prompts import places, read_prompt, ready_prompt
from partimento.recipe import (
    Recipe,
    current_versions,
    promises_from_record,
    promises_to_record,
)
from partimento.result import Result
from partimento.runtime.contract import Card, Controls, Performer, Request, Task
from partimento.runtime.folder import ModelFolder
from partimento.seeds import generator, new_seed
from partimento.wishes import Ranges, Wishes

__all__ = ["PRECISIONS", "Instrument", "Plan", "Progress", "bar_count", "load"]

Progress = Callable[[int, int], None]  # (bars done, bars asked)

PRECISIONS = ("int8", "fp32")
_DEFAULT_BARS = 16
_DEFAULT_ADDED_BARS = 8


@dataclass(frozen=True)
class Plan:
    """One request in full: all that a stream needs, and its recipe."""

    request: Request
    controls: Controls
    recipe: Recipe
    tempo: float | None  # None where the model may choose
    join_ticks: int = 0  # where new material starts in the prompt


class Instrument:
    """A loaded model. It holds weights only: one instrument may serve many callers."""

    def __init__(
        self,
        folder: ModelFolder,
        card: Card,
        performer: Performer,
        *,
        precision: str = "int8",
        threads: int | None = None,
        opened_by_path: str = "",
    ) -> None:
        self.folder = folder
        self.card = card
        self.precision = precision
        self.threads = threads
        self._performer = performer
        self._opened_by_path = opened_by_path

    @property
    def name(self) -> str:
        """The model's name."""
        return self.folder.name

    def __repr__(self) -> str:
        return f"<Instrument {self.name} ({self.card.name}, {self.precision})>"

    def generate(
        self,
        bars: int | None = None,
        seconds: float | None = None,
        tempo: float | None = None,
        key: str | Key | None = None,
        time_signature: str | TimeSignature | None = None,
        chords: str | tuple[str, ...] | None = None,
        range: Ranges | None = None,
        polyphony: int | None = None,
        max_silence: float | None = None,
        seed: int | None = None,
        progress: Progress | None = None,
        **controls: Any,
    ) -> Result:
        """Make a piece from nothing but these wishes (``partimento.wishes.Wishes`` tells each).

        ``controls`` are the system's own, such as ``temperature``; ``describe`` lists them.
        The same seed and wishes give the same piece. ``progress`` is told (bars done, bars asked).

        Raises:
            MusicError: for a wish that does not parse.
            CannotBeMet: for wishes that no music could keep.
            NotSupported: for what this model cannot do.
            ConfigError: for an unknown or wrong control.
        """
        wishes = _wishes(locals())
        return self.perform(self.plan(Task.GENERATE, wishes, controls, seed=seed), progress)

    def generate_many(self, count: int, *, seed: int | None = None, **same: Any) -> list[Result]:
        """Make ``count`` pieces of the same wishes with the seeds ``seed``, ``seed + 1``, ..."""
        if count < 1:
            raise MusicError(f"the number of samples is at least 1, not {count}")
        first = new_seed() if seed is None else seed
        return [self.generate(seed=first + i, **same) for i in _numbers(count)]

    def continue_(
        self,
        prompt: Score | str | Path,
        bars: int | None = None,
        seconds: float | None = None,
        tempo: float | None = None,
        key: str | Key | None = None,
        time_signature: str | TimeSignature | None = None,
        chords: str | tuple[str, ...] | None = None,
        range: Ranges | None = None,
        polyphony: int | None = None,
        max_silence: float | None = None,
        seed: int | None = None,
        progress: Progress | None = None,
        **controls: Any,
    ) -> Result:
        """Go on from a prompt: every note of it is kept, and exactly ``bars`` (8) bars are added.

        New bars start at the first bar line at or after the prompt's end. Tempo and metre are
        those that rule there unless others are asked. Wishes bind the new bars alone.

        Raises:
            FileError: if a prompt given by its path cannot be read.
            MusicError, CannotBeMet, NotSupported, ConfigError: as in ``generate``.
        """
        wishes = _wishes(locals())
        plan = self.plan(Task.CONTINUE, wishes, controls, seed=seed, prompt=prompt)
        return self.perform(plan, progress)

    def stream(
        self,
        prompt: Score | str | Path | None = None,
        bars: int | None = None,
        seconds: float | None = None,
        seed: int | None = None,
        **wishes_and_controls: Any,
    ) -> Iterator[Score]:
        """Yield pieces of one bar or a few, each as soon as it is made; endless without an end.

        Takes the same wishes and controls as ``generate``. A piece starts at tick 0 and advances
        the whole by its ``length_ticks``. The prompt is not yielded.
        """
        fields = Wishes.model_fields
        asked = {k: v for k, v in wishes_and_controls.items() if k in fields}
        controls = {k: v for k, v in wishes_and_controls.items() if k not in fields}
        wishes = validate_config(Wishes, {"bars": bars, "seconds": seconds, **asked}, "stream")
        task = Task.GENERATE if prompt is None else Task.CONTINUE
        endless = bars is None and seconds is None
        return self.pieces(
            self.plan(task, wishes, controls, seed=seed, prompt=prompt, endless=endless)
        )

    def infill(self, *_args: Any, **_wishes: Any) -> Result:
        """Write the bars missing inside a piece; raises NotSupported until a system can."""
        return self._not_yet(Task.INFILL)

    def accompany(self, *_args: Any, **_wishes: Any) -> Result:
        """Add parts to a melody; raises NotSupported until a system can."""
        return self._not_yet(Task.ACCOMPANY)

    def interpolate(self, *_args: Any, **_wishes: Any) -> Result:
        """Go from one piece to another; raises NotSupported until a system can."""
        return self._not_yet(Task.INTERPOLATE)

    def plan(
        self,
        task: Task,
        wishes: Wishes,
        controls: Mapping[str, Any],
        *,
        seed: int | None = None,
        prompt: Score | str | Path | None = None,
        endless: bool = False,
    ) -> Plan:
        """Return a request in full, everything parsed and checked, nothing played yet."""
        self.card.check_task(task)
        score, record = read_prompt(prompt)
        metre: TimeSignature | None = None
        at, ruling_tempo = 0, None
        if score is not None:
            score, at, metre, ruling_tempo = ready_prompt(score)
        defaults = self.folder.config.get("defaults", {})
        if wishes.max_silence is None and defaults.get("max_silence") is not None:
            wishes = wishes.model_copy(update={"max_silence": float(defaults["max_silence"])})
        asked_tempo = wishes.tempo
        tempo = _first_known(asked_tempo, ruling_tempo, defaults.get("tempo"))
        if tempo is None and wishes.seconds is not None:
            tempo = asked_tempo = (
                DEFAULT_QUARTERS_PER_MINUTE  # seconds are bars only at a known tempo
            )
        checked = Tempo(0, DEFAULT_QUARTERS_PER_MINUTE if tempo is None else tempo)
        bars = int(defaults.get("bars") or _DEFAULT_BARS)
        if task is Task.CONTINUE:
            bars = _DEFAULT_ADDED_BARS
        promises = wishes.promises(
            None if endless else bars, checked.quarters_per_minute, metre or _metre_of(defaults)
        )
        if metre is not None and promises.time_signature is None:
            promises = replace(promises, time_signature=metre)
        settings = self._controls(controls)
        recipe = Recipe(
            system=self.card.name,
            model=self.name,
            model_hash=self.folder.hash,
            model_path=self._opened_by_path,
            task=task,
            promises=promises_to_record(promises),
            tempo=asked_tempo,
            controls=settings.model_dump(mode="json"),
            seed=new_seed() if seed is None else _checked_seed(seed),
            precision=self.precision,
            threads=self.threads,
            prompt=record,
            versions=current_versions(),
        )
        return Plan(Request(task, promises, score, tempo, endless), settings, recipe, tempo, at)

    def plan_again(self, recipe: Recipe, prompt: Score | None = None) -> Plan:
        """Return the request that a recipe records; ``prompt`` is what its file holds."""
        score, at, ruling_tempo = prompt, 0, None
        if prompt is not None:
            score, at, _, ruling_tempo = ready_prompt(prompt)
        defaults = self.folder.config.get("defaults", {})
        tempo = _first_known(recipe.tempo, ruling_tempo, defaults.get("tempo"))
        settings = validate_config(self.card.controls, recipe.controls, "recipe.controls")
        promises = promises_from_record(recipe.promises)
        endless = promises.bars is None
        return Plan(
            Request(recipe.task, promises, score, tempo, endless), settings, recipe, tempo, at
        )

    def pieces(self, plan: Plan) -> Iterator[Score]:
        """Yield the pieces of a plan, each with its tempo and what the promises say of it."""
        promises = plan.request.promises
        metre = promises.time_signature
        rng = generator(plan.recipe.seed)
        for piece in self._performer.stream(plan.request, plan.controls, rng):
            if not isinstance(piece, Score):
                raise NotSupported(f"{self.card.name} makes sound, not notes; not served here yet")
            changes: dict[str, Any] = {}
            if plan.recipe.tempo is not None or not piece.tempos:
                changes["tempos"] = (Tempo(0, plan.tempo or DEFAULT_QUARTERS_PER_MINUTE),)
            if piece.time_signatures:
                metre = piece.time_signatures[-1]
            elif metre is not None:
                changes["time_signatures"] = (replace(metre, onset_ticks=0),)
            if promises.key is not None:
                changes["key_signatures"] = (KeySignature(0, promises.key),)
            yield replace(piece, **changes)

    def perform(self, plan: Plan, progress: Progress | None = None) -> Result:
        """Play a plan to its end and return the whole."""
        started = time.perf_counter()
        stop = plan.recipe.stopped_after_bars
        asked = stop or plan.request.promises.bars
        if asked is None:
            raise MusicError("a stream without an end is no whole piece; ask for bars")
        pieces: list[Score] = []
        done = 0
        for piece in self.pieces(plan):
            pieces.append(piece)
            done += bar_count(piece)
            if progress is not None:
                progress(min(done, asked), asked)
            if stop is not None and done >= stop:
                break
        result = self.result_of(pieces, plan, time.perf_counter() - started)
        if stop is None and done != asked:
            raise CannotBeMet(f"{self.name} made {done} bars of {asked}; please report this")
        return result

    def result_of(self, pieces: Iterable[Score], plan: Plan, seconds_taken: float = 0.0) -> Result:
        """Return the pieces of a plan as one whole, after its prompt if it has one."""
        pieces = tuple(pieces)
        recipe = plan.recipe.model_copy(update={"streamed": False})
        made = _with_chords(join(pieces), plan)
        if plan.request.prompt is not None:
            onto = places(plan.request.prompt, made)
            made = concatenate(plan.request.prompt, made, plan.join_ticks, onto)
        else:
            made = replace(made, title=f"{self.name}, seed {plan.recipe.seed}")
        made = replace(_with_key(made), recipe=recipe.to_json())
        return Result(made, recipe, seconds_taken, pieces if plan.recipe.streamed else ())

    def nll(self, score: Score) -> npt.NDArray[np.float64]:
        """Return the negative log-likelihood of each token of a score, in nats.

        Raises:
            NotSupported: if this model tells no likelihoods or cannot hold the score.
        """
        measure = getattr(self._performer, "nll", None)
        if measure is None:
            raise NotSupported(f"{self.card.name} tells no likelihoods")
        tokens = getattr(self._performer, "representation").encode(score)  # noqa: B009
        return np.asarray(measure(tokens), dtype=np.float64)

    def _controls(self, given: Mapping[str, Any]) -> Controls:
        schema = self.card.controls
        defaults = self.folder.config.get("defaults", {})
        values = {k: v for k, v in defaults.items() if k in schema.model_fields}
        values.update({k: v for k, v in given.items() if v is not None})
        return validate_config(schema, values, "controls")

    def _not_yet(self, task: Task) -> Result:
        self.card.check_task(task)
        raise NotSupported(f"{task} is not served by this version")


def bar_count(piece: Score) -> int:
    """Return how many bars a piece of a stream advances; notes may outlast it."""
    is_written = piece.written_length_ticks > 0
    return len(Timeline(replace(piece, tracks=()) if is_written else piece).bars)


def load(
    name_or_path: str | Path | None = None,
    *,
    threads: int | None = None,
    precision: str | None = None,
    task: Task = Task.GENERATE,
    prompt: Score | None = None,
) -> Instrument:
    """Return a loaded model.

    Args:
        name_or_path: a name that ``models`` lists or a model folder; None takes the default for
            ``task`` and ``prompt``.
        threads: how many threads decode; None lets the machine choose.
        precision: ``"int8"`` or ``"fp32"``; None takes int8 where the model has it.

    Raises:
        ModelError: if there is no such model, or its folder is incomplete or altered.
        NotSupported: if the model lacks this precision.
    """
    if precision is not None and precision not in PRECISIONS:
        raise NotSupported(f"precision is {' or '.join(PRECISIONS)}, not {precision!r}")
    if threads is not None and threads < 1:
        raise NotSupported(f"threads are 1 or more, not {threads}")
    name = catalog.default_model(task, prompt) if name_or_path is None else name_or_path
    folder = catalog.open_model(name)
    graphs = folder.config["graphs"]
    precision = precision or next((p for p in PRECISIONS if p in graphs), PRECISIONS[0])
    card = catalog.find_card(folder.system)
    make = cast("Callable[..., Performer]", card.load)
    performer = make(folder, threads=threads, precision=precision)
    by_path = "" if str(name) == folder.name else str(name)
    return Instrument(
        folder, card, performer, precision=precision, threads=threads, opened_by_path=by_path
    )


def _wishes(arguments: Mapping[str, Any]) -> Wishes:
    """Return the wishes among a method's arguments."""
    values = {name: arguments[name] for name in Wishes.model_fields}
    return validate_config(Wishes, values, "wishes")


def _numbers(count: int) -> range:
    return range(count)  # inside the methods above, ``range`` is the pitch range


def _first_known(*values: float | None) -> float | None:
    return next((float(value) for value in values if value is not None), None)


def _checked_seed(seed: int) -> int:
    if seed < 0:
        raise MusicError(f"a seed is a non-negative integer, not {seed}")
    return seed


def _metre_of(defaults: Mapping[str, Any]) -> TimeSignature:
    metre = Wishes(time_signature=defaults.get("time_signature")).metre()
    return metre or TimeSignature(0, 4, 4)


def _with_key(made: Score) -> Score:
    """Return the score in the key that its notes are most likely in, where it states none."""
    key = None if made.key_signatures else estimate_key(made)
    return made if key is None else replace(made, key_signatures=(KeySignature(0, key),))


def _with_chords(made: Score, plan: Plan) -> Score:
    """Return the score with the chords that were asked written over its bars."""
    promises = plan.request.promises
    if not promises.chords or made.chords:
        return made
    symbols: list[ChordSymbol] = []
    for bar in Timeline(made).bars:
        chord = promises.chord_of_bar(bar.index)
        if chord is not None and (not symbols or symbols[-1].chord != chord):
            symbols.append(ChordSymbol(bar.onset_ticks, chord))
    return replace(made, chords=tuple(symbols))

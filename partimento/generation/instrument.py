"""A loaded model that makes music."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from partimento import catalog, sound
from partimento.config import validate_config
from partimento.errors import NotSupported
from partimento.generation.assemble import (
    Extras,
    OnDraft,
    Progress,
    notes_of,
    only_pieces,
    part_of,
    sound_of,
    whole_of,
    whole_score,
)
from partimento.generation.editing import asked_record
from partimento.generation.options import MusicalOptions, Ranges
from partimento.generation.prompts import Sketch, read_prompt
from partimento.generation.ranking import Ranked, rank
from partimento.generation.requests import (
    REWRITES,
    Plan,
    Steer,
    as_controls,
    as_written,
    bar_count,
    humanize_amount,
    made_again,
    made_of,
    plan_of,
    prompts_for,
    seeds_from,
    steered,
    with_conditions,
)
from partimento.generation.result import Result
from partimento.music import Audio, Key, Piece, Score, TimeSignature
from partimento.recipe import Recipe, RewriteRecord, current_versions, promises_to_record
from partimento.runtime.conditions import Condition, conditions_from_record, conditions_to_record
from partimento.runtime.contract import Card, Controls, Kind, Performer, Request, Task
from partimento.runtime.model_folder import ModelFolder
from partimento.seeds import generator

__all__ = ["Instrument", "Plan", "Progress", "Steer", "bar_count"]


class Instrument:
    """A loaded model. It holds weights only: one instrument may serve many callers.

    A piece is given as a path, a ``Score``, an ``Audio`` or a ``Result``. ``progress`` is called
    with (done, asked), in bars or seconds, after each piece; an exception cancels the request.
    """

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
        self.folder, self.card = folder, card
        self.precision, self.threads = precision, threads
        self._performer = performer
        self._opened_by_path = opened_by_path

    @property
    def name(self) -> str:
        """The model's name."""
        return self.folder.name

    @property
    def makes(self) -> Kind:
        """What it makes: ``"score"`` or ``"audio"``."""
        return self.card.makes

    @property
    def tasks(self) -> tuple[str, ...]:
        """What it can be asked to do, such as ``"generate"``, sorted."""
        return tuple(sorted(str(task) for task in self.card.tasks))

    @property
    def controls(self) -> dict[str, Any]:
        """The JSON Schema of its controls, with the defaults of this model."""
        schema = self.card.controls.model_json_schema()
        for name, entry in schema.get("properties", {}).items():
            if not isinstance(self._defaults.get(name), dict | None):
                entry["default"] = self._defaults[name]
        return schema

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
        ending: str | None = None,
        humanize: float | None = None,
        loop: bool = False,
        conditions: Sequence[Condition] | None = None,
        seed: int | None = None,
        progress: Progress | None = None,
        **controls: Any,
    ) -> Result:
        """Generate a piece with these properties (see ``generation/options.py``).

        ``controls`` are the system's own, such as ``temperature``. The same seed and options give
        the same piece. Models of sound take ``seconds``, ``loop``, conditions and controls.

        Raises:
            MusicError, ConfigError: for an option that does not parse or is out of range.
            CannotBeMet, NotSupported: for properties that exclude each other; for this model.
        """
        wishes = _wishes(locals())
        return self.perform(self.plan(Task.GENERATE, wishes, controls, seed=seed), progress)

    def generate_many(self, count: int, *, seed: int | None = None, **same: Any) -> list[Result]:
        """Generate ``count`` pieces with the seeds ``seed``, ``seed + 1`` and so on."""
        return [self.generate(seed=each, **same) for each in seeds_from(count, seed)]

    def continue_(
        self,
        prompt: Sketch,
        bars: int | None = None,
        seconds: float | None = None,
        tempo: float | None = None,
        key: str | Key | None = None,
        time_signature: str | TimeSignature | None = None,
        chords: str | tuple[str, ...] | None = None,
        range: Ranges | None = None,
        polyphony: int | None = None,
        max_silence: float | None = None,
        ending: str | None = None,
        conditions: Sequence[Condition] | None = None,
        seed: int | None = None,
        progress: Progress | None = None,
        **controls: Any,
    ) -> Result:
        """Continue a prompt: every note of it is kept, and exactly ``bars`` (8) bars are added.

        A model that makes sound continues sound, and adds exactly ``seconds``. New bars start at
        the first bar line at or after the prompt's end, in the tempo and metre in force there
        unless others are asked. The options apply to the new bars only.

        Raises:
            FileError: if a prompt given by its path cannot be read.
            MusicError, CannotBeMet, NotSupported, ConfigError: as in ``generate``.
        """
        wishes = _wishes(locals())
        plan = self.plan(Task.CONTINUE, wishes, controls, seed=seed, prompt=prompt)
        return self.perform(plan, progress)

    def stream(
        self,
        prompt: Sketch | None = None,
        bars: int | None = None,
        seconds: float | None = None,
        seed: int | None = None,
        steer: Steer | None = None,
        **wishes_and_controls: Any,
    ) -> Iterator[Piece]:
        """Yield pieces of one bar or a few, each as soon as it is ready; endless unless limited.

        Takes the same options as ``generate``. A piece starts at tick 0, and the next one follows
        after its ``length_ticks``. The prompt is not yielded. A model that makes sound yields
        pieces of at most a few seconds; ``steer`` is called before each with the time in seconds,
        and returns the controls that change there. To cancel, stop iterating.
        """
        fields = MusicalOptions.model_fields
        asked = {k: v for k, v in wishes_and_controls.items() if k in fields}
        controls = {k: v for k, v in wishes_and_controls.items() if k not in fields}
        given = {"bars": bars, "seconds": seconds, **asked}
        wishes = as_written(validate_config(MusicalOptions, given, "options"))
        task = Task.GENERATE if prompt is None else Task.CONTINUE
        plan = self.plan(
            task, wishes, controls, seed=seed, prompt=prompt, endless=wishes.is_endless, steer=steer
        )
        return self.sound(plan) if self.makes == "audio" else self.pieces(plan)

    def infill(
        self,
        prompt: Sketch,
        bars: str | None = None,
        tracks: str | Sequence[str] | None = None,
        *,
        lock: str | Sequence[str] = (),
        num_samples: int = 1,
        key: str | Key | None = None,
        chords: str | tuple[str, ...] | None = None,
        range: Ranges | None = None,
        polyphony: int | None = None,
        conditions: Sequence[Condition] | None = None,
        seed: int | None = None,
        progress: Progress | None = None,
        **controls: Any,
    ) -> Result:
        """Regenerate some bars of some tracks; every other note and mark stays as it is.

        Args:
            prompt: the whole piece; a file is not modified.
            bars: ``"9:12,20:24"``, counted from 1, both ends included; None for all.
            tracks: names or numbers, in a list or separated by commas; None for all pitched ones.
            lock: what is kept within them: ``"Viola"``, ``"9:10"``, ``"Viola:9:10"``, or one note,
                ``"Viola 9.2 C4"`` (bar, beat, pitch).
            num_samples: so many are made and the best is returned; ``infill_many`` returns all.
            key, chords, range, polyphony: as in ``generate``, for the new notes; a chord line
                starts at the first of the bars; ``"recognise"`` takes the chords of what is kept.
            seed, progress, controls: as in ``generate``.

        Raises:
            FileError: if a prompt given by its path cannot be read.
            MusicError: for bars, tracks or locks that do not exist; lists those that do.
            CannotBeMet: if the locks leave nothing to write, or options exclude each other.
            NotSupported, ConfigError: as in ``generate``.
        """
        wishes, seeds = _wishes(locals()), seeds_from(num_samples, seed)
        asked = asked_record(bars, tracks, lock)
        return self.rewrite(Task.INFILL, prompt, asked, wishes, controls, seeds, progress)[0].result

    def infill_many(
        self, count: int, prompt: Sketch, *, progress: Progress | None = None, **same: Any
    ) -> list[Ranked]:
        """Make ``count`` alternatives of one ``infill``, the best first, with the reasons."""
        return self._many(Task.INFILL, count, prompt, progress, same)

    def accompany(
        self,
        prompt: Sketch,
        tracks: str | Sequence[str] | None = None,
        *,
        lock: str | Sequence[str] = (),
        num_samples: int = 1,
        key: str | Key | None = None,
        chords: str | tuple[str, ...] | None = None,
        range: Ranges | None = None,
        polyphony: int | None = None,
        conditions: Sequence[Condition] | None = None,
        seed: int | None = None,
        progress: Progress | None = None,
        **controls: Any,
    ) -> Result:
        """Add parts to a piece; the parts that it has stay as they are.

        Args:
            prompt: the piece, such as a melody.
            tracks: the parts to add, ``"Alto,Tenor,Bass"`` or a list; None for all of the model's
                that the piece lacks. A named part that exists already is regenerated.
            lock, num_samples, key, chords, range, polyphony, seed, progress, controls: as in
                ``infill``.

        Raises:
            FileError, MusicError, CannotBeMet, NotSupported, ConfigError: as in ``infill``.
        """
        wishes, seeds = _wishes(locals()), seeds_from(num_samples, seed)
        asked = asked_record(None, tracks, lock)
        found = self.rewrite(Task.ACCOMPANY, prompt, asked, wishes, controls, seeds, progress)
        return found[0].result

    def accompany_many(
        self, count: int, prompt: Sketch, *, progress: Progress | None = None, **same: Any
    ) -> list[Ranked]:
        """Make ``count`` alternatives of one ``accompany``, the best first, with the reasons."""
        return self._many(Task.ACCOMPANY, count, prompt, progress, same)

    def rewrite(
        self,
        task: Task,
        prompt: Sketch,
        asked: RewriteRecord,
        wishes: MusicalOptions,
        controls: Mapping[str, Any],
        seeds: Sequence[int],
        progress: Progress | None = None,
    ) -> list[Ranked]:
        """Answer INFILL or ACCOMPANY once for each seed and return the answers, the best first."""
        catalog.check_task(self.card, task)
        given = read_prompt(prompt)
        plans = [
            self.plan(task, wishes, controls, seed=seed, prompt=given, rewrite=asked)
            for seed in seeds
        ]
        results = [self.perform(p, part_of(progress, i, len(plans))) for i, p in enumerate(plans)]
        request = plans[0].request
        score_of = getattr(self._performer, "score_of", None)
        if score_of is None or len(results) == 1:
            return rank(results, request)
        return rank(results, request, [score_of(request, result.score) for result in results])

    def interpolate(self, first: Sketch, second: Sketch, steps: int = 8, **options: Any) -> Result:
        """Go from one piece to another; the whole is the steps, which are the result's ``pieces``.

        Args:
            first, second: the ends: what the model makes, notes or sound, or their files.
            steps: how many pieces, both ends among them.
            options: ``seed``, ``progress``, ``conditions``, and the system's own controls.

        Raises:
            FileError, MusicError, NotSupported, ConfigError: as in ``continue_``.
        """
        return self._from_prompts(Task.INTERPOLATE, (first, second), options, steps)

    def render_score(self, score: Sketch, **options: Any) -> Result:
        """Return the sound of a score as the model plays it; options as in ``interpolate``."""
        return self._from_prompts(Task.RENDER, (score,), options)

    def transfer(self, content: Sketch, like: Sketch | None = None, **options: Any) -> Result:
        """Return a piece in another style: that of the piece ``like``, or of the conditions.

        Options as in ``interpolate``; ``conditions=(StyleCondition("ragtime"),)`` names a style.
        """
        prompts = (content,) if like is None else (content, like)
        return self._from_prompts(Task.TRANSFER, prompts, options)

    def _from_prompts(
        self,
        task: Task,
        prompts: tuple[Sketch, ...],
        options: Mapping[str, Any],
        steps: int | None = None,
    ) -> Result:
        controls = dict(options)
        seed, progress = controls.pop("seed", None), controls.pop("progress", None)
        wishes = validate_config(
            MusicalOptions, {"conditions": controls.pop("conditions", None)}, "options"
        )
        plan = self.plan(task, wishes, controls, seed=seed, prompt=prompts, steps=steps)
        return self.perform(plan, progress)

    def plan(
        self,
        task: Task,
        wishes: MusicalOptions,
        controls: Mapping[str, Any],
        *,
        seed: int | None = None,
        prompt: Sketch | tuple[Sketch, ...] | None = None,
        endless: bool = False,
        rewrite: RewriteRecord | None = None,
        steer: Steer | None = None,
        steps: int | None = None,
    ) -> Plan:
        """Return a complete request, everything parsed and checked, nothing played yet.

        ``prompt`` is one or, for tasks that take several, a tuple. ``rewrite`` says what INFILL or
        ACCOMPANY regenerate; other tasks take none. ``steer`` changes controls of a model that
        makes sound while it plays. ``steps`` is of INTERPOLATE.
        """
        catalog.check_task(self.card, task)
        conditions = wishes.conditions or ()
        self.card.check_conditions(conditions)
        given = prompts_for(self.card, self.name, prompt, task)
        asked = rewrite or RewriteRecord() if task in REWRITES else None
        wishes, controls = as_controls(self.card, wishes, controls)
        made = made_of(self.card, self.folder.config, task, wishes, given, endless, asked, steps)
        made = with_conditions(made, conditions)
        settings = self._controls(made.request, controls)
        recipe = Recipe(
            system=self.card.name,
            model=self.name,
            model_hash=self.folder.hash,
            model_path=self._opened_by_path,
            task=task,
            promises=promises_to_record(made.request.promises),
            tempo=made.asked_tempo,
            controls=settings.model_dump(mode="json"),
            seed=seeds_from(1, seed)[0],
            precision=self.precision,
            threads=self.threads,
            prompt=given[0].record if given else None,
            other_prompts=tuple(each.record for each in given[1:]),
            conditions=conditions_to_record(conditions),
            steps=steps,
            humanize=humanize_amount(self.card, self.folder.config, task, wishes),
            rewrite=asked,
            seconds=made.request.duration_seconds,
            loop=made.request.is_loop,
            soundfont="" if self.makes == "audio" else str(sound.chosen_soundfont(None) or ""),
            versions=current_versions(),
        )
        if steer is not None:
            steering, request = steer, made.request
            made = steered(
                made, lambda at: self._controls(request, {**controls, **(steering(at) or {})})
            )
        return plan_of(made, settings, recipe, given)

    def plan_again(self, recipe: Recipe, prompt: Sketch | tuple[Sketch, ...] | None = None) -> Plan:
        """Return the request that a recipe records; ``prompt`` is its prompt or prompts."""
        settings = validate_config(self.card.controls, recipe.controls, "recipe.controls")
        given = prompts_for(self.card, self.name, prompt, recipe.task)
        made = made_again(self.card, self.folder.config, recipe, given)
        conditions = conditions_from_record(recipe.conditions)
        return plan_of(with_conditions(made, conditions), settings, recipe, given)

    def pieces(self, plan: Plan, extras: Extras | None = None) -> Generator[Score]:
        """Yield the pieces of a plan of notes, each with its tempo, metre and key.

        Those of INFILL and ACCOMPANY hold only the new notes, at their places in the whole piece.
        Drafts and codes go to ``extras``.
        """
        return notes_of(self._stream(plan, extras), plan)

    def sound(self, plan: Plan, extras: Extras | None = None) -> Generator[Audio]:
        """Yield the sound of a plan of a model that makes sound, without the prompt."""
        return sound_of(self._stream(plan, extras), plan)

    def _stream(self, plan: Plan, extras: Extras | None) -> Iterator[Piece]:
        rng = generator(plan.recipe.seed)
        return only_pieces(self._performer.stream(plan.request, plan.controls, rng), extras)

    def perform(
        self, plan: Plan, progress: Progress | None = None, on_draft: OnDraft | None = None
    ) -> Result:
        """Play a plan to its end and return the whole; ``on_draft`` is called with each draft.

        Raises:
            CannotBeMet: if what is made is silent.
        """
        extras = Extras(on_draft)
        result = whole_of(self._stream(plan, extras), plan, self.name, self.makes, progress)
        codes = extras.codes and replace(extras.codes, recipe=result.recipe.to_json())
        return replace(result, codes=codes)

    def result_of(self, pieces: Iterable[Score], plan: Plan, seconds_taken: float = 0.0) -> Result:
        """Return the pieces of a plan of notes as one, after its prompt if it has one."""
        return whole_score(tuple(pieces), plan, self.name, seconds_taken)

    def nll(self, score: Score) -> npt.NDArray[np.float64]:
        """Return the negative log-likelihood of each token of a score, in nats.

        Raises:
            NotSupported: if this model has no likelihoods or cannot represent the score.
        """
        measure = getattr(self._performer, "nll", None)
        if measure is None:
            raise NotSupported(f"{self.card.name} has no likelihoods")
        tokens = getattr(self._performer, "representation").encode(score)  # noqa: B009
        return np.asarray(measure(tokens), dtype=np.float64)

    @property
    def _defaults(self) -> Mapping[str, Any]:
        defaults: Mapping[str, Any] = self.folder.config.get("defaults", {})
        return defaults

    def _controls(self, request: Request, given: Mapping[str, Any]) -> Controls:
        """Return the controls: those given, over the model's defaults by task and ensemble."""
        schema = self.card.controls
        defaults: dict[str, Any] = {}
        ensemble_of = getattr(self._performer, "ensemble_of", None)
        ensemble = "" if ensemble_of is None else ensemble_of(request, given.get("ensemble"))
        for table in (self._defaults, self._defaults.get(str(request.task), {})):
            own = table.get(ensemble)
            defaults |= {**table, **(own if isinstance(own, Mapping) else {})}
        values = {k: v for k, v in defaults.items() if k in schema.model_fields}
        values.update({k: v for k, v in given.items() if v is not None})
        return validate_config(schema, values, "controls")

    def _many(
        self,
        task: Task,
        count: int,
        prompt: Sketch,
        progress: Progress | None,
        same: Mapping[str, Any],
    ) -> list[Ranked]:
        given = dict(same)
        seeds = seeds_from(count, given.pop("seed", None))
        bars = given.pop("bars", None) if task is Task.INFILL else None
        asked = asked_record(bars, given.pop("tracks", None), given.pop("lock", ()))
        wishes = {name: given.pop(name) for name in MusicalOptions.model_fields if name in given}
        checked = validate_config(MusicalOptions, wishes, "options")
        return self.rewrite(task, prompt, asked, checked, given, seeds, progress)


def _wishes(arguments: Mapping[str, Any]) -> MusicalOptions:
    """Return the options among a method's arguments; ``bars`` of ``infill`` is none."""
    names = [name for name in MusicalOptions.model_fields if name in arguments]
    if "lock" in arguments:
        names = [name for name in names if name != "bars"]
    return validate_config(MusicalOptions, {name: arguments[name] for name in names}, "options")

"""From wishes to requests: what a plan holds, and how one is made for music that is new."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from partimento.errors import MusicError
from partimento.music import (
    ChordSymbol,
    KeySignature,
    Promises,
    Score,
    Tempo,
    Timeline,
    TimeSignature,
)
from partimento.music.key_finding import estimate_key
from partimento.music.timeline import DEFAULT_QUARTERS_PER_MINUTE
from partimento.prompts import ready_prompt
from partimento.recipe import Recipe, promises_from_record
from partimento.runtime.contract import Controls, Request, Task
from partimento.seeds import new_seed
from partimento.wishes import Wishes

__all__ = [
    "REWRITES",
    "NewMusic",
    "Plan",
    "bar_count",
    "new_music",
    "new_music_again",
    "plan_of",
    "seeds_from",
    "with_chords",
    "with_key",
]

REWRITES = (Task.INFILL, Task.ACCOMPANY)  # tasks that write into a prompt
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


@dataclass(frozen=True)
class NewMusic:
    """A request for new bars, from nothing or after a prompt."""

    request: Request
    asked_tempo: float | None  # quarters a minute; None where nobody asked
    join_ticks: int = 0


def new_music(
    task: Task,
    wishes: Wishes,
    prompt: Score | None,
    defaults: Mapping[str, Any],
    endless: bool = False,
) -> NewMusic:
    """Return the request that wishes come to; ``defaults`` are the model's.

    Raises:
        MusicError, CannotBeMet: for wishes that make no sense or exclude each other.
    """
    metre: TimeSignature | None = None
    at, ruling_tempo = 0, None
    if prompt is not None:
        prompt, at, metre, ruling_tempo = ready_prompt(prompt)
    if wishes.max_silence is None and defaults.get("max_silence") is not None:
        wishes = wishes.model_copy(update={"max_silence": float(defaults["max_silence"])})
    asked_tempo = wishes.tempo
    tempo = _first_known(asked_tempo, ruling_tempo, defaults.get("tempo"))
    if tempo is None and wishes.seconds is not None:
        # Seconds are bars only at a known tempo.
        tempo = asked_tempo = DEFAULT_QUARTERS_PER_MINUTE
    checked = Tempo(0, DEFAULT_QUARTERS_PER_MINUTE if tempo is None else tempo)
    bars = int(defaults.get("bars") or _DEFAULT_BARS)
    if task is Task.CONTINUE:
        bars = _DEFAULT_ADDED_BARS
    promises = wishes.promises(
        None if endless else bars, checked.quarters_per_minute, metre or _metre_of(defaults)
    )
    if metre is not None and promises.time_signature is None:
        promises = replace(promises, time_signature=metre)
    return NewMusic(Request(task, promises, prompt, tempo, endless), asked_tempo, at)


def new_music_again(recipe: Recipe, prompt: Score | None, defaults: Mapping[str, Any]) -> NewMusic:
    """Return the request that a recipe records."""
    at, ruling_tempo = 0, None
    if prompt is not None:
        prompt, at, _, ruling_tempo = ready_prompt(prompt)
    tempo = _first_known(recipe.tempo, ruling_tempo, defaults.get("tempo"))
    promises: Promises = promises_from_record(recipe.promises)
    request = Request(recipe.task, promises, prompt, tempo, promises.bars is None)
    return NewMusic(request, recipe.tempo, at)


def plan_of(made: NewMusic, controls: Controls, recipe: Recipe) -> Plan:
    """Return the plan of a request."""
    tempo = made.request.tempo_quarters_per_minute
    return Plan(made.request, controls, recipe, tempo, made.join_ticks)


def seeds_from(count: int, first: int | None = None) -> range:
    """Return ``count`` seeds that follow each other, from ``first`` on; None draws it.

    Raises:
        MusicError: if there is none, or one is negative.
    """
    if count < 1:
        raise MusicError(f"the number of samples is at least 1, not {count}")
    if first is not None and first < 0:
        raise MusicError(f"a seed is a non-negative integer, not {first}")
    start = new_seed() if first is None else first
    return range(start, start + count)


def bar_count(piece: Score) -> int:
    """Return how many bars a piece of a stream advances; notes may outlast it."""
    is_written = piece.written_length_ticks > 0
    return len(Timeline(replace(piece, tracks=()) if is_written else piece).bars)


def with_key(made: Score) -> Score:
    """Return the score in the key that its notes are most likely in, where it states none."""
    key = None if made.key_signatures else estimate_key(made)
    return made if key is None else replace(made, key_signatures=(KeySignature(0, key),))


def with_chords(made: Score, promises: Promises) -> Score:
    """Return the score with the chords that were asked written over its bars."""
    if not promises.chords or made.chords:
        return made
    symbols: list[ChordSymbol] = []
    for bar in Timeline(made).bars:
        chord = promises.chord_of_bar(bar.index)
        if chord is not None and (not symbols or symbols[-1].chord != chord):
            symbols.append(ChordSymbol(bar.onset_ticks, chord))
    return replace(made, chords=tuple(symbols))


def _first_known(*values: float | None) -> float | None:
    return next((float(value) for value in values if value is not None), None)


def _metre_of(defaults: Mapping[str, Any]) -> TimeSignature:
    metre = Wishes(time_signature=defaults.get("time_signature")).metre()
    return metre or TimeSignature(0, 4, 4)

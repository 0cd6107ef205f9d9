"""From a user's options to requests: what a plan holds, and how plans for new music are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from partimento.analysis.cadences import closing_of
from partimento.analysis.keys import estimate_key, keys_of
from partimento.errors import FileError, MusicError, NotSupported
from partimento.files import Source
from partimento.generation.editing import rewrite_again, rewrite_request
from partimento.generation.endings import with_ending
from partimento.generation.options import MusicalOptions, parsed_chords
from partimento.generation.prompts import (
    AnyPrompt,
    CodesPrompt,
    Prompt,
    Sketch,
    SoundPrompt,
    read_prompt,
    read_sketch,
    ready_prompt,
)
from partimento.music import (
    Audio,
    ChordSymbol,
    KeySignature,
    Note,
    Piece,
    Promises,
    Score,
    Tempo,
    Timeline,
    TimeSignature,
)
from partimento.music.bounds import check_whole
from partimento.music.cadences import CADENCES
from partimento.music.timeline import DEFAULT_QUARTERS_PER_MINUTE
from partimento.recipe import Recipe, RewriteRecord, promises_from_record
from partimento.representations import is_performed
from partimento.runtime.conditions import Condition
from partimento.runtime.contract import PROMPT_TASKS, Card, Controls, Request, Task
from partimento.seeds import new_seed

__all__ = [
    "REWRITES",
    "NewMusic",
    "Plan",
    "Steer",
    "as_controls",
    "as_written",
    "bar_count",
    "humanize_amount",
    "made_again",
    "made_of",
    "new_from_prompts",
    "new_music",
    "new_music_again",
    "new_sound",
    "new_sound_again",
    "plan_of",
    "prompts_for",
    "seeds_from",
    "steered",
    "with_chords",
    "with_conditions",
    "with_fade",
    "with_key",
]

_OF_NOTES = (
    "bars",
    "tempo",
    "key",
    "time_signature",
    "chords",
    "range",
    "polyphony",
    "max_silence",
    "ending",
)
# From a time in seconds to the controls that change there; None or {}: those of the start.
Steer = Callable[[float], Mapping[str, Any] | None]
REWRITES = (Task.INFILL, Task.ACCOMPANY)  # tasks that write notes into a prompt
_PROMPTS = {  # how many each task takes, at least and at most
    Task.HUMANIZE: (1, 1),
    Task.INTERPOLATE: (2, 2),
    Task.RENDER: (1, 1),
    Task.TRANSFER: (1, 2),
}
_DEFAULT_BARS = 16
_DEFAULT_ADDED_BARS = 8
_DEFAULT_SECONDS = 30.0
_DEFAULT_HUMANIZE = 0.5
_FADE_BARS, _FADE = 4, 0.8  # over which an ending fades, and by how much
_MOST_SAMPLES = 10_000
_MOST_STEPS = 1024
_MOST_SEED = 2**63 - 1


@dataclass(frozen=True)
class Plan:
    """One complete request: all that a stream needs, and its recipe."""

    request: Request
    controls: Controls
    recipe: Recipe
    tempo: float | None  # None where the model may choose
    join_ticks: int = 0  # where new material starts in the prompt
    source: Source | None = None  # the file of the prompt


@dataclass(frozen=True)
class NewMusic:
    """A request for new bars, from nothing or after a prompt."""

    request: Request
    asked_tempo: float | None  # quarters a minute; None where none was asked
    join_ticks: int = 0


def prompts_for(
    card: Card, model: str, given: Sketch | tuple[Sketch, ...] | None, task: Task
) -> list[AnyPrompt]:
    """Return the prompts, read; each must be of the kind that the system makes, notes or sound.

    That of RENDER is notes.

    Raises:
        FileError: if a file cannot be read or is of the other kind.
        MusicError: if what is in memory is of the other kind.
    """
    prompts = given if isinstance(given, tuple) else () if given is None else (given,)
    return [_prompt_for(card, model, prompt, task) for prompt in prompts]


def _prompt_for(card: Card, model: str, prompt: Sketch, task: Task) -> AnyPrompt:
    if card.makes == "score" or task is Task.RENDER:
        return read_prompt(prompt)
    given = read_sketch(prompt)
    if isinstance(given, SoundPrompt):
        return given
    remedy = "give WAV, FLAC, OGG or MP3"
    if isinstance(given, CodesPrompt):
        if card.has_codes:
            return given
        raise FileError(given.record.path, f"holds codes, and {model} has none", remedy)
    if not given.record.path:
        raise MusicError(f"{model} continues sound, not notes; {remedy}")
    raise FileError(given.record.path, f"holds notes, and {model} makes sound", remedy)


def as_controls(
    card: Card, wishes: MusicalOptions, controls: Mapping[str, Any]
) -> tuple[MusicalOptions, Mapping[str, Any]]:
    """Return options and controls, tempo and chords among the controls where a system has them.

    Raises:
        MusicError: for chords that do not parse.
    """
    if card.makes != "audio":
        return wishes, controls
    moved: dict[str, Any] = {}
    if wishes.tempo is not None and "tempo" in card.controls.model_fields:
        moved["tempo"] = wishes.tempo
    if wishes.chords is not None and "chords" in card.controls.model_fields:
        moved["chords"] = " ".join(str(chord) for chord in parsed_chords(wishes.chords))
    return wishes.model_copy(update=dict.fromkeys(moved)), {**controls, **moved}


def made_of(
    card: Card,
    config: Mapping[str, Any],
    task: Task,
    wishes: MusicalOptions,
    prompts: Sequence[AnyPrompt],
    endless: bool,
    rewrite: RewriteRecord | None,
    steps: int | None = None,
) -> NewMusic:
    """Return the request that options come to; ``config`` is the model's.

    Raises:
        MusicError, CannotBeMet, NotSupported: for options that are invalid, exclude each other, or
            do not fit what the system makes.
    """
    if task in PROMPT_TASKS:
        return new_from_prompts(task, prompts, wishes, steps)
    defaults: Mapping[str, Any] = config.get("defaults", {})
    prompt = _only(prompts)
    if card.makes == "audio":
        if isinstance(prompt, CodesPrompt):
            length = prompt.codes.seconds
            defaults = {**defaults, "seconds": length} if length else defaults
        heard = prompt.audio if isinstance(prompt, SoundPrompt) else None
        return _with_codes(new_sound(task, wishes, heard, defaults, endless), prompt)
    score = prompt.score if isinstance(prompt, Prompt) else None
    if rewrite is None:
        made = new_music(task, wishes, score, defaults, endless)
        return replace(made, request=with_ending(made.request, config))
    if score is None:
        raise MusicError(f"{task} needs a prompt: the piece to edit")
    return NewMusic(rewrite_request(task, score, rewrite, wishes, config), None)


def made_again(
    card: Card, config: Mapping[str, Any], recipe: Recipe, prompts: Sequence[AnyPrompt]
) -> NewMusic:
    """Return the request that a recipe records; ``config`` is the model's."""
    if recipe.task in PROMPT_TASKS:
        return new_from_prompts(recipe.task, prompts, MusicalOptions(), recipe.steps)
    prompt = _only(prompts)
    if card.makes == "audio":
        heard = prompt.audio if isinstance(prompt, SoundPrompt) else None
        return _with_codes(new_sound_again(recipe, heard), prompt)
    score = prompt.score if isinstance(prompt, Prompt) else None
    if recipe.task not in REWRITES:
        return new_music_again(recipe, score, config.get("defaults", {}))
    if score is None:
        raise MusicError(f"{recipe.task} needs the prompt that it edited")
    return NewMusic(rewrite_again(recipe, score, config), None)


def _with_codes(made: NewMusic, prompt: AnyPrompt | None) -> NewMusic:
    """Return a request that goes on from the codes of its prompt, where it has some."""
    if not isinstance(prompt, CodesPrompt):
        return made
    return replace(made, request=replace(made.request, codes=prompt.codes))


def steered(made: NewMusic, steer: Callable[[float], Controls]) -> NewMusic:
    """Return a request whose controls change while it plays.

    Raises:
        NotSupported: for a system that makes notes.
    """
    request = made.request
    if not request.endless and request.duration_seconds is None:
        raise NotSupported("only models that make sound can be steered while they play")
    return replace(made, request=replace(request, steer=steer))


def new_music(
    task: Task,
    wishes: MusicalOptions,
    prompt: Score | None,
    defaults: Mapping[str, Any],
    endless: bool = False,
) -> NewMusic:
    """Return the request that options come to; ``defaults`` are the model's.

    Raises:
        MusicError, CannotBeMet: for options that are invalid or exclude each other.
    """
    metre: TimeSignature | None = None
    at, ruling_tempo = 0, None
    if prompt is not None:
        prompt, at, metre, ruling_tempo = ready_prompt(prompt)
    if wishes.loop:
        raise NotSupported("loop is for models that make sound; this one makes notes")
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
    return NewMusic(Request(task, promises, _one(prompt), tempo, endless), asked_tempo, at)


def as_written(wishes: MusicalOptions) -> MusicalOptions:
    """Return the options of a stream, whose notes come as the model writes them.

    Raises:
        NotSupported: if dynamics and timing are asked.
    """
    if wishes.humanize:
        raise NotSupported("humanize needs the whole piece, so a stream has none; use generate")
    return wishes.model_copy(update={"humanize": 0.0})


def humanize_amount(
    card: Card, config: Mapping[str, Any], task: Task, wishes: MusicalOptions
) -> float:
    """Return how far the performance rules go: by default half way, for a new piece of notes.

    What is written into or after a prompt gets none, and neither do models of performance events,
    whose notes are played already; ``config`` is the model's.

    Raises:
        NotSupported: if it is asked where there is none.
    """
    if task is Task.GENERATE and card.makes == "score":
        if wishes.humanize is not None:
            return wishes.humanize
        performed = is_performed(config.get("representation", {}))
        return 0.0 if performed else _DEFAULT_HUMANIZE
    if wishes.humanize:
        raise NotSupported(
            "humanize is for new pieces of notes; use 'partimento humanize' on what was made"
        )
    return 0.0


def new_music_again(recipe: Recipe, prompt: Score | None, defaults: Mapping[str, Any]) -> NewMusic:
    """Return the request that a recipe records."""
    at, ruling_tempo = 0, None
    if prompt is not None:
        prompt, at, _, ruling_tempo = ready_prompt(prompt)
    tempo = _first_known(recipe.tempo, ruling_tempo, defaults.get("tempo"))
    promises: Promises = promises_from_record(recipe.promises)
    request = Request(recipe.task, promises, _one(prompt), tempo, promises.bars is None)
    return NewMusic(request, recipe.tempo, at)


def new_sound(
    task: Task,
    wishes: MusicalOptions,
    prompt: Audio | None,
    defaults: Mapping[str, Any],
    endless: bool = False,
) -> NewMusic:
    """Return the request that options come to, for a model that makes sound.

    A tempo is a control of such a model; ``as_controls`` has removed it from the wishes.

    Raises:
        NotSupported: for options that concern notes; names them all.
    """
    notes = [name for name in _OF_NOTES if getattr(wishes, name) is not None]
    if notes:
        raise NotSupported(
            f"{', '.join(notes)} cannot be asked of a model that makes sound; it takes seconds, "
            "loop and its controls (see 'partimento describe')"
        )
    if wishes.loop and task is not Task.GENERATE:
        raise NotSupported("a loop cannot continue a prompt; leave out one of both")
    seconds = wishes.seconds or float(defaults.get("seconds") or _DEFAULT_SECONDS)
    return NewMusic(_sound_request(task, prompt, seconds, bool(wishes.loop), endless), None)


def new_sound_again(recipe: Recipe, prompt: Audio | None) -> NewMusic:
    """Return the request that a recipe records, for a model that makes sound."""
    seconds, is_round = recipe.seconds, recipe.loop and recipe.streamed
    endless = seconds is None or is_round
    return NewMusic(_sound_request(recipe.task, prompt, seconds, recipe.loop, endless), None)


def _sound_request(
    task: Task, prompt: Audio | None, seconds: float | None, loop: bool, endless: bool
) -> Request:
    length = seconds if loop or not endless else None
    return Request(
        task, prompts=_one(prompt), endless=endless, duration_seconds=length, is_loop=loop
    )


def new_from_prompts(
    task: Task, prompts: Sequence[AnyPrompt], wishes: MusicalOptions, steps: int | None
) -> NewMusic:
    """Return the request of a task whose answer is as long as its prompts.

    Raises:
        MusicError: for steps or prompts that are not as many as the task takes.
        NotSupported: for options other than conditions; names them.
    """
    others = [
        name
        for name in MusicalOptions.model_fields
        if name != "conditions" and getattr(wishes, name) is not None
    ]
    if others:
        raise NotSupported(f"{', '.join(others)} cannot be asked of {task}: prompts decide them")
    least, most = _PROMPTS[task]
    if not least <= len(prompts) <= most:
        raise MusicError(f"{task} takes {least}..{most} prompts, not {len(prompts)}")
    if task is Task.INTERPOLATE:
        check_whole("steps", steps, 2, _MOST_STEPS)  # both ends among them
    elif steps is not None:
        raise MusicError(f"{task} takes no steps; leave them out")
    pieces = tuple(prompt.piece for prompt in prompts)
    return NewMusic(Request(task, prompts=pieces, steps=steps), None)


def _only(prompts: Sequence[AnyPrompt]) -> AnyPrompt | None:
    if len(prompts) > 1:
        raise MusicError(f"one prompt can be used here, not {len(prompts)}")
    return prompts[0] if prompts else None


def _one(prompt: Piece | None) -> tuple[Piece, ...]:
    return () if prompt is None else (prompt,)


def plan_of(
    made: NewMusic, controls: Controls, recipe: Recipe, prompts: Sequence[AnyPrompt]
) -> Plan:
    """Return the plan of a request; an edit goes into the file of its only prompt."""
    tempo = made.request.tempo_quarters_per_minute
    only = prompts[0] if len(prompts) == 1 else None
    source = only.source if isinstance(only, Prompt) else None
    return Plan(made.request, controls, recipe, tempo, made.join_ticks, source)


def seeds_from(count: int, first: int | None = None) -> range:
    """Return ``count`` consecutive seeds from ``first`` on, which is drawn where it is None.

    Raises:
        MusicError: if the number of samples is not in 1..10,000, or the seed not in 0..2^63 - 1.
    """
    count = check_whole("num_samples", count, 1, _MOST_SAMPLES)
    start = new_seed() if first is None else check_whole("seed", first, 0, _MOST_SEED)
    return range(start, start + count)


def bar_count(piece: Score) -> int:
    """Return how many bars a piece of a stream covers; its notes may last longer."""
    is_written = piece.written_length_ticks > 0
    return len(Timeline(replace(piece, tracks=()) if is_written else piece).bars)


def with_key(made: Score, promises: Promises) -> Score:
    """Return the score in the key that its notes are most likely in, where it states none.

    A piece that was asked to close is in a key in which it does.
    """
    if made.key_signatures:
        return made
    key = estimate_key(made)
    if key is not None and promises.ending in CADENCES:
        fitting = (each for each in keys_of(made) if closing_of(made, each).kind == promises.ending)
        key = key if closing_of(made, key).kind == promises.ending else next(fitting, key)
    return made if key is None else replace(made, key_signatures=(KeySignature(0, key),))


def with_conditions(made: NewMusic, conditions: tuple[Condition, ...]) -> NewMusic:
    """Return a request with conditions."""
    return replace(made, request=replace(made.request, conditions=conditions))


def with_chords(made: Score, promises: Promises) -> Score:
    """Return the score with the chords that were asked as symbols over its bars."""
    if not promises.chords or made.chords:
        return made
    symbols: list[ChordSymbol] = []
    for bar in Timeline(made).bars:
        chord = promises.chord_of_bar(bar.index)
        if chord is not None and (not symbols or symbols[-1].chord != chord):
            symbols.append(ChordSymbol(bar.onset_ticks, chord))
    return replace(made, chords=tuple(symbols))


def with_fade(made: Score, promises: Promises) -> Score:
    """Return the score, fading out over its last bars where that ending is asked."""
    if promises.ending != "fade":
        return made
    bars = Timeline(made).bars[-_FADE_BARS:]
    begin, end = bars[0].onset_ticks, bars[-1].end_ticks

    def softer(note: Note) -> Note:
        share = max(0.0, (note.onset_ticks - begin) / (end - begin))
        return replace(note, velocity=max(1, round(note.velocity * (1.0 - _FADE * share))))

    tracks = [replace(t, notes=tuple(softer(note) for note in t.notes)) for t in made.tracks]
    return replace(made, tracks=tuple(tracks))


def _first_known(*values: float | None) -> float | None:
    return next((float(value) for value in values if value is not None), None)


def _metre_of(defaults: Mapping[str, Any]) -> TimeSignature:
    metre = MusicalOptions(time_signature=defaults.get("time_signature")).metre()
    return metre or TimeSignature(0, 4, 4)

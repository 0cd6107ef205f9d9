"""From what a performer yields to a whole piece: completed, joined, and put after the prompt."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from partimento.analysis.phrases import structure_of
from partimento.errors import CannotBeMet, MusicError, NotSupported
from partimento.generation.editing import bar_counter, rewritten
from partimento.generation.prompts import places
from partimento.generation.requests import (
    REWRITES,
    Plan,
    bar_count,
    with_chords,
    with_fade,
    with_key,
)
from partimento.generation.result import Result
from partimento.messages import shown
from partimento.music import Audio, KeySignature, Piece, Promises, Score, Tempo
from partimento.music.performance_rules import Performance, perform_score
from partimento.music.timeline import DEFAULT_QUARTERS_PER_MINUTE
from partimento.music.transform import concatenate, join
from partimento.recipe import Recipe
from partimento.runtime.codes import Codes
from partimento.runtime.contract import (
    AUDIO_CHANNELS,
    AUDIO_RATE_HZ,
    PROMPT_TASKS,
    Draft,
    Kind,
    Streamed,
    Task,
)
from partimento.seeds import generator

__all__ = [
    "Extras",
    "OnDraft",
    "Progress",
    "check_progress",
    "notes_of",
    "only_pieces",
    "part_of",
    "prompt_frames",
    "prompt_pieces",
    "reported_pieces",
    "sound_of",
    "whole_frames",
    "whole_of",
    "whole_score",
    "whole_sound",
]

Progress = Callable[[int, int], None]  # (done, asked), bars of notes or seconds of sound
OnDraft = Callable[[Draft], None]

_HAND = 1  # the stream of a piece's seed that its performance draws from
_PROMPT_FRAMES = 2**18  # of a prompt that are passed on in one block

F32 = npt.NDArray[np.float32]


@dataclass
class Extras:
    """What a stream holds beside its pieces: drafts, passed on as they come, and codes."""

    on_draft: OnDraft | None = None
    codes: Codes | None = None
    on_codes: Callable[[Codes], None] | None = None


@contextmanager
def _closed(stream: object) -> Iterator[None]:
    """Close a generator at the end, which ends the model's threads at once."""
    try:
        yield
    finally:
        close = getattr(stream, "close", None)
        if close is not None:
            close()


def only_pieces(stream: Iterator[Streamed], extras: Extras | None = None) -> Generator[Piece]:
    """Yield the pieces of a performer's stream; the rest goes to ``extras`` or is dropped."""
    with _closed(stream):
        for each in stream:
            if isinstance(each, Draft):
                if extras is not None and extras.on_draft is not None:
                    extras.on_draft(each)
            elif isinstance(each, Codes):
                if extras is not None:
                    extras.codes = each
                    if extras.on_codes is not None:
                        extras.on_codes(each)
            else:
                yield each


def whole_of(
    stream: Iterator[Piece], plan: Plan, name: str, makes: Kind, progress: Progress | None = None
) -> Result:
    """Return all that a stream of pieces makes, as one whole; ``name`` is the model's.

    Raises:
        MusicError: if the plan is endless, or ``progress`` is not a function.
        CannotBeMet: if the model makes more or less than the plan says, or only silence.
    """
    check_progress(progress)
    started = time.perf_counter()
    is_round = plan.request.endless and plan.recipe.stopped_after_frames is None
    if not plan.recipe.has_end or (plan.request.is_loop and is_round):
        raise MusicError("an endless stream is no whole piece; ask for bars or seconds")
    with _closed(stream):  # also where ``progress`` raises to cancel
        if makes == "audio":
            heard = list(reported_pieces(sound_of(stream, plan), plan, progress))
            return whole_sound(heard, plan, time.perf_counter() - started)
        pieces = _all_notes(notes_of(stream, plan), plan, name, progress)
    if plan.request.task is not Task.INFILL and not any(piece.notes for piece in pieces):
        raise CannotBeMet(f"seed {plan.recipe.seed} gives silence with {name}; try another seed")
    return whole_score(pieces, plan, name, time.perf_counter() - started)


def _all_notes(
    stream: Iterable[Score], plan: Plan, name: str, progress: Progress | None
) -> tuple[Score, ...]:
    """Return the pieces of a stream up to its end or where it was stopped.

    Raises:
        CannotBeMet: if the model makes more or less than the plan says.
    """
    stop = plan.recipe.stopped_after_bars
    asked = stop or plan.request.promises.bars or 0
    pieces: list[Score] = []
    done = 0
    count_bars = bar_counter(plan.request) if plan.request.task in REWRITES else bar_count
    for piece in stream:
        pieces.append(piece)
        done += count_bars(piece)
        if progress is not None:
            progress(min(done, asked) if asked else done, asked or done)
        if stop is not None and done >= stop:
            break
    steps = plan.request.steps
    if steps is not None and len(pieces) != steps:
        raise CannotBeMet(f"{name} made {len(pieces)} steps of {steps}; please report this")
    if asked and stop is None and done != asked:
        raise CannotBeMet(f"{name} made {done} bars of {asked}; please report this")
    return tuple(pieces)


def notes_of(pieces: Iterable[Piece], plan: Plan) -> Generator[Score]:
    """Yield the pieces of a plan, each with its tempo and the metre and key that were promised.

    Those of INFILL and ACCOMPANY hold only the new notes, at their places in the whole piece.
    """
    promises = plan.request.promises
    metre = promises.time_signature
    with _closed(pieces):
        for piece in pieces:
            if not isinstance(piece, Score):
                raise NotSupported(f"{plan.recipe.system} makes sound, though its card says notes")
            if plan.request.task in REWRITES:
                yield piece
                continue
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


def whole_score(
    pieces: tuple[Score, ...], plan: Plan, name: str, seconds_taken: float = 0.0
) -> Result:
    """Return the pieces of a plan as one score, after its prompt; ``name`` is the model's."""
    recipe = plan.recipe.model_copy(update={"streamed": False})
    inside = recipe.model_copy(update={"soundfont": ""}).to_json()  # which decides no notes
    if plan.request.task in REWRITES:
        whole = replace(rewritten(pieces, plan.request), recipe=inside)
        return Result(whole, recipe, seconds_taken, source=plan.source)
    promises = plan.request.promises
    made = with_fade(with_chords(join(pieces), promises), promises)
    if plan.request.task in PROMPT_TASKS:
        return Result(replace(made, recipe=inside), recipe, seconds_taken, pieces)
    if plan.request.score is not None:
        onto = places(plan.request.score, made)
        made = concatenate(plan.request.score, made, plan.join_ticks, onto)
    else:  # bars of a prompt keep the key that they state, or none
        made = with_key(replace(made, title=f"{name}, seed {plan.recipe.seed}"), promises)
    made = replace(made, recipe=inside)
    kept = pieces if plan.recipe.streamed else ()
    both = _performed(made, recipe, promises)
    return Result(
        both.played, recipe, seconds_taken, kept, source=plan.source, notated=both.notated
    )


def _performed(made: Score, recipe: Recipe, promises: Promises) -> Performance:
    """Return a piece as its recipe has it played; what fades out has no ritardando."""
    if not recipe.humanize:
        return Performance(made, made)
    structure = structure_of(made)
    if promises.ending == "fade":
        structure = replace(structure, last_chord_ticks=None)
    return perform_score(made, structure, recipe.humanize, generator(recipe.seed, _HAND))


def sound_of(pieces: Iterator[Piece], plan: Plan) -> Generator[Audio]:
    """Yield the sound of a plan, of exactly the length asked or up to where it was stopped.

    A loop has the nearest length that the model can close.

    Raises:
        NotSupported: if a piece is not stereo sound at 44,100 Hz.
        CannotBeMet: if the model ends before it should.
    """
    left = _made_frames(plan)
    stop = plan.recipe.stopped_after_frames
    if plan.request.is_loop and stop is None:
        left = None
    with _closed(pieces):
        for piece in pieces:
            _check(piece, plan)
            assert isinstance(piece, Audio)
            if left is not None:
                if piece.samples.shape[1] > left:
                    piece = Audio(piece.samples[:, :left], piece.sample_rate_hz)
                left -= piece.samples.shape[1]
            if piece.samples.shape[1]:
                yield piece
            if left == 0:
                return
    if left or (plan.request.endless and stop is None):
        raise CannotBeMet(f"{plan.recipe.model} ended too early; please report this")


def whole_sound(pieces: Iterable[Audio], plan: Plan, seconds_taken: float = 0.0) -> Result:
    """Return the whole sound of a plan, after its prompt unless the recipe says ``streamed``."""
    lead = prompt_frames(plan)
    recipe = plan.recipe
    parts = [*prompt_pieces(plan), *(piece.samples for piece in pieces)]
    samples = np.concatenate([np.zeros((AUDIO_CHANNELS, 0), dtype=np.float32), *parts], axis=1)
    whole = Audio(samples, AUDIO_RATE_HZ, recipe.to_json())
    return Result(whole, recipe, seconds_taken, prompt_seconds=lead / AUDIO_RATE_HZ)


def check_progress(progress: object) -> None:
    """Refuse a ``progress`` that cannot be called.

    Raises:
        MusicError: names what was given.
    """
    if progress is not None and not callable(progress):
        raise MusicError(f"progress must be a function of (done, asked), not {shown(progress)}")


def part_of(progress: Progress | None, index: int, count: int) -> Progress | None:
    """Return the progress of one of ``count`` equal requests, as a part of that of them all."""
    check_progress(progress)
    if progress is None:
        return None
    return lambda done, asked: progress(index * asked + done, count * asked)


def prompt_frames(plan: Plan) -> int:
    """Return the length of the prompt that precedes what is made, in frames."""
    if plan.request.task is not Task.CONTINUE or plan.recipe.streamed:
        return 0
    prompt = plan.request.sound
    return 0 if prompt is None else prompt.samples.shape[1]


def prompt_pieces(plan: Plan) -> Iterator[F32]:
    """Yield the samples of the prompt that precedes what is made."""
    for at in range(0, prompt_frames(plan), _PROMPT_FRAMES):
        prompt = plan.request.sound
        assert prompt is not None
        yield prompt.samples[:, at : at + _PROMPT_FRAMES]


def whole_frames(plan: Plan) -> int | None:
    """Return the length asked in frames, including the prompt; None for an endless stream."""
    seconds = None if plan.request.endless else plan.request.duration_seconds
    return None if seconds is None else prompt_frames(plan) + round(seconds * AUDIO_RATE_HZ)


def reported_pieces(
    pieces: Iterable[Audio], plan: Plan, progress: Progress | None
) -> Iterator[Audio]:
    """Yield the pieces of sound and report progress: (seconds done, seconds asked)."""
    check_progress(progress)
    frames = _made_frames(plan)
    asked = math.ceil((frames or 0) / AUDIO_RATE_HZ)
    done = 0
    for piece in pieces:
        yield piece
        done += piece.samples.shape[1]
        if progress is not None and frames is not None:
            progress(min(asked, math.ceil(done / AUDIO_RATE_HZ)), asked)


def _made_frames(plan: Plan) -> int | None:
    """Return how many frames are to be made, None for an endless stream."""
    if plan.recipe.stopped_after_frames is not None:
        return plan.recipe.stopped_after_frames
    seconds = None if plan.request.endless else plan.request.duration_seconds
    return None if seconds is None else max(1, round(seconds * AUDIO_RATE_HZ))


def _check(piece: Piece, plan: Plan) -> None:
    if not isinstance(piece, Audio):
        raise NotSupported(f"{plan.recipe.system} makes notes, though its card says sound")
    if piece.sample_rate_hz != AUDIO_RATE_HZ or len(piece.samples) != AUDIO_CHANNELS:
        raise NotSupported(
            f"{plan.recipe.system} makes sound of {len(piece.samples)} channels at "
            f"{piece.sample_rate_hz} Hz; {AUDIO_CHANNELS} at {AUDIO_RATE_HZ} are served"
        )

"""From what a performer yields to a whole piece: completed, joined, and put after the prompt."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from partimento.errors import CannotBeMet, NotSupported
from partimento.generation.editing import rewritten
from partimento.generation.prompts import places
from partimento.generation.requests import REWRITES, Plan, with_chords, with_key
from partimento.generation.result import Result
from partimento.music import Audio, KeySignature, Piece, Score, Tempo
from partimento.music.timeline import DEFAULT_QUARTERS_PER_MINUTE
from partimento.music.transform import concatenate, join
from partimento.runtime.contract import AUDIO_CHANNELS, AUDIO_RATE_HZ

__all__ = [
    "Progress",
    "notes_of",
    "part_of",
    "prompt_frames",
    "prompt_pieces",
    "sound_of",
    "told_pieces",
    "whole_frames",
    "whole_score",
    "whole_sound",
]

Progress = Callable[[int, int], None]  # (done, asked), bars of notes or seconds of sound

_PROMPT_FRAMES = 2**18  # of a prompt that are passed on in one block

F32 = npt.NDArray[np.float32]


def notes_of(pieces: Iterable[Piece], plan: Plan) -> Generator[Score]:
    """Yield the pieces of a plan, each with its tempo and the metre and key that were promised.

    Those of INFILL and ACCOMPANY hold only the new notes, at their places in the whole piece.
    """
    promises = plan.request.promises
    metre = promises.time_signature
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
        return Result(whole, recipe, seconds_taken)
    made = with_chords(join(pieces), plan.request.promises)
    if plan.request.score is not None:
        onto = places(plan.request.score, made)
        made = concatenate(plan.request.score, made, plan.join_ticks, onto)
    else:  # bars of a prompt keep the key that they state, or none
        made = with_key(replace(made, title=f"{name}, seed {plan.recipe.seed}"))
    made = replace(made, recipe=inside)
    return Result(made, recipe, seconds_taken, pieces if plan.recipe.streamed else ())


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
    closer = getattr(pieces, "close", None)
    try:
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
    finally:
        if closer is not None:  # ends the model's threads at once
            closer()
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


def part_of(progress: Progress | None, index: int, count: int) -> Progress | None:
    """Return the progress of one of ``count`` equal requests, as a part of that of them all."""
    if progress is None:
        return None
    return lambda done, asked: progress(index * asked + done, count * asked)


def prompt_frames(plan: Plan) -> int:
    """Return the length of the prompt that precedes what is made, in frames."""
    prompt = plan.request.sound
    return 0 if prompt is None or plan.recipe.streamed else prompt.samples.shape[1]


def prompt_pieces(plan: Plan) -> Iterator[F32]:
    """Yield the samples of the prompt that precedes what is made."""
    prompt, frames = plan.request.sound, prompt_frames(plan)
    for at in range(0, frames, _PROMPT_FRAMES):
        assert prompt is not None
        yield prompt.samples[:, at : at + _PROMPT_FRAMES]


def whole_frames(plan: Plan) -> int | None:
    """Return the length asked in frames, including the prompt; None for an endless stream."""
    seconds = None if plan.request.endless else plan.request.duration_seconds
    return None if seconds is None else prompt_frames(plan) + round(seconds * AUDIO_RATE_HZ)


def told_pieces(pieces: Iterable[Audio], plan: Plan, progress: Progress | None) -> Iterator[Audio]:
    """Yield the pieces of sound and report progress: (seconds done, seconds asked)."""
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

"""Streams: a plan played piece by piece into sinks, until it ends or is stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from partimento import files, sound
from partimento.errors import FileError
from partimento.generation.assemble import (
    Extras,
    prompt_frames,
    prompt_pieces,
    reported_pieces,
    whole_frames,
)
from partimento.generation.instrument import Instrument, Plan, Progress, bar_count
from partimento.generation.result import Result
from partimento.music import Score, Timeline
from partimento.playback.sinks import SAMPLE_RATE_HZ, FileSink, Sink, save_sound, sink_of
from partimento.recipe import Recipe

__all__ = [
    "StreamOutcome",
    "perform_live",
    "play_sound",
    "recipe_of",
    "result_of",
    "save_again",
    "save_sound_again",
]

_LEAD_SECONDS = 4.0  # how far an endless stream into a file may run ahead of the clock


@dataclass
class StreamOutcome:
    """What a stream made until it ended or was stopped."""

    pieces: list[Score] = field(default_factory=list)  # empty where they were not to be kept
    bars: int = 0
    seconds: float = 0.0
    frames: int = 0  # of sound, up to the end of the last whole bar
    first_note_at: float = 0.0  # on the clock of time.perf_counter
    is_stopped: bool = False
    error: Exception | None = None  # of a sink that failed; for the caller to raise


def perform_live(
    instrument: Instrument,
    plan: Plan,
    sinks: Sequence[Sink],
    *,
    is_paced: bool = False,
    keeps_pieces: bool = True,
    on_bar: Callable[[int, float], None] | None = None,
) -> StreamOutcome:
    """Play a plan into the sinks, piece by piece, until it ends or is stopped.

    A KeyboardInterrupt, a pipe whose reader has ended, and a file that cannot be written stop it
    alike: the other sinks are closed at the end of the last whole bar.

    Args:
        instrument: what plays.
        plan: what it plays; endless plans are stopped by KeyboardInterrupt.
        sinks: where the sound goes; they are closed whatever happens. Without any nothing is
            rendered.
        is_paced: do not run ahead of the clock by more than a few seconds.
        keeps_pieces: return the notes as well; otherwise memory use is constant.
        on_bar: called with (bars so far, seconds of music so far) after each piece.
    """
    outcome = StreamOutcome()
    renderer = sound.StreamRenderer(SAMPLE_RATE_HZ) if sinks else None
    state = renderer.start() if renderer is not None else None
    started = time.perf_counter()
    try:
        for piece in instrument.pieces(plan):
            frames = 0
            if renderer is not None and state is not None:
                heard, state = renderer.feed(state, piece)
                frames = heard.samples.shape[1]
                _give(sinks, heard.samples)
            if keeps_pieces:
                outcome.pieces.append(piece)
            bars = outcome.bars + bar_count(piece)
            outcome.seconds += float(Timeline(piece).seconds(piece.written_length_ticks))
            outcome.bars, outcome.frames = bars, outcome.frames + frames
            outcome.first_note_at = outcome.first_note_at or time.perf_counter()
            if on_bar is not None:
                on_bar(outcome.bars, outcome.seconds)
            if is_paced:
                ahead = outcome.seconds - (time.perf_counter() - started) - _LEAD_SECONDS
                time.sleep(max(0.0, ahead))
        if renderer is not None and state is not None:
            _give(sinks, renderer.finish(state).samples)
    except KeyboardInterrupt:
        outcome.is_stopped = True
    except (BrokenPipeError, FileError) as error:
        outcome.is_stopped, outcome.error = True, error
    finally:
        # The built-in synthesiser plays every stream.
        recipe = recipe_of(plan, outcome).model_copy(update={"streamed": True, "soundfont": ""})
        kept = outcome.frames if outcome.is_stopped else None
        _close(sinks, recipe.to_json(), kept, outcome)
    return outcome


def play_sound(
    instrument: Instrument,
    plan: Plan,
    open_sinks: Callable[[], Sequence[Sink]],
    *,
    is_paced: bool = False,
    on_piece: Callable[[float], None] | None = None,
    extras: Extras | None = None,
) -> StreamOutcome:
    """Play a plan of sound into sinks, piece by piece, until it ends or is stopped.

    A prompt that is continued comes first, unless the recipe says ``streamed``. What stops it is
    as for ``perform_live``.

    Args:
        instrument: what plays.
        plan: what it plays; endless plans are stopped by KeyboardInterrupt.
        open_sinks: called when the first piece is ready, so that a request that fails leaves
            no file; the sinks are closed whatever happens.
        is_paced: do not run ahead of the clock by more than a few seconds.
        on_piece: called with the seconds of sound so far after each piece.
        extras: takes drafts and codes.
    """
    outcome = StreamOutcome()
    sinks: Sequence[Sink] = ()
    is_whole, lead = False, prompt_frames(plan)
    started = time.perf_counter()
    try:
        with closing(instrument.sound(plan, extras)) as pieces:
            for piece in pieces:
                if not outcome.first_note_at:
                    outcome.first_note_at = time.perf_counter()
                    sinks = open_sinks()
                    for samples in prompt_pieces(plan):
                        _give(sinks, samples)
                _give(sinks, piece.samples)
                outcome.frames += piece.samples.shape[1]
                outcome.seconds = outcome.frames / SAMPLE_RATE_HZ
                if on_piece is not None:
                    on_piece(outcome.seconds)
                if is_paced:
                    ahead = outcome.seconds - (time.perf_counter() - started) - _LEAD_SECONDS
                    time.sleep(max(0.0, ahead))
        is_whole = True
    except KeyboardInterrupt:
        outcome.is_stopped = True
    except (BrokenPipeError, FileError) as error:
        outcome.is_stopped, outcome.error = True, error
    finally:
        stop = {} if is_whole else {"stopped_after_frames": outcome.frames}
        recipe = plan.recipe.model_copy(update=stop)
        _close(sinks, recipe.to_json(), None if is_whole else lead + outcome.frames, outcome)
    return outcome


def save_again(pieces: Sequence[Score], recipe: Recipe, path: Path) -> Path:
    """Write the sound of a stream as ``perform_live`` wrote it, and return the path.

    Raises:
        FileError: if the place cannot be written.
    """
    text = recipe.to_json()
    with ExitStack() as stack:
        is_wav = path.suffix.lower() == ".wav"
        sink = sink_of(stack.enter_context(files.atomic_path(path)) if is_wav else path, text)
        renderer = sound.StreamRenderer(SAMPLE_RATE_HZ)
        state = renderer.start()
        for piece in pieces:
            heard, state = renderer.feed(state, piece)
            sink.take(heard.samples)
        if recipe.stopped_after_bars is None:  # a stop leaves no time for the last notes' decay
            sink.take(renderer.finish(state).samples)
        sink.close(text)
    return path


def save_sound_again(
    instrument: Instrument, plan: Plan, path: Path, progress: Progress | None = None
) -> Path:
    """Write the sound of a plan, made once more, and return the path.

    ``progress`` is called with (seconds done, seconds asked).

    Raises:
        FileError: if the place cannot be written.
    """
    pieces = reported_pieces(instrument.sound(plan), plan, progress)
    made = (piece.samples for piece in pieces)
    return save_sound(chain(prompt_pieces(plan), made), plan.recipe, path, whole_frames(plan))


def recipe_of(plan: Plan, outcome: StreamOutcome) -> Recipe:
    """Return the recipe of what was made, the place where it was stopped in it."""
    if not outcome.is_stopped:
        return plan.recipe
    return plan.recipe.model_copy(update={"stopped_after_bars": outcome.bars})


def result_of(instrument: Instrument, plan: Plan, outcome: StreamOutcome) -> Result:
    """Return all that a stream made as one piece, its prompt before it."""
    return instrument.result_of(outcome.pieces, replace(plan, recipe=recipe_of(plan, outcome)))


def _close(sinks: Sequence[Sink], recipe: str, kept: int | None, outcome: StreamOutcome) -> None:
    """Close all sinks, whatever one of them raises; files keep so many frames, None for all.

    The first error of writing is left in the outcome.
    """
    try:
        with ExitStack() as stack:
            for sink in reversed(sinks):
                stack.callback(sink.close, recipe)
                if kept is not None and isinstance(sink, FileSink):
                    stack.callback(sink.keep, kept)  # so that it ends where the recipe says
    except (BrokenPipeError, FileError) as error:
        outcome.error = outcome.error or error


def _give(sinks: Sequence[Sink], samples: npt.NDArray[np.float32]) -> None:
    for sink in sinks:
        sink.take(samples)

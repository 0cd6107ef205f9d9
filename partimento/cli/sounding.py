"""``partimento generate``, ``continue`` and ``stream`` of models that make sound."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from partimento.cli import screen, show
from partimento.cli.main import EXIT_INTERRUPTED, STARTED
from partimento.errors import FileError, NotSupported
from partimento.generation import streaming as live
from partimento.generation.assemble import Extras, whole_frames
from partimento.generation.instrument import Instrument, Plan
from partimento.generation.prompts import CODES_SUFFIX
from partimento.generation.result import sound_summary
from partimento.playback.destinations import check_new
from partimento.playback.sinks import SOUND, Loudspeaker, Sink, WavPipe, sound_sink, whole_sinks
from partimento.runtime.codes import Codes

__all__ = ["check_codes", "play_to_files", "stream_sound", "written_paths"]

_PIPE = Path("-")


def check_codes(instrument: Instrument, path: Path, samples: int, force: bool) -> None:
    """Check that the codes of one piece can be written to a file later.

    Raises:
        NotSupported: if the model has none, or several pieces are made.
        FileError: if the file exists, or the name ends otherwise.
    """
    if not instrument.card.has_codes:
        raise NotSupported(f"{instrument.name} has no codes; leave out --codes")
    if samples > 1:
        raise NotSupported("--codes writes those of one piece; make one at a time")
    if path.suffix.lower() != CODES_SUFFIX:
        raise FileError(path, f"codes are saved as {CODES_SUFFIX}", "choose such a name")
    check_new([path], force)


def play_to_files(
    instrument: Instrument, plan: Plan, paths: list[Path], codes: Path | None = None
) -> int:
    """Generate sound into files, block by block, and report it; codes too, where asked.

    Ctrl-C leaves whole files of what was made until then. Between the levels of a model that has
    some it leaves the codes of those that are done.
    """
    started = time.perf_counter()
    extras = Extras(on_codes=None if codes is None else lambda each: _keep(each, plan, codes))
    with (
        whole_sinks(paths, plan.recipe, whole_frames(plan)) as open_sinks,
        screen.bar_progress(instrument.name, "s") as progress,
    ):
        outcome = live.play_sound(
            instrument, plan, open_sinks, on_piece=_progress(plan, progress), extras=extras
        )
        if outcome.error is not None:  # nothing is left of files that are not whole
            raise outcome.error
        if not outcome.frames:  # stopped while the prompt was written: the files stay as they were
            if extras.codes is not None:
                beside = paths[0].with_suffix(CODES_SUFFIX)
                if codes is not None or not beside.exists():  # what is there is left alone
                    _tell_codes(extras.codes, plan, codes or beside)
            raise KeyboardInterrupt
    taken = time.perf_counter() - started
    what = sound_summary(plan.recipe, outcome.seconds, taken)
    show.say(f"Stopped early. {what}" if outcome.is_stopped else what)
    show.say(f"Wrote {' and '.join(map(str, paths))}")
    return EXIT_INTERRUPTED if outcome.is_stopped else 0


def _keep(codes: Codes, plan: Plan, path: Path) -> None:
    replace(codes, recipe=plan.recipe.to_json()).save(path)


def _tell_codes(codes: Codes, plan: Plan, path: Path) -> None:
    """Keep the codes of the levels that are done, and say how to go on."""
    _keep(codes, plan, path)
    show.note(
        f"The levels that are done are kept in {path}; to go on: "
        f"partimento continue {path} --model {plan.recipe.model} --seed {plan.recipe.seed}"
    )


def _progress(
    plan: Plan, report: Callable[[int, int], None] | None
) -> Callable[[float], None] | None:
    asked = plan.request.duration_seconds
    if report is None or asked is None:
        return None
    whole = math.ceil(asked)
    return lambda seconds: report(min(whole, math.ceil(seconds)), whole)


def stream_sound(
    instrument: Instrument,
    plan: Plan,
    out: tuple[Path, ...],
    *,
    is_heard: bool,
    is_raw: bool,
    verbose: bool,
) -> int:
    """Play sound into loudspeakers, a pipe and files, until it ends or is stopped."""
    plan = replace(plan, recipe=plan.recipe.model_copy(update={"streamed": True}))
    frames = whole_frames(plan)

    def open_sinks() -> list[Sink]:
        sinks: list[Sink] = [Loudspeaker()] if is_heard else []
        for path in out:
            is_pipe = path == _PIPE
            sinks.append(
                WavPipe(sys.stdout.buffer, is_raw, SOUND)
                if is_pipe
                else sound_sink(path, plan.recipe, frames)
            )
        return sinks

    is_endless = plan.request.endless
    started = time.perf_counter()
    outcome = live.play_sound(
        instrument,
        plan,
        open_sinks,
        is_paced=is_endless and not is_heard and _PIPE not in out,
        on_piece=_tell if verbose else None,
    )
    taken = time.perf_counter() - started
    speed = outcome.seconds / taken if taken > 0 else 0.0
    how = "Stopped after" if outcome.is_stopped else "Played"
    paths = written_paths(out, outcome)
    written = f"; wrote {', '.join(paths)}" if paths and outcome.frames else ""
    show.note(
        f"{how} {show.long_time(outcome.seconds)} by {instrument.name}, seed {plan.recipe.seed}, "
        f"{speed:.1f}x real time{written}"
    )
    if verbose and outcome.frames:
        show.note(f"First sound {outcome.first_note_at - STARTED:.2f} s after the start")
    if outcome.error is not None:
        raise outcome.error
    return EXIT_INTERRUPTED if outcome.is_stopped and not is_endless else 0


def written_paths(out: Sequence[Path], outcome: live.StreamOutcome) -> list[str]:
    """Return the names of the files that a stream has written."""
    failed = outcome.error.path if isinstance(outcome.error, FileError) else None
    return [str(path) for path in out if path != _PIPE and str(path) != failed]


def _tell(seconds: float) -> None:
    show.note(f"{show.long_time(seconds)} of sound, at {time.perf_counter() - STARTED:.2f} s")

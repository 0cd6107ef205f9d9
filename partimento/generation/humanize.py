"""Humanizing: the dynamics and timing of a performer for the notes of a score."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

from partimento import catalog, sound
from partimento.config import validate_config
from partimento.errors import ModelError
from partimento.generation.assemble import only_pieces
from partimento.generation.prompts import Prompt, Sketch, read_prompt
from partimento.generation.requests import seeds_from
from partimento.generation.result import Result
from partimento.music import Score
from partimento.music.bounds import check_number
from partimento.recipe import Recipe, current_versions
from partimento.runtime.contract import Performer, Request, Task
from partimento.runtime.model_folder import ModelFolder
from partimento.runtime.threads import check_threads
from partimento.seeds import generator

__all__ = ["humanize", "humanize_again"]

_PREFERRED = "tts-gan-groove"
_PRECISIONS = ("fp32", "int8")  # such a network is small, and rounding changes its result


def humanize(
    score: Sketch,
    amount: float = 1.0,
    seed: int | None = None,
    model: str | Path | None = None,
    *,
    threads: int | None = None,
) -> Result:
    """Return a score as a musician might play it: every note louder or softer, earlier or later.

    Args:
        score: the notes: a score, a result, or the path of a MIDI, MusicXML or ABC file.
        amount: 0 leaves the notes as they are, 1 is the full deviation of performers.
        seed: the same seed gives the same result; None draws one.
        model: a name of ``models`` or a model folder; None takes one that humanizes.
        threads: how many threads compute; None lets the machine choose.

    Raises:
        FileError: if the file cannot be read.
        MusicError: if the score has no notes, or amount, seed or threads are out of range.
        ModelError: if there is no such model.
        NotSupported: if the model cannot humanize.
    """
    check_threads(threads)
    amount = check_number("amount", amount, 0, 1)
    (seed,) = seeds_from(1, seed)
    given = read_prompt(score)
    name = _default_model() if model is None else model
    folder = catalog.open_model(name)
    recipe = Recipe(
        system=folder.system,
        model=folder.name,
        model_hash=folder.hash,
        model_path="" if str(name) == folder.name else str(name),
        task=Task.HUMANIZE,
        controls={"amount": amount},
        seed=seed,
        soundfont=str(sound.chosen_soundfont(None) or ""),
        precision=next((p for p in _PRECISIONS if p in folder.precisions), "int8"),
        threads=threads,
        prompt=given.record,
        versions=current_versions(),
    )
    return _perform(folder, given, recipe)


def humanize_again(recipe: Recipe, prompt: Prompt, folder: ModelFolder) -> Result:
    """Return what a recipe records, made once more."""
    return _perform(folder, prompt, recipe)


def _perform(folder: ModelFolder, given: Prompt, recipe: Recipe) -> Result:
    card = catalog.find_card(folder.system)
    catalog.check_task(card, Task.HUMANIZE)
    started = time.perf_counter()
    controls = validate_config(card.controls, recipe.controls, "controls")
    make = cast("Callable[..., Performer]", card.load)
    performer = make(folder, threads=recipe.threads, precision=recipe.precision)
    request = Request(Task.HUMANIZE, prompts=(given.score,))
    (made,) = only_pieces(performer.stream(request, controls, generator(recipe.seed)))
    assert isinstance(made, Score)
    inside = recipe.model_copy(update={"soundfont": ""})  # which decides no notes
    made = replace(made, recipe=inside.to_json())
    return Result(made, recipe, time.perf_counter() - started, source=given.source)


def _default_model() -> str:
    """Return the name of the model that humanizes where none is named.

    Raises:
        ModelError: if none that can is installed.
    """
    names = catalog.models_that(Task.HUMANIZE)
    if not names:
        raise ModelError(
            "no model that humanizes is installed; train one on performed MIDI (partimento train "
            "tts_gan FOLDER -o my-model) and name it with --model"
        )
    return _PREFERRED if _PREFERRED in names else names[0]

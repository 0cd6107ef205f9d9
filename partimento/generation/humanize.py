"""Scores made to sound played: a model of performance curves, a score, an amount and a seed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

from partimento import catalog
from partimento.config import validate_config
from partimento.errors import ModelError, MusicError, NotSupported
from partimento.generation.assemble import only_pieces
from partimento.generation.prompts import Prompt, Sketch, read_prompt
from partimento.generation.result import Result
from partimento.music import Score
from partimento.recipe import Recipe, current_versions
from partimento.runtime.contract import Performer, Request, Task
from partimento.runtime.model_folder import ModelFolder
from partimento.runtime.threads import check_threads
from partimento.seeds import generator, new_seed

__all__ = ["humanize", "humanize_again"]

_PREFERRED = "tts-gan-groove"
_PRECISIONS = ("fp32", "int8")  # such a network is small, and hears a rounding


def humanize(
    score: Sketch,
    amount: float = 1.0,
    seed: int | None = None,
    model: str | Path | None = None,
    *,
    threads: int | None = None,
) -> Result:
    """Return a score as a hand might play it: every note louder or softer, earlier or later.

    Args:
        score: the notes, or the file they are in: MIDI, MusicXML or ABC.
        amount: 0 leaves the notes as they are, 1 moves them as far as players do.
        seed: the same seed moves them alike; None draws one.
        model: a name of ``models`` or a model folder; None takes the one that humanizes.
        threads: how many threads compute.

    Raises:
        FileError: if the file cannot be read.
        MusicError: if the score has no notes, or amount or seed are out of range.
        ModelError: if no such model is there.
        NotSupported: if the model cannot humanize, or there are no threads.
    """
    check_threads(threads)
    if not 0 <= amount <= 1:
        raise MusicError(f"the amount is 0..1, not {amount:g}")
    if seed is not None and seed < 0:
        raise MusicError(f"a seed is a non-negative integer, not {seed}")
    given = read_prompt(score)
    name = _default_model() if model is None else model
    folder = catalog.open_model(name)
    recipe = Recipe(
        system=folder.system,
        model=folder.name,
        model_hash=folder.hash,
        model_path="" if str(name) == folder.name else str(name),
        task=Task.HUMANIZE,
        controls={"amount": float(amount)},
        seed=new_seed() if seed is None else seed,
        precision=next((p for p in _PRECISIONS if p in folder.config["graphs"]), "int8"),
        threads=threads,
        prompt=given.record,
        versions=current_versions(),
    )
    return _perform(folder, given, recipe)


def humanize_again(recipe: Recipe, score: Score, folder: ModelFolder) -> Result:
    """Return what a recipe records, made once more."""
    record = recipe.prompt
    assert record is not None
    return _perform(folder, Prompt(score, record), recipe)


def _perform(folder: ModelFolder, given: Prompt, recipe: Recipe) -> Result:
    card = catalog.find_card(folder.system)
    card.check_task(Task.HUMANIZE)
    started = time.perf_counter()
    controls = validate_config(card.controls, recipe.controls, "controls")
    make = cast("Callable[..., Performer]", card.load)
    performer = make(folder, threads=recipe.threads, precision=recipe.precision)
    request = Request(Task.HUMANIZE, prompts=(given.score,))
    (made,) = only_pieces(performer.stream(request, controls, generator(recipe.seed)))
    assert isinstance(made, Score)
    made = replace(made, recipe=recipe.to_json())
    return Result(made, recipe, time.perf_counter() - started)


def _default_model() -> str:
    """Return the name of the model that humanizes where none is named.

    Raises:
        ModelError: if none that can is installed.
    """
    names = list(_able())
    if not names:
        raise ModelError(
            "no model that humanizes is installed; train one on performed MIDI (partimento train "
            "tts_gan FOLDER -o my-hand) and name it with --model"
        )
    return _PREFERRED if _PREFERRED in names else names[0]


def _able() -> Iterator[str]:
    for info in catalog.models():
        try:
            card = catalog.find_card(info.system)
        except NotSupported:  # a model of a system that is not here
            continue
        if Task.HUMANIZE in card.tasks:
            yield info.name

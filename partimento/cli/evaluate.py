"""``partimento evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from partimento import api
from partimento.cli import screen, show
from partimento.cli.options import Force
from partimento.errors import FileError, MissingExtra
from partimento.generation.requests import seeds_from

__all__ = ["evaluate"]


def evaluate(
    made: Path,
    /,
    *,
    reference: str,
    training: str | None = None,
    model: str | None = None,
    plots: Path | None = None,
    no_plots: bool = False,
    force: Force = False,
    seed: int = 0,
    json_: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """Compare generated music with real music: distributions, structure, copying, a judge.

    Parameters
    ----------
    made
        The folder of generated pieces, or one piece.
    reference
        A folder or zip of real music of the same kind, or the name of a known corpus.
    training
        The music that the model was trained on, for the copy check; default: the model's own
        index, or else the reference.
    model
        A model whose copy index is used, and whose NLL per token is measured on both sets.
    plots
        Folder for plots; default: MADE/evaluation.
    no_plots
        Draw no plots.
    seed
        Seed of the judge's splits.
    json_
        Print JSON instead of a table.
    """
    folder = plots or (made if made.is_dir() else made.parent) / "evaluation"
    if not (no_plots or force) and folder.is_dir() and any(folder.iterdir()):
        raise FileError(
            folder, "holds files already", "use --plots FOLDER or --no-plots, or replace by --force"
        )
    (seed,) = seeds_from(1, seed)
    found = api.evaluate(made, reference, training=training, model=model, seed=seed)
    if json_:
        show.say(found.to_json())
    else:
        rows = [(r.measure, r.generated, r.reference, r.comparison) for r in found.rows()]
        screen.table(("measure", "generated", "reference", "comparison"), rows)
    if no_plots:
        return
    try:
        found.save_plots(folder)
        show.note(f"Plots are in {folder}")
    except MissingExtra as error:
        show.warn(f"no plots: {error}")

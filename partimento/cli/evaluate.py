"""``partimento evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from partimento import api
from partimento.cli import screen, show
from partimento.errors import MissingExtra

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
    seed: int = 0,
    json_: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """Measure made music against real music: distributions, structure, copying, a judge.

    Parameters
    ----------
    made
        The folder of generated pieces.
    reference
        A folder or zip of real music of the same kind, or the name of a known corpus.
    training
        The music that the model learnt from, for the copy check; by default the model's own
        index, or else the reference itself.
    model
        A model whose copy index is used, and whose NLL a token of both sets is measured.
    plots
        Where plots go; by default MADE/evaluation.
    no_plots
        Draw nothing.
    seed
        Of the judge's splits.
    json_
        Print JSON instead of a table.
    """
    found = api.evaluate(made, reference, training=training, model=model, seed=seed)
    if json_:
        show.say(found.to_json())
    else:
        rows = [(r.measure, r.generated, r.reference, r.comparison) for r in found.rows()]
        screen.table(("measure", "made", "reference", "comparison"), rows)
    if no_plots:
        return
    folder = plots or (made if made.is_dir() else made.parent) / "evaluation"
    try:
        found.save_plots(folder)
        show.note(f"Plots are in {folder}")
    except MissingExtra as error:
        show.warn(f"no plots: {error}")

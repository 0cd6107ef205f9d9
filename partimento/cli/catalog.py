"""``partimento models``, ``describe`` and ``export``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from partimento import api
from partimento.catalog import MODELS_VARIABLE, unfinished_runs, user_models_folder
from partimento.cli import screen, show

__all__ = ["describe", "export", "models"]

_MIB = 2**20


def models(*, json_: Annotated[bool, Parameter(name="--json")] = False) -> None:
    """List the installed models; * marks the one that generate uses by default.

    Parameters
    ----------
    json_
        Print JSON instead of a table.
    """
    infos = api.models()
    if json_:
        values = [{**asdict(info), "path": str(info.path)} for info in infos]
        show.say(json.dumps(values, indent=2, sort_keys=True))
        return
    rows = [
        (
            f"{info.name} *" if info.is_default else info.name,
            info.system,
            f"{info.size_bytes / _MIB:.1f}",
            info.licence or "not stated",
            "shipped" if info.is_shipped else str(info.path),
        )
        for info in infos
    ]
    screen.table(("model", "system", "MiB", "licence", "where"), rows)
    for skipped in api.skipped_models():
        show.say(f"Left out: {skipped.problem}")
    for folder, state in unfinished_runs():
        show.say(f"{folder} is {state}")
    show.say(f"Your own models are found in {user_models_folder()} and in ${MODELS_VARIABLE}.")


def describe(name: str, /, *, json_: Annotated[bool, Parameter(name="--json")] = False) -> None:
    """Show what a system or a model is, with all its controls.

    Parameters
    ----------
    name
        A system, a model, or a model folder.
    json_
        Print JSON instead of text.
    """
    known = api.describe(name)
    if json_:
        show.say(json.dumps(asdict(known), indent=2, sort_keys=True))
        return
    show.say(f"{known.name}: {'a model of ' + known.system if known.is_model else known.summary}")
    show.say(f"Paper: {known.paper}, {known.url}")
    show.say(f"Tasks: {', '.join(known.tasks)}")
    show.say(f"Makes: {'sound' if known.makes == 'audio' else 'notes'}")
    show.say(f"Presets for training: {', '.join(known.presets)}")
    for key, value in known.facts.items():
        show.say(f"{key.capitalize()}: {value}")
    rows = [(c.name, c.kind, c.default, c.bounds, c.meaning) for c in known.controls]
    screen.table(("control", "type", "default", "bounds", "meaning"), rows)
    if known.text:
        show.say(known.text)


def export(
    model: str,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    precision: str | None = None,
) -> None:
    """Copy a model into a folder of its own, or export one from a training run.

    Parameters
    ----------
    model
        A name that 'partimento models' lists, a model folder, or the folder of a training run.
    out
        The folder to make; it must be new or empty.
    precision
        Keep only int8 or only fp32; default: all that the model has.
    """
    path = api.export(model, out, precision=precision)
    show.say(f"Wrote {path}; use it with: partimento generate --model {path}")

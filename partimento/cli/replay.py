"""``partimento replay``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from partimento import api
from partimento.cli import screen, show
from partimento.files import read_recipe
from partimento.playback.destinations import check_output
from partimento.recipe import parse_recipe

__all__ = ["replay"]


def replay(
    file: Path,
    /,
    *,
    out: Annotated[list[Path] | None, Parameter(name=["--out", "-o"])] = None,
    prompt: Path | None = None,
    model: str | None = None,
) -> None:
    """Make a generated file again, byte for byte, from the recipe inside it.

    Parameters
    ----------
    file
        Any file that partimento generated.
    out
        Where to write it; the ending may be another. Left out, it is FILE-replay with the same
        ending, in the current folder.
    prompt
        Where the prompt of a continuation is now, if it has moved.
    model
        The model, if it is no longer found by its name.
    """
    targets = out or [Path(f"{file.stem}-replay{file.suffix}")]
    for target in targets:
        check_output(target)
    is_sound = parse_recipe(read_recipe(file), file).is_sound
    with screen.bar_progress("replay", "s" if is_sound else "bars") as progress:
        again = api.replay(file, prompt=prompt, model=model, progress=progress)
        written = [again.save(target) for target in targets]
    for note in again.notes:
        show.warn(note)
    verdict = "the same bytes as" if again.is_same() else "NOT the same bytes as"
    show.say(f"Wrote {', '.join(map(str, written))}: {verdict} {file}")

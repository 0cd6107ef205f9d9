"""``partimento replay``."""

from __future__ import annotations

from pathlib import Path

from partimento import api
from partimento.cli import screen, show
from partimento.cli.options import Force, Out
from partimento.files import read_recipe
from partimento.playback.destinations import check_new, check_output, check_source
from partimento.recipe import parse_recipe

__all__ = ["replay"]


def replay(
    file: Path,
    /,
    *,
    out: Out = None,
    force: Force = False,
    prompt: Path | None = None,
    model: str | None = None,
) -> None:
    """Make a generated file again, byte for byte, from the recipe inside it.

    Parameters
    ----------
    file
        Any file that Partimento generated.
    prompt
        Where the prompt of a continuation or an edit is now, if it has moved.
    model
        The model, if it is no longer found by its name.
    """
    targets = out or [Path(f"{file.stem}-replay{file.suffix}")]
    for target in targets:
        check_output(target)
        check_source(target, file)
    check_new(targets, force)
    is_sound = parse_recipe(read_recipe(file), file).is_sound
    with screen.bar_progress("replay", "s" if is_sound else "bars") as progress:
        again = api.replay(file, prompt=prompt, model=model, progress=progress)
        written = [again.save(target) for target in targets]
    for note in again.notes:
        show.warn(note)
    verdict = "the same bytes as" if again.is_same() else "NOT the same bytes as"
    show.say(f"Wrote {', '.join(map(str, written))}: {verdict} {file}")

"""``partimento doctor``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from partimento import api
from partimento.cli import screen, show

__all__ = ["doctor"]


def doctor(
    *,
    json_: Annotated[bool, Parameter(name="--json")] = False,
    bars: int = 8,
    threads: int | None = None,
) -> None:
    """Show what this machine can do: the speed of each model, what is missing, and advice.

    Parameters
    ----------
    json_
        Print JSON instead of text.
    bars
        Number of bars that each model generates to be timed, 1 to 256.
    threads
        Number of threads.
    """
    report = api.doctor(bars=bars, threads=threads)
    if json_:
        show.say(report.to_json())
        return
    show.say(", ".join(f"{name} {text}" for name, text in report.versions.items()))
    show.say(f"{report.machine}, {report.cores} cores")
    rows = [
        (m.name, f"{m.real_time_factor:.1f}x", f"{m.first_piece_seconds:.2f} s",
         f"{m.load_seconds:.2f} s", m.problem or "plays")
        for m in report.models
    ]  # fmt: skip
    screen.table(("model", "real time", "first bar", "loads in", "state"), rows)
    if report.training is not None:
        cost = report.training
        show.say(
            f"Training {cost.system}, preset {cost.preset}: "
            + (
                cost.problem
                or f"{cost.tokens_per_second:,.0f} tokens a second in {cost.number_format}; "
                f"{cost.steps:,} steps take {cost.hours:g} hours"
            )
        )
    for extra in report.extras:
        state = "installed" if extra.is_installed else f"pip install 'partimento[{extra.name}]'"
        show.say(f"{extra.name} ({extra.purpose}): {state}")
    show.say(f"SoundFont: {report.soundfont or 'none, the built-in synthesiser plays'}")
    show.say(f"Audio device: {report.audio_device or 'none found'}")
    state = "writable" if report.is_models_folder_writable else "NOT writable"
    show.say(f"Your models: {report.models_folder} ({state})")
    show.say(f"Advice: {report.advice}")

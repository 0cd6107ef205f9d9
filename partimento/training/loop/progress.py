"""Progress of training: a live bar with ETA on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TextIO

__all__ = ["Progress"]

_LINE_SECONDS, _READING_SECONDS = 30.0, 5.0
_LIVE_SECONDS = 0.2


class Progress:
    """Reports to one reader how far a run is, how long it will take, and the figures that matter.

    ``minutes`` is the time budget of the stage that begins next, where it has one.
    """

    def __init__(self, stream: TextIO | None = None, quiet: bool = False) -> None:
        self.stream, self.quiet = stream or sys.stderr, quiet
        self._live = self.stream.isatty() and not quiet
        self._stage, self._began, self._first = "", 0.0, 0
        self._printed = 0.0
        self._figures: dict[str, float] = {}
        self.minutes: float | None = None

    def reading(self, done: int, total: int) -> None:
        """Show how many files are read."""
        now = time.monotonic()
        self._printed = self._printed or now
        wait = _LIVE_SECONDS if self._live else _READING_SECONDS
        if not self.quiet and now - self._printed >= wait:
            self._printed = now
            self._show(f"read {done} of {total} files")

    def say(self, text: str) -> None:
        """Print one line."""
        if not self.quiet:
            print(("\r\x1b[K" if self._live else "") + text, file=self.stream, flush=True)

    def begin(self, stage: str, step: int, total: int | None) -> None:
        """Start a stage at a step."""
        self._stage, self._first, self._began = stage, step, time.monotonic()
        self._printed, self._figures = 0.0, {}

    def advance(self, step: int, total: int | None, figures: Mapping[str, float]) -> None:
        """Show a step and its figures."""
        for key, value in figures.items():
            if key.endswith("_loss"):
                old = self._figures.get(key, value)
                # The training loss is noisy: what is shown is its moving average.
                new = value if key.startswith("valid") else 0.95 * old + 0.05 * value
                self._figures[key] = new
        now = time.monotonic()
        has_valid = any(key.startswith("valid") for key in figures)
        wait = _LIVE_SECONDS if self._live else _LINE_SECONDS
        is_first = step == self._first + 1
        if self.quiet or (now - self._printed < wait and not has_valid and not is_first):
            return
        self._printed = now
        self._show(self._text(step, total, now))

    def _show(self, text: str) -> None:
        if self._live:
            print(f"\r\x1b[K{text}", end="", file=self.stream, flush=True)
        else:
            print(text, file=self.stream, flush=True)

    def _text(self, step: int, total: int | None, now: float) -> str:
        done = max(1, step - self._first)
        per_step = (now - self._began) / done
        if total:
            eta = f"{_clock((total - step) * per_step)} left"
        else:
            left = max(0.0, 60 * (self.minutes or 0) - (now - self._began))
            eta = f"about {_clock(left)} left, {step + int(left / max(per_step, 1e-9))} steps"
        of = f"/{total}" if total else ""
        figures = "  ".join(f"{key} {value:.4f}" for key, value in self._figures.items())
        speed = f"{1 / max(per_step, 1e-9):.2f} steps/s"
        return f"{self._stage}  step {step}{of}  {speed}  {eta}  {figures}"

    def end(self) -> None:
        """Finish a stage."""
        if self._live:
            print(file=self.stream, flush=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

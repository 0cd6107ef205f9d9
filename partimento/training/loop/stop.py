"""Requests to stop a training: Ctrl-C, SIGTERM and SIGHUP."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["StopRequest"]

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP


class StopRequest:
    """Turns the first signal into a request to stop between two steps; a second stops at once.

    Work that nothing is lost by giving up (see ``giving_up``) ends with the first signal.

    Attributes:
        asked: there was a signal.
        at_once: there was a second one; nothing more is to be saved.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.asked = self.at_once = False
        self._say = say
        self._gives_up = False
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():  # handlers can be set there only
            for name in _SIGNALS:
                number = getattr(signal, name, None)
                # nohup ignores SIGHUP so that a run outlives its terminal.
                if number is not None and not (
                    name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN
                ):
                    self._handlers[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_error: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    @contextmanager
    def giving_up(self, allowed: bool = True) -> Iterator[None]:
        """Let a signal end this block at once: its work leaves nothing behind."""
        self._gives_up = allowed
        if allowed and self.asked:
            raise KeyboardInterrupt
        try:
            yield
        finally:
            self._gives_up = False

    def keep(self) -> None:
        """Say, inside ``giving_up``, that from here on the work must be finished."""
        self._gives_up = False

    def _ask(self, _number: int, _frame: object) -> None:
        self.at_once = self.asked
        self.asked = True
        if self.at_once:
            raise KeyboardInterrupt
        # A signal that arrives while the same stream is written to cannot write to it.
        with contextlib.suppress(RuntimeError, OSError):
            self._say(
                "stopping: saving" if self._gives_up else "finishing this step; again to stop now"
            )
        if self._gives_up:
            raise KeyboardInterrupt

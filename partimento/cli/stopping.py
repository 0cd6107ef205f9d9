"""Signals that end the program as Ctrl-C does, so that nothing half-written is left."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["stop_on_signals", "stop_once"]

_NAMES = ("SIGTERM", "SIGHUP", "SIGBREAK")  # not all of them exist on every system


def _numbers() -> list[signal.Signals]:
    """Return the signals of this system that are not ignored, as nohup ignores SIGHUP."""
    found = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    return [number for number in found if signal.getsignal(number) is not signal.SIG_IGN]


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into KeyboardInterrupt inside the block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _stop) for number in _numbers()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stop_once() -> None:
    """Let the first signal, Ctrl-C included, raise KeyboardInterrupt, and ignore later ones.

    So a second signal does not disturb the writing that the first one caused.
    """
    numbers = [signal.SIGINT, *_numbers()]

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in numbers:
        signal.signal(number, stop)

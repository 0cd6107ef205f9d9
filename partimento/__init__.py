"""Partimento: give it a sketch and it realises music, at once, on the computer you have.

``partimento.load().generate(bars=16).save("first.wav")`` is a whole program. What is listed in
``__all__`` is imported when it is first used, so that ``import partimento`` takes no time. The
public interface is ``partimento.api``; ``api.systems`` and ``api.evaluate`` are found only there,
because packages and modules have their names.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from partimento.api import (
        Instrument,
        Result,
        describe,
        doctor,
        export,
        load,
        models,
        play,
        read,
        render,
        replay,
        train,
        write,
    )

__all__ = [
    "Instrument",
    "Result",
    "describe",
    "doctor",
    "export",
    "load",
    "models",
    "play",
    "read",
    "render",
    "replay",
    "train",
    "write",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'partimento' has no attribute {name!r}")
    return getattr(import_module("partimento.api"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

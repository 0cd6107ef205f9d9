"""Lines of text: results on stdout, notes and warnings on stderr."""

from __future__ import annotations

import sys

__all__ = ["long_time", "note", "say", "warn"]


def say(text: str) -> None:
    """Print one line on stdout, at once."""
    print(text, flush=True)


def warn(text: str) -> None:
    """Print one line of warning on stderr."""
    print(f"partimento: warning: {text}", file=sys.stderr)


def note(text: str) -> None:
    """Print one line on stderr, where stdout may carry music."""
    print(text, file=sys.stderr)


def long_time(seconds: float) -> str:
    """Return ``"8.4 s"`` or ``"2 min 05 s"``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"

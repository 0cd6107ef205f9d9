"""Parts of error messages: lists and values, cut so that a message stays short."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["listed", "shown"]


def listed(names: Iterable[object], most: int = 8) -> str:
    """Return ``"a, b, c"``, ``"a, b and 12 more"`` for long lists, ``"none"`` for an empty one."""
    texts = [shown(name, plain=True) for name in names]
    if len(texts) <= most:
        return ", ".join(texts) or "none"
    return f"{', '.join(texts[: most - 1])} and {len(texts) - most + 1} more"


def shown(value: object, most: int = 40, *, plain: bool = False) -> str:
    """Return a value on one line as Python shows it, or as plain text, cut after ``most`` letters.

    Integers too long to print are named by their number of bits.
    """
    try:
        text = str(value) if plain else repr(value)
    except ValueError:  # Python refuses to print integers of more than 4,300 digits
        assert isinstance(value, int)
        text = f"an integer of {value.bit_length()} bits"
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"

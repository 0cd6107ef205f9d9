"""Numbers of MusicXML, parsed with bounds.

A number is sign, digits and a decimal point, as XML Schema's ``decimal``: never an exponent, which
in nine characters would ask for a number of gigabytes.
"""

from __future__ import annotations

import re
from fractions import Fraction

__all__ = ["MAX_DIVISIONS", "MAX_QUARTERS", "decimal", "divisions", "integer", "quarters"]

MAX_QUARTERS = 2**20  # the longest score; at 120 a minute it lasts six days
MAX_DIVISIONS = 2**24
_DECIMAL = re.compile(r"[+-]?(?:\d{1,15}(?:\.\d{0,30})?|\.\d{1,30})", re.ASCII)
_SHOWN = 20


def decimal(text: str | None, default: str = "0") -> Fraction:
    """Return the number that a text holds, exactly; ``default`` where there is no text.

    Raises:
        ValueError: unless it is a decimal number of at most 15 digits before the point, 30 after.
    """
    stripped = (text or "").strip() or default
    if _DECIMAL.fullmatch(stripped) is None:
        raise ValueError(f"{stripped[:_SHOWN]!r} is not a decimal number in range")
    return Fraction(stripped)


def integer(text: str | None, default: str = "0") -> int:
    """Return the whole number that a text holds; a fraction is cut off.

    Raises:
        ValueError: as ``decimal``.
    """
    return int(decimal(text, default))


def divisions(text: str | None) -> int:
    """Return the divisions of a quarter.

    Raises:
        ValueError: unless they are a whole number of 1..``MAX_DIVISIONS``.
    """
    value = decimal(text, "1")
    if value.denominator != 1 or not 1 <= value <= MAX_DIVISIONS:
        raise ValueError(f"divisions are whole and 1..{MAX_DIVISIONS}, not {(text or '')[:_SHOWN]}")
    return int(value)


def quarters(text: str | None, per_quarter: int) -> Fraction:
    """Return a duration or an offset in quarters, exactly; 0 where there is no text.

    Raises:
        ValueError: if it is longer than ``MAX_QUARTERS``, or no number.
    """
    value = decimal(text) / per_quarter
    if abs(value) > MAX_QUARTERS:
        raise ValueError(f"a duration of {float(value):g} quarters")
    return value

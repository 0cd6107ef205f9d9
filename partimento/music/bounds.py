"""Numbers that a caller gives: of the right type, finite, and inside their bounds."""

from __future__ import annotations

from numbers import Integral, Real

from partimento.errors import MusicError
from partimento.messages import shown

__all__ = ["check_number", "check_whole"]


def check_whole(what: str, value: object, low: int, high: int, unit: str = "") -> int:
    """Return ``value`` as an int in ``low..high``, both included.

    Args:
        what: the name of the value at the start of the message, such as ``"bars"``.
        value: an integer; True and False are not numbers here.
        low: the least value.
        high: the greatest value.
        unit: what is counted, for the message.

    Raises:
        MusicError: if it is no integer or lies outside; names the bounds.
    """
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_whole or not low <= value <= high:  # type: ignore[operator]
        kind = "" if is_whole else "a whole number "
        _refuse(what, kind, value, low, high, unit)
    return int(value)  # type: ignore[call-overload, no-any-return]


def check_number(what: str, value: object, low: float, high: float, unit: str = "") -> float:
    """Return ``value`` as a float in ``low..high``, both included.

    Raises:
        MusicError: if it is no number, not finite, or outside; names the bounds.
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:  # type: ignore[operator]  # NaN is outside
        kind = "" if is_number else "a number "
        _refuse(what, kind, value, low, high, unit)
    return float(value)  # type: ignore[arg-type]


def _refuse(what: str, kind: str, value: object, low: float, high: float, unit: str) -> None:
    span = f"{low:g}..{high:g}" if max(abs(low), abs(high)) < 1e6 else f"{low}..{high}"
    tail = f" {unit}" if unit else ""
    raise MusicError(f"{what} must be {kind}in {span}{tail}, not {shown(value)}")

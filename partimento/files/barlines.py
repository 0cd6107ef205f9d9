"""From written bar lines to time signatures whose ``Timeline`` has the same bars."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from partimento.music import TimeSignature

__all__ = ["WrittenBar", "nearest_metre", "time_signatures"]

_DENOMINATORS = (4, 8, 16, 32, 64)

# (onset in ticks, length in ticks, the metre that rules there or None)
WrittenBar = tuple[int, int, tuple[int, int] | None]


def nearest_metre(quarters: Fraction, denominator: int = 4) -> tuple[int, int]:
    """Return the metre whose bar lasts ``quarters``, or the next longer one that can be written.

    ``denominator`` is taken where it fits, so a pickup to 6/8 is 1/8 or 3/8.
    """
    for beat in (denominator, *_DENOMINATORS):
        numerator = quarters * beat / 4
        if numerator.denominator == 1 and 1 <= numerator <= 64:
            return int(numerator), beat
    for beat in (64, 32, 16, 8, 4, 2, 1):
        up = -(-quarters * beat // 4)
        if 1 <= up <= 64:
            return int(up), beat
    return 64, 1


def time_signatures(
    bars: Sequence[WrittenBar], ticks_per_quarter: int
) -> tuple[TimeSignature, ...]:
    """Return time signatures under which a ``Timeline`` has exactly these bars.

    A bar that is shorter or longer than its metre (a pickup, a cadenza) gets a metre of its own
    length, and the next bar the written metre again. The last bar may be short as it is.
    """
    out: list[TimeSignature] = []
    # What would rule the next bar: (numerator, denominator), and whether a bar ends just there.
    ruling: tuple[int, int] | None = None
    exact = True
    for index, (onset, length, metre) in enumerate(bars):
        last = index == len(bars) - 1
        quarters = Fraction(length, ticks_per_quarter)
        if metre is None:
            metre = nearest_metre(quarters)
        full = Fraction(4 * metre[0], metre[1])
        fits = abs(full - quarters) * ticks_per_quarter < 1 or (last and quarters < full and index)
        chosen = metre if fits else nearest_metre(quarters, metre[1])
        if chosen != ruling or not exact:
            out.append(TimeSignature(onset, *chosen))
            ruling = chosen
        written = Fraction(4 * chosen[0], chosen[1]) * ticks_per_quarter
        exact = int(written) == length
    return tuple(out)

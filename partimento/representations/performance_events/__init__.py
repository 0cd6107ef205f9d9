"""Performance events: note on, note off, time shift in 10 ms (piano playing)."""

from __future__ import annotations

from partimento.representations.performance_events.constraint import (
    PerformanceConstraint,
    PerformanceState,
)
from partimento.representations.performance_events.realiser import PerformanceRealiser
from partimento.representations.performance_events.tokens import (
    MAX_SHIFT,
    STEPS_PER_SECOND,
    PerformanceEvents,
    PerformanceEventsWalk,
)
from partimento.representations.registry import RepresentationEntry

__all__ = [
    "ENTRY",
    "MAX_SHIFT",
    "STEPS_PER_SECOND",
    "PerformanceConstraint",
    "PerformanceEvents",
    "PerformanceEventsWalk",
    "PerformanceRealiser",
    "PerformanceState",
]

ENTRY = RepresentationEntry(
    lambda options: PerformanceEvents(), realise=PerformanceRealiser, is_performed=True
)

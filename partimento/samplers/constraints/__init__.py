"""Musical promises as masks over tokens: one state machine a representation.

A constraint enforces the grammar of its representation and every promise of
``partimento.music.Promises`` exactly, whatever the logits are, and never runs into a dead end.
What cannot be met is refused when the constraint is made.
"""

from partimento.samplers.constraints.bar_closing import BarClosing
from partimento.samplers.constraints.bars import BarEventConstraint, BarEventState
from partimento.samplers.constraints.base import Constraint, Mask
from partimento.samplers.constraints.grid import GridConstraint, GridState
from partimento.samplers.constraints.grid_closing import GridClosing
from partimento.samplers.constraints.melody import MelodyConstraint, MelodyState
from partimento.samplers.constraints.performance import PerformanceConstraint, PerformanceState

__all__ = [
    "BarClosing",
    "BarEventConstraint",
    "BarEventState",
    "Constraint",
    "GridClosing",
    "GridConstraint",
    "GridState",
    "Mask",
    "MelodyConstraint",
    "MelodyState",
    "PerformanceConstraint",
    "PerformanceState",
]

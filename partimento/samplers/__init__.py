"""Loops over a callable: how tokens are picked, one after another, under musical promises."""

from partimento.samplers.autoregressive import Decoder, sample, sample_batch
from partimento.samplers.constraints import (
    BarEventConstraint,
    Constraint,
    GridConstraint,
    PerformanceConstraint,
)
from partimento.samplers.picks import Pick

__all__ = [
    "BarEventConstraint",
    "Constraint",
    "Decoder",
    "GridConstraint",
    "PerformanceConstraint",
    "Pick",
    "sample",
    "sample_batch",
]

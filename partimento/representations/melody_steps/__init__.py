"""Melodies: one pitch an eighth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from partimento.representations.base import whole_numbers
from partimento.representations.melody_steps.constraint import MelodyConstraint, MelodyState
from partimento.representations.melody_steps.tokens import MelodySteps, MelodyWalk
from partimento.representations.realiser import EvenRealiser, TokenRequest, metre_of
from partimento.representations.registry import RepresentationEntry

__all__ = [
    "ENTRY",
    "MelodyConstraint",
    "MelodyState",
    "MelodySteps",
    "MelodyWalk",
]


def _realise(
    representation: MelodySteps, request: TokenRequest, config: Mapping[str, Any]
) -> EvenRealiser:
    metre = metre_of(request)
    grid = representation.with_metre(metre)
    promises = replace(request.promises, time_signature=metre)
    per_bar = grid.steps_per_bar
    return EvenRealiser(
        grid, MelodyConstraint(grid, promises), per_bar, grid.rest_token, request, config
    )


ENTRY = RepresentationEntry(
    lambda options: MelodySteps(**whole_numbers(options)),
    ("highest", "lowest", "steps_per_quarter"),
    _realise,
)

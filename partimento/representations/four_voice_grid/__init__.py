"""Four voices, a pitch a voice and a sixteenth (chorales)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from partimento.representations.base import whole_numbers
from partimento.representations.four_voice_grid.constraint import GridConstraint, GridState
from partimento.representations.four_voice_grid.tokens import (
    STEPS_PER_QUARTER,
    VOICES,
    FourVoiceGrid,
    GridWalk,
)
from partimento.representations.realiser import EvenRealiser, TokenRequest, metre_of
from partimento.representations.registry import RepresentationEntry, without

__all__ = [
    "ENTRY",
    "STEPS_PER_QUARTER",
    "VOICES",
    "FourVoiceGrid",
    "GridConstraint",
    "GridState",
    "GridWalk",
]


def _realise(
    representation: FourVoiceGrid, request: TokenRequest, config: Mapping[str, Any]
) -> EvenRealiser:
    metre = metre_of(request)
    grid = representation.with_metre(metre)
    promises = replace(request.promises, time_signature=metre)
    per_bar = len(VOICES) * grid.steps_per_bar
    return EvenRealiser(
        grid, GridConstraint(grid, promises), per_bar, grid.rest_token, request, config
    )


ENTRY = RepresentationEntry(
    lambda options: FourVoiceGrid(**whole_numbers(options)),
    ("denominator", "highest", "lowest", "steps_per_bar"),
    _realise,
    meaning=without("denominator", "steps_per_bar"),
)

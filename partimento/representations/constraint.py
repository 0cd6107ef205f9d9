"""What every constraint offers to the samplers."""

from __future__ import annotations

from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["Constraint", "Mask"]

S = TypeVar("S")
Mask = npt.NDArray[np.bool_]


class Constraint(Protocol[S]):
    """Musical promises as a state machine over tokens.

    States are immutable and cheap: keep one to come back to it. A mask belongs to the constraint
    and may be read only until the next call; do not write into it.
    """

    def begin(self) -> S:
        """Return the state before the first token."""
        ...

    def allowed(self, state: S) -> Mask:
        """Return (V,): which tokens may come next; never all False while not done."""
        ...

    def advance(self, state: S, token: int) -> S:
        """Return the state after ``token``; a prompt's tokens may break every rule."""
        ...

    def after_prompt(self, state: S) -> S:
        """Return the state in which all promises start again at the next bar line."""
        ...

    def written(self, state: S, token: int) -> int:
        """Return the token to write where ``token`` was picked; nearly always the same.

        In the last bar a picked BAR, by which the model says that the bar is full, is the END.
        """
        ...

    def is_done(self, state: S) -> bool:
        """Return whether nothing more may come."""
        ...

"""Priors over codes under ONNX Runtime: weights in the prior, memory of a window in the state.

A step reads some codes of one row (``training/audio_tokens/graphs.py``): of the row in hand, of the
columns and of the row before the state holds keys and values, which is all that factored attention
sees. A step therefore costs the same everywhere in the window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from partimento.runtime.audio_tokens.presets import PriorConfig
from partimento.runtime.sessions import Dims, Session

__all__ = ["CodePriorSession", "PriorState"]

F32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
_FAR = np.float32(-1e9)
_OUTPUTS = ["logits", "new_row", "new_column", "new_previous"]


@dataclass
class PriorState:
    """One batch of windows: what is added at each place, the memory, and how many places it holds.

    Arrays are (layers of a pattern, 2, B, ..): the row in hand and the row before (.., row, A), the
    columns (.., row, rows, A). The state is updated in place.
    """

    conditions: F32  # (B, L, W)
    row: F32
    before: F32  # of the previous-row layers: the row before the one in hand
    gathering: F32  # of the same layers: the row in hand
    column: F32
    count: int = 0

    @property
    def length(self) -> int:
        """How many places the window has."""
        return int(self.conditions.shape[1])


class CodePriorSession:
    """A prior of one level; it holds weights only."""

    def __init__(
        self, step: Session, conditions: Session, config: PriorConfig, entries: int, is_top: bool
    ) -> None:
        self.config, self.entries = config, entries
        self._step, self._conditions = step, conditions
        layers = [sum(at % 3 == which for at in range(config.layers)) for which in range(3)]
        self._layers = layers
        row, rows, width = config.row, config.window // config.row, config.attention_width
        self._rows = rows
        step.require(
            {
                "codes": ("int64", (None, None)),
                "conditions": ("float", (None, None, config.width)),
                "row": ("float", (layers[0], 2, None, row, width)),
                "column": ("float", (layers[1], 2, None, None, rows, width)),
                "previous": ("float", (layers[2], 2, None, row, width)),
                "row_mask": ("float", (row,)),
                "column_mask": ("float", (rows,)),
                "causal": ("float", (None, None)),
            },
            {"logits": ("float", (None, entries))},
            "the prior",
        )
        told: Dims = ("int64", (None, None, 3) if is_top else (None, None))
        conditions.require(
            {"artist": ("int64", (None,)), "genres": ("int64", (None, 5)), "told": told},
            {"conditions": ("float", (None, None, config.width))},
            "what the prior is told",
        )
        self._below = {
            count: np.triu(np.full((count, count), _FAR, dtype=np.float32), 1)
            for count in range(1, row + 1)
        }

    def begin(self, artist: Ints, genres: Ints, told: Ints) -> PriorState:
        """Return the state before the first code of windows.

        Args:
            artist: number of each window's artist (B,).
            genres: numbers of its genres (B, 5), 0 for none.
            told: the codes above (B, n), or at the top the bins of time (B, L, 3).
        """
        feeds = {"artist": artist, "genres": genres, "told": told}
        conditions: F32 = self._conditions.run(["conditions"], feeds)[0]
        batch, row, width = len(artist), self.config.row, self.config.attention_width
        first, second, third = self._layers
        flat = [
            np.zeros((count, 2, batch, row, width), dtype=np.float32)
            for count in (first, third, third)
        ]
        column = np.zeros((second, 2, batch, row, self._rows, width), dtype=np.float32)
        return PriorState(conditions, flat[0], flat[1], flat[2], column)

    def append(self, state: PriorState, codes: Ints) -> F32:
        """Append codes (B, n) to a window and return the logits (B, V) of the next one.

        The first call takes n = 0 as well. The window must have room for the next code.
        """
        if state.count == 0:
            start = np.full((len(codes), 1), self.entries, dtype=np.int64)
            codes = np.concatenate([start, codes], axis=1)
        if not codes.shape[1] or state.count + codes.shape[1] > state.length:
            raise ValueError("nothing was appended, or more than the window holds")
        at, row = 0, self.config.row
        while at < codes.shape[1]:
            room = row - state.count % row
            logits = self._run(state, codes[:, at : at + room])
            at += room
        return logits

    def _run(self, state: PriorState, codes: Ints) -> F32:
        """Return the logits after some codes that lie in one row, and remember them."""
        row, count = self.config.row, codes.shape[1]
        line, first = divmod(state.count, row)
        last = first + count
        if first == 0 and line:
            state.before, state.gathering = state.gathering, state.before
        row_mask = np.where(np.arange(row) < first, np.float32(0), _FAR)
        column_mask = np.where(np.arange(self._rows) < line, np.float32(0), _FAR)
        feeds = {
            "codes": codes,
            "conditions": state.conditions[:, state.count : state.count + count],
            "row": state.row,
            "column": state.column[:, :, :, first:last],
            "previous": state.before,
            "row_mask": row_mask,
            "column_mask": column_mask,
            "causal": self._below[count],
        }
        logits, new_row, new_column, new_previous = self._step.run(_OUTPUTS, feeds)
        state.row[:, :, :, first:last] = new_row
        state.column[:, :, :, first:last, line] = new_column
        state.gathering[:, :, :, first:last] = new_previous
        state.count += count
        out: F32 = logits
        return out

"""How a window of a grid is filled: unmasked, its lengths drawn again, its faults repair."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from partimento.representations.track_grid import EMPTY, Cells, TrackGrid
from partimento.runtime.contract import Controls
from partimento.samplers.picks import Pick
from partimento.samplers.unmasking import TIMES, Predict, sharpened, unmask
from partimento.samplers.voice_care import repair

__all__ = ["Filling", "GridControls"]

_AGAIN_STEPS = 2  # times the model is asked when some cells are drawn again

_Bools = npt.NDArray[np.bool_]
_Ints = npt.NDArray[np.int64]


class GridControls(Controls):
    """Controls of systems that fill a grid by steps."""

    steps: int = Field(20, ge=1, le=TIMES, description="times the model is asked for a window")
    temperature: float = Field(1.0, gt=0, le=5, description="below 1 safer, above 1 more varied")
    top_p: float = Field(1.0, gt=0, le=1, description="keep the likeliest values of this mass")
    order: Literal["confidence", "ancestral"] = Field(
        "confidence", description="which cells are written first: the surest, or any"
    )
    refinements: int = Field(
        0, ge=0, le=20, description="rounds at the end that regenerate the least likely cells"
    )
    care: int = Field(
        0, ge=0, le=50, description="rounds that regenerate notes at fault in voice leading"
    )
    ensemble: Literal["auto", "choir", "strings"] = Field(
        "auto", description="who plays; auto goes by the instruments of the prompt"
    )


class Filling:
    """Fills windows for one request, by its controls and its generator."""

    def __init__(self, grid: TrackGrid, controls: GridControls, rng: np.random.Generator) -> None:
        self.grid, self.controls, self.rng = grid, controls, rng
        self.pick = Pick(top_p=controls.top_p)  # the temperature is on the pitches alone
        self.lengths = Pick(controls.temperature)

    def __call__(
        self,
        predict: Predict,
        cells: Cells,
        targets: _Bools,
        first: _Bools | None,
        second: _Bools,
        at: _Ints,
    ) -> Cells:
        """Return the cells with their targets written.

        Args:
            predict: the model.
            cells: (S, T, 2), what is given.
            targets: (S, T), the cells to be written.
            first: (S, T, 129), what may start; None leaves all free.
            second: (S, T, 65), how long it may last.
            at: the columns that are no padding.
        """
        controls = self.controls
        sharp = sharpened(predict, controls.temperature)
        made = unmask(
            sharp,
            cells,
            np.repeat(targets[..., None], 2, axis=2),
            self.rng,
            steps=controls.steps,
            order=controls.order,
            pick=self.pick,
            pick_second=self.lengths,
            allowed=first,
            allowed_second=second,
            refinements=controls.refinements,
        )
        made = self._lengths_again(predict, made, targets, second)
        if not controls.care:
            return made
        is_padding = np.ones(cells.shape[1], dtype=bool)
        is_padding[at] = False
        return self._with_care(sharp, made, targets, first, is_padding)

    def _lengths_again(
        self, predict: Predict, cells: Cells, targets: _Bools, allowed: _Bools
    ) -> Cells:
        """Return cells whose lengths know where the next notes start, half drawn at a time."""
        half = self.rng.random(targets.shape) < 0.5
        for part in (half, ~half):
            asked = np.zeros(cells.shape, dtype=bool)
            asked[..., 1] = targets & part & (cells[..., 0] > EMPTY)
            cells = unmask(
                predict,
                cells,
                asked,
                self.rng,
                steps=_AGAIN_STEPS,
                pick_second=self.lengths,
                allowed_second=allowed,
            )
        return cells

    def _with_care(
        self,
        predict: Predict,
        cells: Cells,
        targets: _Bools,
        allowed: _Bools | None,
        is_padding: _Bools,
    ) -> Cells:
        """Return cells whose faults of voice leading were asked for again."""
        voices = [slots.start for slots in self.grid.slots_of]
        if allowed is None:
            allowed = np.ones((*targets.shape, self.grid.what_size), dtype=bool)

        def rewrite(given: Cells, asked: _Bools, may: _Bools) -> Cells:
            return unmask(
                predict, given, asked, self.rng, steps=_AGAIN_STEPS, pick=self.pick, allowed=may
            )

        care = self.controls.care
        return repair(cells, targets, voices, is_padding, allowed, rewrite, care, self.rng)

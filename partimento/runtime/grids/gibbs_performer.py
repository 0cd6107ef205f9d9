"""The performer of models of rolls: request, sheet, blocked Gibbs sampling, pieces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from partimento.config import Config
from partimento.errors import NotSupported
from partimento.music import Piece
from partimento.representations.track_grid import EMPTY, LONGEST, MASK, Cells, TrackGrid
from partimento.runtime.contract import Controls, Request
from partimento.runtime.grids.performer import GraphSession, written
from partimento.runtime.grids.request import Parts
from partimento.runtime.grids.rolls import HIDDEN, SILENT, joined, pitches_of
from partimento.runtime.grids.windows import View
from partimento.runtime.model_folder import MAIN_PART, ModelFolder
from partimento.runtime.sessions import open_session
from partimento.samplers.gibbs import gibbs, masking_shares
from partimento.samplers.picks import Pick
from partimento.samplers.unmasking import Predict

__all__ = ["GibbsControls", "GibbsFilling", "GibbsPerformer", "RollDecoder", "RollFacts"]

_PITCHES = 128
_NEVER = np.float32(-1e4)  # of pitches outside the model's range: drawn where nothing else may be

_Bools = npt.NDArray[np.bool_]
_Floats = npt.NDArray[np.float32]
_Ints = npt.NDArray[np.int64]


class GibbsControls(Controls):
    """Controls of systems that sample a roll by blocked Gibbs steps."""

    steps: int = Field(
        64, ge=1, le=4096, description="Gibbs steps a window; each asks the model once"
    )
    temperature: float = Field(1.0, gt=0, le=5, description="below 1 safer, above 1 more varied")
    top_p: float = Field(1.0, gt=0, le=1, description="keep the likeliest pitches of this mass")
    masking: float = Field(
        0.9, gt=0, le=1, description="share of the cells that the first steps draw again"
    )
    masking_at_end: float = Field(
        0.1, gt=0, le=1, description="share of the cells that the last steps draw again"
    )


class RollFacts(Config):
    """What a model's config says of a roll network."""

    kind: Literal["roll"]
    window: int = Field(ge=16, le=1 << 16, description="columns that it can be shown at once")
    lowest: int = Field(ge=0, le=127)
    highest: int = Field(ge=0, le=127)
    ensembles: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = Field(
        min_length=1, max_length=64
    )


class RollDecoder:
    """A roll graph: its weights and range, and no state."""

    def __init__(self, session: GraphSession, grid: TrackGrid, facts: RollFacts) -> None:
        self.session, self.grid, self.facts = session, grid, facts

    def predict(self, view: View) -> Predict:
        """Return what says of the cells (S, T, 2) of a view what sounds in each.

        Logits of what (S, T, 129) are those of a pitch, whether it starts there or is held; those
        of lengths are even. Voices that are not used are hidden from the model. It sees the edges
        of the piece as silence, and no padding.
        """
        columns = np.ones(view.columns, dtype=bool)
        columns[view.inside] = ~view.layout.is_padding
        at = np.flatnonzero(columns)
        voices = self.grid.chord_slot
        absent = view.given[:voices] == 0
        inside = np.zeros(view.columns, dtype=bool)
        inside[view.inside] = True
        low, high = self.facts.lowest, self.facts.highest

        def ask(cells: Cells, t: int) -> tuple[_Floats, _Floats]:
            pitches = pitches_of(cells[:voices, at])
            pitches[absent[:, None] & inside[at]] = HIDDEN
            pitches[(pitches >= 0) & ((pitches < low) | (pitches > high))] = SILENT
            (logits,) = self.session.run(["logits"], {"pitches": pitches[None]})
            what = np.full((*cells.shape[:2], 1 + _PITCHES), _NEVER, dtype=np.float32)
            what[:voices, at, 1 + low : 2 + high] = logits[0]
            return what, np.zeros((*cells.shape[:2], 1 + LONGEST), dtype=np.float32)

        return ask


class GibbsFilling:
    """Fills windows for one request by blocked Gibbs sampling."""

    def __init__(self, grid: TrackGrid, controls: GibbsControls, rng: np.random.Generator) -> None:
        self.grid, self.rng = grid, rng
        self.pick = Pick(controls.temperature, top_p=controls.top_p)
        least = min(controls.masking, controls.masking_at_end)
        self.shares = masking_shares(controls.steps, least, controls.masking)

    def __call__(
        self,
        predict: Predict,
        cells: Cells,
        targets: _Bools,
        first: _Bools | None,
        second: _Bools,
        at: _Ints,
    ) -> Cells:
        """Return the cells with their targets written; arguments as of ``fill.Filling``."""
        voices = self.grid.chord_slot
        wanted = targets[:voices]
        allowed = np.ones((*wanted.shape, _PITCHES), dtype=bool)
        struck = np.zeros_like(wanted)
        if first is not None:
            allowed, struck = first[:voices, :, EMPTY + 1 :], ~first[:voices, :, EMPTY]
        # Where promises leave no pitch the cell stays silent.
        possible = wanted & allowed.any(axis=2)
        values = np.zeros(wanted.shape, dtype=np.int64)

        def ask(pitches: _Ints, hidden: _Bools) -> _Floats:
            shown = cells.copy()
            shown[:voices][wanted] = EMPTY
            shown[:voices][possible] = np.stack(
                [pitches[possible] + 1, np.ones_like(pitches[possible])], -1
            )
            shown[:voices][hidden] = MASK
            what, _ = predict(shown, 1)
            return what[:voices, :, EMPTY + 1 :]

        if possible.any():
            values = gibbs(ask, values, possible, allowed, self.shares, self.pick, self.rng)
        room = second[:voices].shape[2] - 1 - second[:voices, :, ::-1].argmax(axis=2)
        made = cells.copy()
        made[:voices, at] = np.where(
            wanted[:, at, None],
            joined(
                np.where(possible, values, SILENT)[:, at], wanted[:, at], struck[:, at], room[:, at]
            ),
            cells[:voices, at],
        )
        return made


class GibbsPerformer:
    """Plays a model of rolls. It holds weights only."""

    def __init__(self, session: GraphSession, grid: TrackGrid, config: Mapping[str, Any]) -> None:
        self.representation, self.config = grid, config
        facts = RollFacts.model_validate(config["network"])
        self.network = RollDecoder(session, grid, facts)

    @classmethod
    def load(
        cls, folder: ModelFolder, threads: int | None = None, precision: str = "fp32"
    ) -> GibbsPerformer:
        """Return the performer of a model folder.

        Raises:
            ModelError: if the folder's graph cannot be read, is of another kind, or is not what the
                config says.
        """
        facts = folder.section("network", RollFacts)
        with folder.reading():
            grid = TrackGrid.from_spec(folder.config["representation"].get("tracks"))
        session = open_session(folder.part(MAIN_PART, precision), threads)
        voices, pitches = grid.slots - 1, facts.highest - facts.lowest + 1
        session.require(
            {"pitches": ("int64", (None, voices, None))},
            {"logits": ("float", (None, voices, None, pitches))},
        )
        return cls(session, grid, folder.config)

    def stream(
        self, request: Request, controls: Controls, rng: np.random.Generator
    ) -> Iterator[Piece]:
        """Yield the answer bar by bar; see ``contract.Performer``.

        Raises:
            NotSupported: if parts do not fit the grid, or no end is known where one must be.
            CannotBeMet: if what is kept breaks a promise or leaves no room.
        """
        if not isinstance(controls, GibbsControls):
            raise NotSupported("this model takes steps, temperature, top_p, masking")
        parts = Parts.of(self.representation, self.config, 0)
        fill = GibbsFilling(self.representation, controls, rng)
        network = self.network
        return written(request, parts, network.predict, fill, network.facts.window, self.config)

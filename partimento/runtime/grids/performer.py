"""The performer of every grid model: request, sheet, unmasking, pieces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field

from partimento.config import Config
from partimento.errors import NotSupported
from partimento.music import KeySignature, Piece, Score, Tempo
from partimento.representations.pitches import check_track_names
from partimento.representations.track_grid import (
    LONGEST,
    MASK,
    UNKNOWN,
    CellConstraint,
    Cells,
    TrackGrid,
)
from partimento.representations.track_grid import sounding as sounding_of
from partimento.runtime.contract import PROMPT_TASKS, Controls, Request, Task
from partimento.runtime.grids.fill import Filling, GridControls
from partimento.runtime.grids.likelihood import judged_request, mean_likelihood
from partimento.runtime.grids.request import Parts, sheet_of
from partimento.runtime.grids.windows import Ask, Fill, View, Writing, check_bars
from partimento.runtime.model_folder import MAIN_PART, ModelFolder
from partimento.runtime.sessions import open_session
from partimento.samplers.unmasking import Predict

__all__ = ["GraphSession", "GridControls", "GridDecoder", "GridFacts", "GridPerformer", "written"]

_STRINGS = range(40, 48)  # General MIDI's bowed and plucked strings

_Bools = npt.NDArray[np.bool_]
_Floats = npt.NDArray[np.float32]
_Ints = npt.NDArray[np.int64]


class GridFacts(Config):
    """What a model's config says of a grid network."""

    kind: Literal["grid"]
    window: int = Field(ge=16, le=1 << 16, description="columns that it can be shown at once")
    ensembles: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = Field(
        min_length=1, max_length=64
    )


class GraphSession(Protocol):
    """The part of an ONNX Runtime session that is used."""

    def run(self, names: Sequence[str], feed: dict[str, _Ints], /) -> Sequence[Any]:
        """Return the outputs of these names."""
        ...


class GridDecoder:
    """A grid graph: its weights and sizes, and no state."""

    def __init__(self, session: GraphSession, grid: TrackGrid, window: int) -> None:
        self.session, self.grid, self.window = session, grid, window

    def predict(self, view: View, ensemble: int) -> Predict:
        """Return what says of the cells (S, T, 2) of a view what each would be."""
        features = np.zeros((view.columns, 2), dtype=np.int64)
        features[view.inside] = view.layout.features
        is_padding = np.ones(view.columns, dtype=bool)
        is_padding[view.inside] = view.layout.is_padding
        masks = np.array([UNKNOWN, 1 + LONGEST])

        def ask(cells: Cells, t: int) -> tuple[_Floats, _Floats]:
            feed = {
                "cells": np.where(cells == MASK, masks, cells)[None],
                "sounding": sounding_of(cells[: self.grid.chord_slot], is_padding)[None],
                "features": features[None],
                "given": view.given[None],
                "context": np.array([[t, ensemble]], dtype=np.int64),
            }
            what, length = self.session.run(["what", "length"], feed)
            return what[0], length[0]

        return ask


class GridPerformer:
    """Plays a grid model. It holds weights only."""

    def __init__(self, session: GraphSession, grid: TrackGrid, config: Mapping[str, Any]) -> None:
        self.representation, self.config = grid, config
        network = config["network"]
        self.ensembles = tuple(str(name) for name in network["ensembles"])
        self.network = GridDecoder(session, grid, int(network["window"]))

    @classmethod
    def load(
        cls, folder: ModelFolder, threads: int | None = None, precision: str = "int8"
    ) -> GridPerformer:
        """Return the performer of a model folder.

        Raises:
            ModelError: if the folder's graph cannot be read, is of another kind, or is not what the
                config says.
        """
        folder.section("network", GridFacts)
        with folder.reading():
            grid = TrackGrid.from_spec(folder.config["representation"].get("tracks"))
        session = open_session(folder.part(MAIN_PART, precision), threads)
        slots = grid.slots
        session.require(
            {
                "cells": ("int64", (None, slots, None, 2)),
                "sounding": ("int64", (None, 3 * (slots - 1), None)),
                "features": ("int64", (None, None, 2)),
                "given": ("int64", (None, slots)),
                "context": ("int64", (None, 2)),
            },
            {
                "what": ("float", (None, slots, None, UNKNOWN)),
                "length": ("float", (None, slots, None, 1 + LONGEST)),
            },
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
        if not isinstance(controls, GridControls):
            raise NotSupported("a grid model takes steps, temperature, top_p, order, ensemble")
        ensemble = self._ensemble(request, controls.ensemble)
        parts = Parts.of(self.representation, self.config, ensemble)

        def ask(view: View) -> Predict:
            return self.network.predict(view, ensemble)

        fill = Filling(self.representation, controls, rng)
        return written(request, parts, ask, fill, self.network.window, self.config)

    def score_of(self, request: Request, score: Score) -> float:
        """Return the mean log-likelihood, in nats a cell, of what ``score`` holds where it is new.

        Pseudo-likelihood: the cells are hidden in four parts, a beat in four of every voice at a
        time, and each is judged by all the others. The cell of a note counts what starts and how
        long it lasts.

        Args:
            request: what ``score`` is an answer to.
            score: the whole piece, the prompt included.

        Raises:
            NotSupported: if the parts of the score do not fit the grid.
        """
        ensemble = self._ensemble(request, "auto")
        asked = judged_request(request, score)
        parts = Parts.of(self.representation, self.config, ensemble)
        sheet = sheet_of(asked, parts, self.network.window)
        seated = [sheet.track_of[slots.start] for slots in self.representation.slots_of]
        cells = parts.encode(score, seated).cells

        def ask(view: View) -> Predict:
            return self.network.predict(view, ensemble)

        return mean_likelihood(sheet, cells, ask, self.network.window)

    def ensemble_of(self, request: Request, asked: str | None) -> str:
        """Return the name of the ensemble that answers a request; see ``_ensemble``."""
        return self.ensembles[self._ensemble(request, asked if asked in self.ensembles else "auto")]

    def _ensemble(self, request: Request, asked: str) -> int:
        """Return the number of the ensemble that was asked for, or the prompt's programs imply.

        Raises:
            NotSupported: if the model knows no such ensemble.
        """
        if asked != "auto":
            if asked not in self.ensembles:
                known = ", ".join(self.ensembles)
                raise NotSupported(f"this model knows no ensemble {asked!r}; it knows: {known}")
            return self.ensembles.index(asked)
        if request.score is None:
            return 0
        programs = [track.program for track in request.score.tracks if not track.is_drum]
        strings = sum(program in _STRINGS for program in programs)
        is_strings = 2 * strings > len(programs)
        return self.ensembles.index("strings") if is_strings and "strings" in self.ensembles else 0


def written(
    request: Request, parts: Parts, ask: Ask, fill: Fill, window: int, config: Mapping[str, Any]
) -> Iterator[Score]:
    """Yield the answer to a request bar by bar; see ``contract.Performer``.

    Args:
        request: what is asked.
        parts: who plays.
        ask: the model.
        fill: how a window is written.
        window: how many columns the model sees at once.
        config: that of the model folder.

    Raises:
        NotSupported: if parts do not fit the grid, or no end is known where one must be.
        CannotBeMet: if what is kept breaks a promise or leaves no room.
    """
    if request.task in PROMPT_TASKS:
        raise NotSupported("a grid model can accompany, continue, generate, infill")
    new = request.task in (Task.GENERATE, Task.CONTINUE)
    if new and request.promises.bars is None and not request.endless:
        raise NotSupported("this model has no notion of an end; ask for bars or for a stream")
    sheet = sheet_of(request, parts, window)
    check_bars(sheet, window)
    check_track_names(request.promises, [track.name for track in sheet.tracks])
    constraint = CellConstraint(request.promises, sheet.names)
    pieces = Writing(sheet, constraint, ask, fill, window).pieces()
    return _dressed(pieces, request, config) if new else pieces


def _dressed(
    pieces: Iterator[Score], request: Request, config: Mapping[str, Any]
) -> Iterator[Score]:
    """Yield new pieces with the tempo and the key that were asked for written in."""
    tempo = request.tempo_quarters_per_minute
    if tempo is None and request.score is not None and request.score.tempos:
        tempo = request.score.tempos[-1].quarters_per_minute
    if tempo is None:
        tempo = config.get("defaults", {}).get("tempo")
    key = request.promises.key
    for piece in pieces:
        yield replace(
            piece,
            tempos=() if tempo is None else (Tempo(0, float(tempo)),),
            key_signatures=() if key is None else (KeySignature(0, key),),
        )

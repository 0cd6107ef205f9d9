"""Playing: the request becomes a grid with masked cells, filled over the shared grid performer."""

from __future__ import annotations

from partimento.runtime.grids.performer import GridPerformer
from partimento.runtime.model_folder import ModelFolder

__all__ = ["load"]


def load(folder: ModelFolder, threads: int | None = None, precision: str = "int8") -> GridPerformer:
    """Return the performer of a model folder."""
    return GridPerformer.load(folder, threads=threads, precision=precision)

"""Playing: the request becomes bars, one after another, over the shared token performer."""

from __future__ import annotations

from partimento.runtime.model_folder import ModelFolder
from partimento.runtime.tokens.performer import TokenPerformer

__all__ = ["load"]


def load(
    folder: ModelFolder, threads: int | None = None, precision: str = "int8"
) -> TokenPerformer:
    """Return the performer of a model folder."""
    return TokenPerformer.load(folder, threads=threads, precision=precision)

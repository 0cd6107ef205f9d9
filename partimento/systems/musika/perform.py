"""Playing: coordinates to latents, latents to sound; see ``runtime/audio/performer.py``."""

from __future__ import annotations

from partimento.runtime.audio.performer import LatentAudioPerformer
from partimento.runtime.model_folder import ModelFolder

__all__ = ["load"]


def load(
    folder: ModelFolder, threads: int | None = None, precision: str = "int8"
) -> LatentAudioPerformer:
    """Return the performer of a model folder."""
    return LatentAudioPerformer.load(folder, threads, precision)

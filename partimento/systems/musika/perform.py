"""Playing: coordinates to latents, latents to sound; see ``runtime/latent_audio.py``."""

from __future__ import annotations

from partimento.runtime.folder import ModelFolder
from partimento.runtime.latent_audio import LatentAudioPerformer

__all__ = ["load"]


def load(
    folder: ModelFolder, threads: int | None = None, precision: str = "int8"
) -> LatentAudioPerformer:
    """Return the performer of a model folder."""
    return LatentAudioPerformer.load(folder, threads, precision)

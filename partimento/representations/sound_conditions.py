"""The conditions of each moment of a sound: five numbers a latent, about 0..1 or -1..1.

==========  ==================================================================================
density     onsets a second / 8; notes struck together are one onset
loudness    (level + 60) / 60, the level in dBFS (RMS of both channels), in 0..1
tempo       (beats a minute - 60) / 120
beat_cos    cosine of the place in the beat, 1 on the beat
beat_sin    sine of it; both 0 where no beat is known
==========  ==================================================================================

Density and loudness are means over ``WINDOW_SECONDS``, so that they say what a player may ask
for and not where each note is. A latent's conditions are those at its middle.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = [
    "CONDITIONS",
    "NEUTRAL_TEMPO",
    "WINDOW_SECONDS",
    "beat_conditions",
    "density_condition",
    "latent_middles",
    "loudness_condition",
    "stack_conditions",
    "tempo_condition",
]

CONDITIONS = ("density", "loudness", "tempo", "beat_cos", "beat_sin")
NEUTRAL_TEMPO = 120.0  # beats a minute; the condition where no tempo is known
WINDOW_SECONDS = 2.0
_FLOOR_DB = -60.0

Floats = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]


def density_condition(onsets_per_second: npt.ArrayLike) -> Floats:
    """Return the condition of so many onsets a second."""
    out: Floats = np.asarray(onsets_per_second, dtype=np.float64) / 8.0
    return out


def loudness_condition(dbfs: npt.ArrayLike) -> Floats:
    """Return the condition of a level in dBFS, 0 at -60 and below, 1 at full scale."""
    levels = np.asarray(dbfs, dtype=np.float64)
    out: Floats = np.clip((levels - _FLOOR_DB) / -_FLOOR_DB, 0.0, 1.0)
    return out


def tempo_condition(beats_per_minute: npt.ArrayLike) -> Floats:
    """Return the condition of a tempo."""
    out: Floats = (np.asarray(beats_per_minute, dtype=np.float64) - 60.0) / 120.0
    return out


def beat_conditions(beats: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return cosine and sine of places in beats (whole numbers are on the beat)."""
    angle = 2 * np.pi * np.asarray(beats, dtype=np.float64)
    return np.cos(angle), np.sin(angle)


def latent_middles(latents: int, latent_samples: int, sample_rate_hz: int) -> Floats:
    """Return the time in seconds of the middle of each latent."""
    out: Floats = (np.arange(latents, dtype=np.float64) + 0.5) * (latent_samples / sample_rate_hz)
    return out


def stack_conditions(
    density: npt.ArrayLike, dbfs: npt.ArrayLike, tempo: npt.ArrayLike, beats: npt.ArrayLike | None
) -> F32:
    """Return (latents, 5) from onsets a second, dBFS, beats a minute, and places in beats.

    ``dbfs`` is (latents,), each of the others that or one number; ``beats`` None: none is known.
    """
    levels = loudness_condition(dbfs)
    none = np.zeros(levels.shape)
    cosine, sine = (none, none) if beats is None else beat_conditions(beats)
    columns = (density_condition(density), levels, tempo_condition(tempo), cosine, sine)
    return np.stack([np.broadcast_to(c, levels.shape) for c in columns], 1).astype(np.float32)

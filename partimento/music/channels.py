"""Stereo of any number of channels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["fold", "stereo"]

# Front left and right, centre, low frequencies, the sides: as WAV and FLAC order them.
_HALF = 0.7071
_FOLDS = {
    3: ((1, 0, _HALF), (0, 1, _HALF)),
    4: ((1, 0, _HALF, 0), (0, 1, 0, _HALF)),
    5: ((1, 0, _HALF, _HALF, 0), (0, 1, _HALF, 0, _HALF)),
    6: ((1, 0, _HALF, 0, _HALF, 0), (0, 1, _HALF, 0, 0, _HALF)),
    8: ((1, 0, _HALF, 0, _HALF, 0, _HALF, 0), (0, 1, _HALF, 0, 0, _HALF, 0, _HALF)),
}

F32 = npt.NDArray[np.float32]


def fold(channels: int) -> F32:
    """Return the matrix (2, channels) that makes stereo of so many channels, no louder than they.

    Mono goes to both; 5.1 and its like are folded without the low-frequency channel; of other
    counts, every second channel goes to one side.
    """
    if channels == 1:
        return np.ones((2, 1), dtype=np.float32)
    rows = _FOLDS.get(channels)
    matrix = np.array(rows) if rows else np.array([np.arange(channels) % 2 == s for s in (0, 1)])
    weights = matrix.astype(np.float64)
    out: F32 = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return out


def stereo(samples: F32) -> F32:
    """Return (2, n) of (channels, n)."""
    return samples if len(samples) == 2 else fold(len(samples)) @ samples

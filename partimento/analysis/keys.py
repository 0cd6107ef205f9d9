"""The key of a piece, estimated from its notes.

The method of Krumhansl and Schmuckler: how long each pitch class sounds is correlated with the
24 key profiles of Krumhansl and Kessler (Krumhansl, "Cognitive Foundations of Musical Pitch",
1990, chapters 2 and 4).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from partimento.music.keys import Key
from partimento.music.score import Score

__all__ = ["estimate_key", "key_of_weights"]

_MAJOR_PROFILE = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR_PROFILE = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
# (2, 12, 12): mode, tonic, pitch class; each profile has mean 0 and deviation 1.
_PROFILES = np.array(
    [
        [np.roll((np.array(p) - np.mean(p)) / np.std(p), tonic) for tonic in range(12)]
        for p in (_MAJOR_PROFILE, _MINOR_PROFILE)
    ]
)


def key_of_weights(pitch_class_weights: npt.NDArray[np.float64]) -> Key | None:
    """Return the key whose profile fits weights (12,), C first, best; None where all are equal."""
    weights = pitch_class_weights - pitch_class_weights.mean()
    if not np.abs(weights).max() > 0:
        return None
    fits = _PROFILES @ weights
    tonic = int(np.argmax(fits.max(axis=0)))
    is_minor = bool(fits[1, tonic] > fits[0, tonic])
    return Key(0, is_minor).transposed(tonic - Key(0, is_minor).tonic)


def estimate_key(score: Score) -> Key | None:
    """Return the key that fits the pitched notes best, each weighed by its duration.

    Drums are left out. None where there is nothing to tell it by.
    """
    weights = np.zeros(12)
    for track in score.tracks:
        if not track.is_drum:
            for note in track.notes:
                weights[note.pitch % 12] += note.duration_ticks
    return key_of_weights(weights)

"""The key of a piece, estimated from its notes.

The method of Krumhansl and Schmuckler: how long each pitch class sounds is correlated with the
24 key profiles of Krumhansl and Kessler (Krumhansl, "Cognitive Foundations of Musical Pitch",
1990, chapters 2 and 4).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from partimento.music.keys import Key
from partimento.music.score import Note, Score

__all__ = ["estimate_key", "key_of_weights", "keys_by_fit", "keys_of"]

_MAJOR_PROFILE = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR_PROFILE = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
_CLOSING_MARGIN = 0.3  # of correlation, by which the key of the last chord may fit worse
# (2, 12, 12): mode, tonic, pitch class; each profile has mean 0 and deviation 1.
_PROFILES = np.array(
    [
        [np.roll((np.array(p) - np.mean(p)) / np.std(p), tonic) for tonic in range(12)]
        for p in (_MAJOR_PROFILE, _MINOR_PROFILE)
    ]
)


def _key(tonic: int, is_minor: bool) -> Key:
    return Key(0, is_minor).transposed(tonic - Key(0, is_minor).tonic)


_KEYS = tuple(_key(tonic, is_minor) for tonic in range(12) for is_minor in (False, True))


def _correlations(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return (24,): the correlation of weights (12,) with the profiles of ``_KEYS``."""
    centred = weights - weights.mean()
    norm = max(float(np.linalg.norm(centred)), 1e-12) * np.sqrt(12.0)
    out: npt.NDArray[np.float64] = (_PROFILES @ centred).T.reshape(-1) / norm
    return out


def keys_by_fit(pitch_class_weights: npt.NDArray[np.float64]) -> tuple[Key, ...]:
    """Return all 24 keys, that whose profile fits weights (12,), C first, best coming first."""
    order = np.argsort(-_correlations(pitch_class_weights), kind="stable").tolist()
    return tuple(_KEYS[row] for row in order)


def key_of_weights(pitch_class_weights: npt.NDArray[np.float64]) -> Key | None:
    """Return the key whose profile fits weights (12,), C first, best; None where all are equal."""
    if not np.ptp(pitch_class_weights) > 0:
        return None
    return keys_by_fit(pitch_class_weights)[0]


def keys_of(score: Score) -> tuple[Key, ...]:
    """Return all keys, the one that fits the pitched notes best coming first."""
    return keys_by_fit(_weights(score))


def _weights(score: Score) -> npt.NDArray[np.float64]:
    """Return (12,): how long each pitch class sounds; drums are left out."""
    weights = np.zeros(12)
    for track in score.tracks:
        for note in () if track.is_drum else track.notes:
            weights[note.pitch % 12] += note.duration_ticks
    return weights


def estimate_key(score: Score) -> Key | None:
    """Return the key that fits the pitched notes best, each weighed by its duration.

    A piece closes in its key: where the last chord is a triad over its root, the key of that root
    is taken if its profile fits nearly as well (`_CLOSING_MARGIN`) as the best. Drums are left
    out. None where nothing indicates it.
    """
    weights = _weights(score)
    notes = [note for track in score.tracks if not track.is_drum for note in track.notes]
    best = key_of_weights(weights)
    if best is None:
        return None
    fits = dict(zip(_KEYS, _correlations(weights), strict=True))
    closing = [key for key in _closed_in(notes) if fits[key] >= fits[best] - _CLOSING_MARGIN]
    return max(closing, key=lambda key: fits[key], default=best)


def _closed_in(notes: list[Note]) -> tuple[Key, ...]:
    """Return the keys whose tonic triad the last chord is; major may close a minor piece."""
    onset = max(note.onset_ticks for note in notes)
    final = [note.pitch for note in notes if note.end_ticks > onset]
    root = min(final) % 12
    steps = {(pitch - root) % 12 for pitch in final}
    if not steps <= {0, 3, 4, 7} or steps >= {3, 4} or not steps & {3, 4}:
        return ()
    minor = (_key(root, True),)
    return minor if 3 in steps else (_key(root, False), *minor)

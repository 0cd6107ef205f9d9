"""Which pitches a track may sound: its range, the key, and the chord on strong beats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from partimento.errors import NotSupported
from partimento.music import Promises
from partimento.representations.constraint import Mask

__all__ = ["check_track_names", "class_mask", "track_mask"]

_MANY = 12


def class_mask(pitch_classes: Iterable[int]) -> Mask:
    """Return (128,): the pitches of these pitch classes."""
    inside = np.zeros(12, dtype=bool)
    inside[list(pitch_classes)] = True
    return np.resize(inside, 128)


def track_mask(promises: Promises, track_name: str) -> Mask:
    """Return (128,): the pitches of a pitched track's range that the key holds."""
    span = promises.range_of(track_name)
    mask = np.zeros(128, dtype=bool)
    mask[span.low : span.high + 1] = True
    if promises.key is not None:
        mask &= class_mask(promises.key.pitch_classes)
    return mask


def check_track_names(promises: Promises, known: Sequence[str]) -> None:
    """Raise NotSupported if a range was asked for a track that will not be there."""
    for name in promises.ranges:
        if name != "*" and name not in known:
            names = ", ".join(known[:_MANY]) + (", ..." if len(known) > _MANY else "")
            raise NotSupported(
                f"no track is called {name!r}; ranges can be asked for {names}, or '*' for all"
            )

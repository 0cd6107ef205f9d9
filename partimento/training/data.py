"""What all families ask of a corpus: ranges, transpositions, crops, a fingerprint of its source."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from partimento.music import Score

__all__ = ["Sounds", "fingerprint", "fitting_shifts", "pitch_ranges"]


class Sounds(Protocol):
    """Sound to learn from."""

    def crops(
        self, draw: np.random.Generator, count: int, latents: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return samples (B, 2, latents * latent_samples), and their conditions."""
        ...


def pitch_ranges(scores: Iterable[Score]) -> dict[str, tuple[int, int]]:
    """Return the lowest and highest pitch of each track name over scores."""
    ranges: dict[str, tuple[int, int]] = {}
    for score in scores:
        for track in score.tracks:
            if track.notes and not track.is_drum:
                low, high = ranges.get(track.name, (127, 0))
                pitches = [note.pitch for note in track.notes]
                ranges[track.name] = (min(low, *pitches), max(high, *pitches))
    return ranges


def fitting_shifts(score: Score, ranges: dict[str, tuple[int, int]], reach: int) -> tuple[int, ...]:
    """Return the transpositions of a score that keep every track inside its corpus range."""
    low, high = -reach, reach
    for track in score.tracks:
        if track.notes and not track.is_drum and track.name in ranges:
            pitches = [note.pitch for note in track.notes]
            bottom, top = ranges[track.name]
            low, high = max(low, bottom - min(pitches)), min(high, top - max(pitches))
    return tuple(range(min(0, low), max(0, high) + 1))


def fingerprint(what: object) -> str:
    """Return a short mark of JSON values, for telling whether cached data were made from them."""
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]

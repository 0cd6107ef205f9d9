"""Performances as curves for training: encoded once, kept beside the run, drawn as windows."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from partimento.errors import TrainingError
from partimento.files.atomic import atomic_path
from partimento.music import Score
from partimento.representations.performance_curves import STEPS_PER_QUARTER, PerformanceCurves

__all__ = ["SeriesPiece", "SeriesSet", "encode_piece", "load_series", "require_life", "save_series"]

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
_LEAST_ONSETS = 4  # a window with fewer says nothing
_LEAST_WINDOWS = 8
_STILL_VELOCITY = 0.02  # deviation, 0..1: two and a half of 127
_STILL_OFFSET = 0.005  # deviation in sixteenths: under a millisecond at common tempos
_TAIL = 0.1
_SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, eq=False)
class SeriesPiece:
    """One performance: velocity, offset, onset (steps, channels); condition (steps, features)."""

    velocity: Floats
    offset: Floats
    onset: Mask
    condition: Floats

    def __len__(self) -> int:
        return len(self.onset)

    def part(self, first: int, stop: int) -> SeriesPiece:
        """Return the steps from ``first`` up to ``stop``, filled up with silence."""
        missing = max(0, stop - len(self))
        fill = ((0, missing), (0, 0))
        return SeriesPiece(
            np.pad(self.velocity[first:stop], fill),
            np.pad(self.offset[first:stop], fill),
            np.pad(self.onset[first:stop], fill),
            np.pad(self.condition[first:stop], fill),
        )


def encode_piece(curves: PerformanceCurves, score: Score) -> SeriesPiece:
    """Return a performance as curves, quarters of silence before its first onset left out."""
    found = curves.encode(score)
    struck = np.flatnonzero(found.onset.any(1))
    first = 0 if not len(struck) else int(struck[0]) // STEPS_PER_QUARTER * STEPS_PER_QUARTER
    steps = np.arange(len(found.onset))
    condition = curves.condition(score, steps, found.onset)
    return SeriesPiece(
        found.velocity[first:], found.offset[first:], found.onset[first:], condition[first:]
    )


class SeriesSet:
    """The performances of one split, to be drawn from."""

    def __init__(self, pieces: Sequence[SeriesPiece], steps: int) -> None:
        self.pieces, self.steps = list(pieces), steps
        starts = [max(0, len(p) - steps) // STEPS_PER_QUARTER + 1 for p in self.pieces]
        self._starts = np.array(starts, dtype=np.int64)

    @property
    def onset_count(self) -> int:
        """How many cells are played."""
        return sum(int(piece.onset.sum()) for piece in self.pieces)

    @property
    def window_count(self) -> int:
        """How many windows there are that share no step."""
        return sum(-(-len(piece) // self.steps) for piece in self.pieces)

    def draw(self, rng: np.random.Generator, count: int) -> SeriesPiece:
        """Return ``count`` windows stacked, from anywhere that begins on a quarter."""
        chosen: list[SeriesPiece] = []
        chance = self._starts / self._starts.sum()
        while len(chosen) < count:
            for at in rng.choice(len(self.pieces), size=count - len(chosen), p=chance):
                first = int(rng.integers(self._starts[at])) * STEPS_PER_QUARTER
                chosen.append(self.pieces[at].part(first, first + self.steps))
        return _stacked(chosen)

    def windows(self, most: int) -> SeriesPiece:
        """Return windows that share no step, stacked: all, or ``most`` evenly chosen."""
        spans = [
            (piece, first)
            for piece in self.pieces
            for first in range(0, len(piece), self.steps)
            if piece.onset[first : first + self.steps].sum() >= _LEAST_ONSETS
        ]
        spans = spans or [(self.pieces[0], 0)]
        picks = np.unique(np.linspace(0, len(spans) - 1, min(most, len(spans))).astype(int))
        return _stacked([spans[i][0].part(spans[i][1], spans[i][1] + self.steps) for i in picks])

    def heads_and_tails(self) -> tuple[SeriesSet, SeriesSet]:
        """Return this set less the last tenth of each piece, and those tenths."""
        heads, tails = [], []
        for piece in self.pieces:
            cut = int(len(piece) * (1 - _TAIL)) // STEPS_PER_QUARTER * STEPS_PER_QUARTER
            heads.append(piece.part(0, cut) if cut else piece)
            if piece.onset[cut:].sum() >= _LEAST_ONSETS:
                tails.append(piece.part(cut, len(piece)))
        return SeriesSet(heads, self.steps), SeriesSet(tails or heads[:1], self.steps)


def _stacked(pieces: Sequence[SeriesPiece]) -> SeriesPiece:
    return SeriesPiece(
        np.stack([p.velocity for p in pieces]),
        np.stack([p.offset for p in pieces]),
        np.stack([p.onset for p in pieces]),
        np.stack([p.condition for p in pieces]),
    )


def require_life(train: SeriesSet) -> None:
    """Check that a set can teach what a hand does.

    Raises:
        TrainingError: if it is too small for a discriminator, or has no dynamics or no timing.
    """
    if train.window_count < _LEAST_WINDOWS:
        raise TrainingError(
            f"{train.window_count} windows of {train.steps} sixteenths are too few for a "
            "discriminator, "
            f"which would memorise them; give music of at least {_LEAST_WINDOWS}"
        )
    loud = np.concatenate([piece.velocity[piece.onset] for piece in train.pieces])
    late = np.concatenate([piece.offset[piece.onset] for piece in train.pieces])
    for what, values, least in (
        ("dynamics: all notes are equally loud", loud, _STILL_VELOCITY),
        ("timing: all notes lie on the grid", late, _STILL_OFFSET),
    ):
        if float(values.std()) < least:
            raise TrainingError(
                f"this music has no {what}; give MIDI files as they were played, not as written"
            )


def save_series(path: Path, sets: Mapping[str, SeriesSet], made_from: Mapping[str, object]) -> None:
    """Write the curves of all splits as one file, whole or not at all."""
    arrays: dict[str, npt.NDArray[Any]] = {"made_from": np.array(json.dumps(made_from))}
    for split, found in sets.items():
        arrays[f"{split}.lengths"] = np.array([len(piece) for piece in found.pieces], np.int64)
        for name in ("velocity", "offset", "onset", "condition"):
            rows = [getattr(piece, name) for piece in found.pieces]
            arrays[f"{split}.{name}"] = np.concatenate(rows) if rows else np.zeros((0, 1))
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def load_series(
    path: Path, steps: int, made_from: Mapping[str, object] | None = None
) -> dict[str, SeriesSet] | None:
    """Return what ``save_series`` wrote; None if it is missing, damaged or made from else."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if made_from is not None and json.loads(str(file["made_from"])) != made_from:
                return None
            return {split: SeriesSet(list(_pieces(file, split)), steps) for split in _SPLITS}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def _pieces(file: Mapping[str, npt.NDArray[Any]], split: str) -> Iterable[SeriesPiece]:
    parts = [file[f"{split}.{name}"] for name in ("velocity", "offset", "onset", "condition")]
    first = 0
    for length in file[f"{split}.lengths"].tolist():
        yield SeriesPiece(*(part[first : first + length] for part in parts))
        first += length

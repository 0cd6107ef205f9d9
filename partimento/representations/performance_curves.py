"""What makes a performance human, as series over sixteenths: velocity, micro-timing, onsets.

A score and its performance differ in two curves a limb: how hard each onset is struck (0..1) and
how far it lies from its sixteenth (-0.5..0.5 of one). ``PerformanceCurves.encode`` reads them off
played notes against the grid; ``shifts`` says what they mean for a note of any score.

Notes fall into three channels after a drummer's limbs: the foot (bass drum), the skins (snare,
toms: where accents and ghost notes are) and the metals (hi-hat, ride, crash: what keeps time).
One pooled channel would strike a bass drum as softly as the ghost note beside it; a channel for
each of twenty instruments would be empty at most steps. Parts with pitch go with a limb: a bass
with the foot, all others with the metals, whose accents are mild.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from partimento.errors import ConfigError
from partimento.music import Score, TimeSignature, Track
from partimento.representations.registry import RepresentationEntry

__all__ = [
    "ENTRY",
    "LIMBS",
    "STEPS_PER_QUARTER",
    "Cells",
    "Curves",
    "PerformanceCurves",
    "cells_of",
    "shifts",
]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
STEPS_PER_QUARTER = 4
LIMBS = ("foot", "skin", "metal")
_FOOT = (33, 35, 36)
_SKIN = (31, 32, 37, 38, 39, 40, 41, 43, 45, 47, 48, 50, 58, *range(60, 69), 76, 77, 86, 87)
_BASS_BELOW = 48  # a part whose median pitch lies under C3 goes with the foot
_MOST = 0.49  # of a sixteenth: a note stays nearest to its own step, rounded to ticks too
_TEMPO = 120.0
_NO_METRE = TimeSignature(0, 4, 4)
_PLACES = 9  # features a step besides the onsets


@dataclass(frozen=True, eq=False)
class Cells:
    """Where each note of a score lies, notes in the order of tracks and inside them.

    All have shape (notes,): ``step`` is the nearest sixteenth, ``rest`` how far the note is from
    it (-0.5..0.5 of a sixteenth), ``limb`` the index in ``LIMBS``, ``velocity`` 0..1, ``track``
    the index of the track.
    """

    step: Ints
    rest: Floats
    limb: Ints
    velocity: Floats
    track: Ints


@dataclass(frozen=True, eq=False)
class Curves:
    """Series over sixteenths: each (steps, channels); velocity 0..1, offset -0.5..0.5 sixteenths.

    Where ``onset`` is False nothing is struck, and the other two say nothing.
    """

    velocity: Floats
    offset: Floats
    onset: npt.NDArray[np.bool_]


def _limb_of_drum() -> Ints:
    table = np.full(128, LIMBS.index("metal"))
    table[list(_FOOT)] = LIMBS.index("foot")
    table[list(_SKIN)] = LIMBS.index("skin")
    return table.astype(np.int64)


def _limbs(track: Track, pitches: Ints) -> Ints:
    if track.is_drum:
        return _limb_of_drum()[pitches]
    is_bass = len(pitches) > 0 and float(np.median(pitches)) < _BASS_BELOW
    return np.full(len(pitches), LIMBS.index("foot" if is_bass else "metal"), dtype=np.int64)


def cells_of(score: Score) -> Cells:
    """Return where each note of a score lies on the grid of sixteenths."""
    onsets, velocities, limbs, tracks = [], [], [], []
    for index, track in enumerate(score.tracks):
        table = np.array(
            [(n.onset_ticks, n.pitch, n.velocity) for n in track.notes], dtype=np.int64
        ).reshape(-1, 3)
        onsets.append(table[:, 0])
        velocities.append(table[:, 2])
        limbs.append(_limbs(track, table[:, 1]))
        tracks.append(np.full(len(table), index, dtype=np.int64))
    empty = [np.zeros(0, dtype=np.int64)]
    at = np.concatenate(onsets or empty) * (STEPS_PER_QUARTER / score.ticks_per_quarter)
    step = np.floor(at + 0.5).astype(np.int64)
    return Cells(
        step,
        (at - step).astype(np.float32),
        np.concatenate(limbs or empty),
        (np.concatenate(velocities or empty) / 127.0).astype(np.float32),
        np.concatenate(tracks or empty),
    )


def shifts(rest: Floats, offset: Floats) -> Floats:
    """Return how far notes move, in sixteenths, where curves say ``offset`` at their steps.

    A note between two sixteenths (a triplet, a thirty-second) moves the less, the farther it lies
    from its step, and on the border not at all. So the notes of one channel never change places.
    """
    out: Floats = (np.clip(offset, -_MOST, _MOST) * (1.0 - 2.0 * np.abs(rest))).astype(np.float32)
    return out


@dataclass(frozen=True)
class PerformanceCurves:
    """Scores as series of a fixed length.

    ``steps`` is the length of a window in sixteenths; ``channels`` is ``"limbs"`` (three, as
    above) or ``"pooled"`` (one, which all notes share).
    """

    steps: int = 64
    channels: Literal["limbs", "pooled"] = "limbs"

    def __post_init__(self) -> None:
        if not 4 <= self.steps <= 1024:
            raise ConfigError("representation.steps", f"is 4..1024, not {self.steps}")
        if self.channels not in ("limbs", "pooled"):
            raise ConfigError("representation.channels", f"limbs or pooled, not {self.channels!r}")

    @property
    def channel_count(self) -> int:
        """How many channels there are."""
        return len(LIMBS) if self.channels == "limbs" else 1

    @property
    def feature_count(self) -> int:
        """How many features ``condition`` gives a step."""
        return self.channel_count + _PLACES

    def spec(self) -> dict[str, Any]:
        """Return what makes this representation again, as JSON values."""
        return {"name": "performance_curves", "steps": self.steps, "channels": self.channels}

    @classmethod
    def of_spec(cls, spec: dict[str, Any]) -> PerformanceCurves:
        """Return the representation that ``spec()`` describes.

        Raises:
            ConfigError: if it is of another form, or a value is wrong.
        """
        values = dict(spec)
        if values.pop("name", None) != "performance_curves" or set(values) - {"steps", "channels"}:
            raise ConfigError("representation", f"is no performance_curves: {str(spec)[:200]}")
        if type(values.get("steps", 64)) is not int:
            raise ConfigError("representation.steps", "is a whole number, 4..1024")
        return cls(**values)

    def channel(self, cells: Cells) -> Ints:
        """Return the channel of each note."""
        return cells.limb if self.channels == "limbs" else np.zeros_like(cells.limb)

    def encode(self, score: Score) -> Curves:
        """Return the curves of a whole performance; of several notes in a cell the loudest counts.

        A performance has one step for each sixteenth up to its last onset, so this is for music
        of common lengths; ``Cells`` are what serves music of any.
        """
        cells = cells_of(score)
        channel = self.channel(cells)
        shape = (int(cells.step.max(initial=-1)) + 1, self.channel_count)
        onset = np.zeros(shape, dtype=bool)
        velocity, offset = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        order = np.argsort(cells.velocity, kind="stable")  # the loudest is written last
        where = (cells.step[order], channel[order])
        onset[where], velocity[where] = True, cells.velocity[order]
        offset[where] = cells.rest[order]
        return Curves(velocity, offset, onset)

    def condition(self, score: Score, steps: Ints, onset: npt.NDArray[np.bool_]) -> Floats:
        """Return (..., features): what a score says of steps (...), with onsets (..., channels).

        The onsets; which sixteenth of its quarter a step is, as one of four; sine and cosine of
        the place in the bar, once and twice around; and the tempo, in octaves above 120.
        """
        ticks = steps.astype(np.float64) * (score.ticks_per_quarter / STEPS_PER_QUARTER)
        metres = list(score.time_signatures)
        if not metres or metres[0].onset_ticks > 0:
            metres.insert(0, _NO_METRE)
        starts = np.array([metre.onset_ticks for metre in metres])
        lengths = np.array([float(m.quarters_per_bar) for m in metres]) * score.ticks_per_quarter
        ruling = np.maximum(np.searchsorted(starts, ticks + 0.5, side="right") - 1, 0)
        inside = np.maximum(ticks - starts[ruling], 0.0) % lengths[ruling]
        quarter = (inside / (score.ticks_per_quarter / STEPS_PER_QUARTER) + 0.5).astype(np.int64)
        around = 2 * np.pi * (inside / lengths[ruling])[..., None] * np.array([1.0, 2.0])
        parts = [
            onset,
            np.eye(STEPS_PER_QUARTER)[quarter % STEPS_PER_QUARTER],
            np.sin(around),
            np.cos(around),
            _octaves(score, ticks)[..., None],
        ]
        return np.concatenate([np.asarray(p, dtype=np.float32) for p in parts], axis=-1)


def _octaves(score: Score, ticks: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return log2 of the tempo over 120 at each tick, kept within two octaves."""
    if not score.tempos:
        return np.zeros(ticks.shape)
    starts = np.array([tempo.onset_ticks for tempo in score.tempos])
    speeds = np.log2([tempo.quarters_per_minute / _TEMPO for tempo in score.tempos])
    ruling = np.maximum(np.searchsorted(starts, ticks + 0.5, side="right") - 1, 0)
    octaves: npt.NDArray[np.float64] = np.clip(speeds, -2.0, 2.0)[ruling]
    return octaves


def _make(options: Mapping[str, Any]) -> PerformanceCurves:
    return PerformanceCurves.of_spec({"name": "performance_curves", **options})


ENTRY = RepresentationEntry(_make, ("steps", "channels"))

"""Playing: a score's onsets become curves, window by window, and the curves move its notes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from partimento.errors import MusicError, NotSupported
from partimento.music import Piece, Score
from partimento.music.performance import perform, struck
from partimento.music.transform import rescale
from partimento.representations.performance_curves import (
    STEPS_PER_QUARTER,
    Cells,
    PerformanceCurves,
    cells_of,
    shifts,
)
from partimento.runtime.contract import Controls, Request, Task
from partimento.runtime.curves.generator import SeriesFacts, SeriesGenerator, draw_grain
from partimento.runtime.model_folder import ModelFolder

__all__ = ["CurvePerformer", "load"]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
_BATCH = 64  # windows made at once: memory stays the same however long the score is
_FINE = 240  # ticks a quarter below which a shift could not be resolved
# What is sung or played on strings has no ghost notes: it takes half of a drummer's dynamics.
_PITCHED_DEPTH = 0.5


@dataclass(frozen=True)
class CurvePerformer:
    """Humanizes scores; it holds weights only."""

    generator: SeriesGenerator
    curves: PerformanceCurves
    level: float
    same_hand: float

    def stream(
        self, request: Request, controls: Controls, rng: np.random.Generator
    ) -> Iterator[Piece]:
        """Yield the prompt as it might be played, whole.

        Raises:
            NotSupported: if anything but HUMANIZE is asked.
            MusicError: if the prompt has no notes.
        """
        if request.task is not Task.HUMANIZE:
            raise NotSupported(f"tts_gan cannot {request.task}; it can humanize")
        if request.score is None or not any(track.notes for track in request.score.tracks):
            raise MusicError("the score has no notes to humanize; give one with notes")
        yield self.played(request.score, float(getattr(controls, "amount", 1.0)), rng)

    def played(self, score: Score, amount: float, rng: np.random.Generator) -> Score:
        """Return the score as a hand might play it; 0 gives it as it is.

        Times of a coarse tick grid are written on a finer one, where they are the same times.
        """
        if amount == 0:
            return score
        if score.ticks_per_quarter < _FINE:
            factor = -(-_FINE // score.ticks_per_quarter)
            score = rescale(score, score.ticks_per_quarter * factor)
        cells = cells_of(score)
        loud, late = self._values(score, cells, rng)
        is_drum = np.array([track.is_drum for track in score.tracks])[cells.track]
        velocities = np.where(
            is_drum,
            struck(cells.velocity, loud, self.level, amount),
            struck(cells.velocity, loud, self.level, amount * _PITCHED_DEPTH),
        )
        step_ticks = score.ticks_per_quarter / STEPS_PER_QUARTER
        moved = np.rint(amount * step_ticks * shifts(cells.rest, late)).astype(np.int64)
        return perform(score, velocities, moved)

    def _values(
        self, score: Score, cells: Cells, rng: np.random.Generator
    ) -> tuple[Floats, Floats]:
        """Return velocity 0..1 and offset in sixteenths at each note's cell.

        Only windows with notes are made. What a piece is played like is drawn once, and each
        window differs from it, so that bars that come again are not played alike.
        """
        steps, channels = self.curves.steps, self.curves.channel_count
        window = cells.step // steps
        order = np.argsort(window, kind="stable")
        used = np.unique(window)
        bounds = np.searchsorted(window[order], np.append(used, np.iinfo(np.int64).max))
        channel = self.curves.channel(cells)
        hand = rng.standard_normal(self.generator.latent)
        loud, late = np.zeros((2, len(window)), dtype=np.float32)
        for first in range(0, len(used), _BATCH):
            mine = used[first : first + _BATCH]
            notes = order[bounds[first] : bounds[first + len(mine)]]
            row, column = np.searchsorted(mine, window[notes]), cells.step[notes] % steps
            onset = np.zeros((len(mine), steps, channels), dtype=bool)
            onset[row, column, channel[notes]] = True
            at = mine[:, None] * steps + np.arange(steps)
            made = self._made(self.curves.condition(score, at, onset), hand, rng)
            loud[notes] = np.clip((made[row, column, channel[notes]] + 1) / 2, 0, 1)
            late[notes] = made[row, column, channels + channel[notes]] / 2
        return loud, late

    def _made(
        self, condition: Floats, hand: npt.NDArray[np.float64], rng: np.random.Generator
    ) -> Floats:
        count, steps = condition.shape[:2]
        own = rng.standard_normal((count, self.generator.latent))
        noise = np.sqrt(self.same_hand) * hand + np.sqrt(1 - self.same_hand) * own
        grain = draw_grain(rng, count, steps, self.generator.grain)
        return self.generator.windows(noise.astype(np.float32), grain, condition)


def load(
    folder: ModelFolder, threads: int | None = None, precision: str = "fp32"
) -> CurvePerformer:
    """Return the performer of a model folder.

    Raises:
        ModelError: if its graph cannot be read, or is not what the config says.
    """
    facts = folder.section("network", SeriesFacts)
    with folder.reading():
        curves = PerformanceCurves.of_spec(dict(folder.config["representation"]))
    generator = SeriesGenerator.load(folder, curves, threads, precision)
    return CurvePerformer(generator, curves, facts.level, facts.same_hand)

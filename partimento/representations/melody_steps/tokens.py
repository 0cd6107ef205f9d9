"""A melody in even steps: one of 88 pitches, or a rest, each eighth.

SeqGAN's form of music (Yu et al. 2016, section 5.2: "one of 88 pitches" every 0.4 seconds); at 75
quarters a minute an eighth lasts that long. A held note is its pitch again, so a repeated note
cannot be distinguished from a held one; ``quantize`` joins them inside a bar and strikes them
again at each bar line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from partimento.errors import ConfigError, NotSupported
from partimento.music import Note, Score, TimeSignature, Track
from partimento.music.score import TICKS_PER_QUARTER
from partimento.representations.base import Tokens, Vocabulary

__all__ = ["MelodySteps", "MelodyWalk"]

_VELOCITY = 80


class MelodyWalk:
    """Knows nothing: there are no features."""

    def features(self) -> tuple[int, ...]:
        """Return ()."""
        return ()

    def push(self, token: int) -> None:
        """Take the next token in."""


class MelodySteps:
    """Melodies as tokens: pitches ``lowest``..``highest``, a rest, the start.

    ``steps_per_quarter`` is 2, eighths, by default; ``metre`` is that of decoded scores.

    Raises:
        ConfigError: if the range is empty or the steps are not 1, 2 or 4 a quarter.
    """

    end_token: int | None = None
    feature_sizes: tuple[int, ...] = ()
    tokens_per_step: int = 1
    hidden_features: int = 0

    def __init__(
        self,
        lowest: int = 21,
        highest: int = 108,
        steps_per_quarter: int = 2,
        metre: TimeSignature | None = None,
    ) -> None:
        if not 0 <= lowest <= highest <= 127:
            problem = f"{lowest}..{highest} is no range inside 0..127"
            raise ConfigError("representation.lowest", problem)
        if steps_per_quarter not in (1, 2, 4):
            problem = f"is 1, 2 or 4, not {steps_per_quarter}"
            raise ConfigError("representation.steps_per_quarter", problem)
        self.lowest, self.highest, self.steps_per_quarter = lowest, highest, steps_per_quarter
        self.metre = metre or TimeSignature(0, 4, 4)
        self.steps_per_bar = int(self.metre.quarters_per_bar * steps_per_quarter)
        self.vocabulary = Vocabulary({"pitch": highest - lowest + 1, "rest": 1, "start": 1})
        self.pitch_span: slice | None = self.vocabulary.span("pitch")
        self.rest_token = self.vocabulary.first("rest")
        self.start_token = self.vocabulary.first("start")
        self._step_ticks = TICKS_PER_QUARTER // steps_per_quarter

    def spec(self) -> dict[str, Any]:
        """Return what makes this representation again; the metre comes with each request."""
        return {
            "name": "melody_steps",
            "lowest": self.lowest,
            "highest": self.highest,
            "steps_per_quarter": self.steps_per_quarter,
        }

    def text(self, tokens: Iterable[int]) -> str:
        """Return tokens as words: ``PITCH_72 PITCH_72 REST PITCH_67``."""
        words = []
        for token in tokens:
            kind, index = self.vocabulary.name_of(int(token))
            words.append(f"PITCH_{self.lowest + index}" if kind == "pitch" else kind.upper())
        return " ".join(words)

    def with_metre(self, metre: TimeSignature) -> MelodySteps:
        """Return the same steps with the bars of another metre.

        Raises:
            NotSupported: if a bar is not a whole number of steps.
        """
        if (metre.quarters_per_bar * self.steps_per_quarter).denominator != 1:
            raise NotSupported(
                f"a bar of {metre} is no whole number of steps of 1/{4 * self.steps_per_quarter}; "
                "choose another metre"
            )
        return MelodySteps(self.lowest, self.highest, self.steps_per_quarter, metre)

    def line(self, score: Score) -> npt.NDArray[np.int64]:
        """Return the pitch (steps,) of each step of a score's melody, -1 being silence.

        The melody is the pitched track that lies highest on average, and of it the highest note.
        """
        per_quarter = score.ticks_per_quarter
        steps = -(-score.length_ticks * self.steps_per_quarter // per_quarter)
        out = np.full(steps, -1, dtype=np.int64)
        tracks = [track for track in score.tracks if track.notes and not track.is_drum]
        if not tracks:
            return out
        melody = max(tracks, key=lambda track: float(np.mean([n.pitch for n in track.notes])))
        for note in sorted(melody.notes, key=lambda note: note.pitch):
            first = min(self._rounded(note.onset_ticks, per_quarter), steps - 1)
            last = max(first + 1, self._rounded(note.end_ticks, per_quarter))
            out[first:last] = note.pitch
        return out

    def _rounded(self, ticks: int, per_quarter: int) -> int:
        """Return the nearest number of steps, halves up."""
        return (2 * ticks * self.steps_per_quarter + per_quarter) // (2 * per_quarter)

    def score(self, line: npt.NDArray[np.int64]) -> Score:
        """Return the score of pitches (steps,): one track, notes struck again at bar lines."""
        starts = np.ones(len(line), dtype=bool)
        starts[1:] = line[1:] != line[:-1]
        starts |= np.arange(len(line)) % self.steps_per_bar == 0
        borders = [*np.flatnonzero(starts).tolist(), len(line)]
        ticks = self._step_ticks
        notes = tuple(
            Note(a * ticks, int(line[a]), (b - a) * ticks, _VELOCITY)
            for a, b in pairwise(borders)
            if line[a] >= 0
        )
        return Score(
            (Track("Melody", notes),),
            time_signatures=(self.metre,),
            written_length_ticks=len(line) * ticks,
        )

    def encode(self, score: Score) -> Tokens:
        """Return a token a step."""
        line = self.line(score)
        outside = (line < self.lowest) | (line > self.highest)
        return np.where(outside, self.rest_token, line - self.lowest).astype(np.int64)

    def decode(self, tokens: Tokens | Sequence[int]) -> Score:
        """Return the score of any tokens."""
        given = np.asarray(tokens, dtype=np.int64)
        return self.score(np.where(given < self.rest_token, given + self.lowest, -1))

    def quantize(self, score: Score) -> Score:
        """Return the melody in steps, pitches outside the range silent."""
        line = self.line(score)
        inside = (line >= self.lowest) & (line <= self.highest)
        return replace(self.score(np.where(inside, line, -1)), recipe=score.recipe)

    def features(self, tokens: Tokens) -> npt.NDArray[np.int64]:
        """Return (n, 0): there are no features."""
        return np.zeros((len(tokens), 0), dtype=np.int64)

    def walk(self) -> MelodyWalk:
        """Return a walk, which knows nothing."""
        return MelodyWalk()

    def transposed(self, tokens: Tokens, semitones: int) -> Tokens | None:
        """Return the tokens transposed, or None where a pitch would leave the range."""
        is_pitch = tokens < self.rest_token
        moved = np.where(is_pitch, tokens + semitones, tokens)
        if ((moved[is_pitch] < 0) | (moved[is_pitch] >= self.rest_token)).any():
            return None
        return moved

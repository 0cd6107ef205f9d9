"""The serialised four-voice sixteenth grid of the JSB task.

One token a voice and a sixteenth, in the order soprano, alto, tenor, bass: Music Transformer's
form of the chorales (Huang et al. 2018, section 4.1). A held note is its pitch again, so a
repeated note cannot be distinguished from a held one; ``quantize`` joins them inside a bar and
strikes them again at each bar line. That is what the published data set can say, no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from partimento.errors import ConfigError, NotSupported
from partimento.music import Note, Score, TimeSignature, Track
from partimento.music.score import TICKS_PER_QUARTER
from partimento.representations.base import Tokens, Vocabulary

__all__ = ["STEPS_PER_QUARTER", "VOICES", "FourVoiceGrid", "GridWalk"]

VOICES = ("Soprano", "Alto", "Tenor", "Bass")
STEPS_PER_QUARTER = 4
_PHASES = 16
_STEP_TICKS = TICKS_PER_QUARTER // STEPS_PER_QUARTER
_CHOIR = 52
_VELOCITY = 80


def _rounded(ticks: int, ticks_per_quarter: int) -> int:
    """Return the nearest number of steps, halves up."""
    return (2 * ticks * STEPS_PER_QUARTER + ticks_per_quarter) // (2 * ticks_per_quarter)


@dataclass
class GridWalk:
    """Knows the voice and the sixteenth in the bar of the next token."""

    steps_per_bar: int = _PHASES
    count: int = 0

    def features(self) -> tuple[int, ...]:
        """Return (voice, step in the bar)."""
        return self.count % 4, self.count // 4 % self.steps_per_bar % _PHASES

    def push(self, token: int) -> None:
        """Count one more token."""
        self.count += 1

    @property
    def bars_begun(self) -> int:
        """How many bars have begun, that of the next token among them."""
        return self.count // (4 * self.steps_per_bar) + 1


class FourVoiceGrid:
    """Scores of four voices as tokens: pitches ``lowest``..``highest``, a rest, the start.

    ``steps_per_bar`` is 16 in 4/4 and 12 in 3/4 and 6/8; the published data have no metre, and a
    model that was trained on them takes every bar as 4/4. ``denominator`` is that of the metre of
    decoded scores; by default the simplest that fits (3/4 for 12 steps, where 8 gives 6/8).

    Raises:
        ConfigError: if the range is empty or the bar has not 1..16 whole steps.
    """

    end_token: int | None = None
    feature_sizes: tuple[int, ...] = (4, _PHASES)
    tokens_per_step: int = 4
    hidden_features: int = 0

    def __init__(
        self,
        lowest: int = 36,
        highest: int = 81,
        steps_per_bar: int = 16,
        denominator: int | None = None,
    ) -> None:
        where = "representation"
        if not 0 <= lowest <= highest <= 127:
            raise ConfigError(f"{where}.lowest", f"{lowest}..{highest} is no range inside 0..127")
        if not 1 <= steps_per_bar <= _PHASES:
            raise ConfigError(f"{where}.steps_per_bar", f"is 1..{_PHASES}, not {steps_per_bar}")
        if denominator is None:
            denominator = next(d for d in (4, 8, 16) if steps_per_bar * d % 16 == 0)
        if denominator not in (1, 2, 4, 8, 16, 32, 64) or steps_per_bar * denominator % 16:
            problem = f"no metre over {denominator} has {steps_per_bar} sixteenths a bar"
            raise ConfigError(f"{where}.denominator", problem)
        self.lowest, self.highest, self.steps_per_bar = lowest, highest, steps_per_bar
        self.denominator = denominator
        self.vocabulary = Vocabulary({"pitch": highest - lowest + 1, "rest": 1, "start": 1})
        self.pitch_span: slice | None = self.vocabulary.span("pitch")
        self.rest_token = self.vocabulary.first("rest")
        self.start_token = self.vocabulary.first("start")

    def spec(self) -> dict[str, Any]:
        """Return what makes this representation again."""
        return {
            "name": "four_voice_grid",
            "lowest": self.lowest,
            "highest": self.highest,
            "steps_per_bar": self.steps_per_bar,
            "denominator": self.denominator,
        }

    def text(self, tokens: Iterable[int]) -> str:
        """Return tokens as words: ``PITCH_72 PITCH_67 REST PITCH_48``."""
        words = []
        for token in tokens:
            kind, index = self.vocabulary.name_of(int(token))
            words.append(f"PITCH_{self.lowest + index}" if kind == "pitch" else kind.upper())
        return " ".join(words)

    def with_metre(self, time_signature: TimeSignature) -> FourVoiceGrid:
        """Return the same grid with the bars of another metre.

        Raises:
            NotSupported: if a bar is not a whole number of sixteenths, or longer than 16.
        """
        steps = time_signature.quarters_per_bar * STEPS_PER_QUARTER
        if steps.denominator != 1 or not 1 <= steps <= _PHASES:
            raise NotSupported(
                f"the four-voice grid has bars of 1..{_PHASES} sixteenths, not {time_signature}; "
                "it can serve 4/4, 3/4, 2/4, 2/2, 6/8 and the like"
            )
        return FourVoiceGrid(self.lowest, self.highest, int(steps), time_signature.denominator)

    def encode_grid(self, grid: npt.NDArray[np.int64]) -> Tokens:
        """Return the tokens of pitches (steps, 4), -1 being silence."""
        outside = (grid < self.lowest) | (grid > self.highest)
        return np.where(outside, self.rest_token, grid - self.lowest).reshape(-1).astype(np.int64)

    def decode_grid(self, tokens: Tokens) -> npt.NDArray[np.int64]:
        """Return pitches (steps, 4), -1 being silence; a last, incomplete step is dropped."""
        whole = tokens[: len(tokens) // 4 * 4].reshape(-1, 4)
        return np.where(whole < self.rest_token, whole + self.lowest, -1)

    def grid(self, score: Score) -> npt.NDArray[np.int64]:
        """Return pitches (steps, 4) of a score of at most four pitched tracks, highest first.

        Where a track sounds several notes at once the highest is taken (the bass: the lowest).

        Raises:
            NotSupported: if there are more than four pitched tracks with notes.
        """
        tracks = [track for track in score.tracks if track.notes and not track.is_drum]
        if len(tracks) > 4:
            names = ", ".join(track.name for track in tracks)
            raise NotSupported(f"the four-voice grid holds four tracks, not {len(tracks)}: {names}")
        steps = -(-score.length_ticks * STEPS_PER_QUARTER // score.ticks_per_quarter)
        grid = np.full((steps, 4), -1, dtype=np.int64)
        for voice, track in zip(self._voices(tracks), tracks, strict=True):
            order = sorted(track.notes, key=lambda n: -n.pitch if voice == 3 else n.pitch)
            for note in order:
                # A note that rounds past the last step stays in it rather than vanish.
                first = min(_rounded(note.onset_ticks, score.ticks_per_quarter), steps - 1)
                last = max(first + 1, _rounded(note.end_ticks, score.ticks_per_quarter))
                grid[first:last, voice] = note.pitch
        return grid

    @staticmethod
    def _voices(tracks: list[Track]) -> list[int]:
        """Return the voice of each track: by its name where all fit, otherwise by order."""
        by_name = [VOICES.index(track.name) for track in tracks if track.name in VOICES]
        if len(by_name) == len(tracks) and len(set(by_name)) == len(tracks):
            return by_name
        return list(range(len(tracks)))

    def score(self, grid: npt.NDArray[np.int64]) -> Score:
        """Return the score of pitches (steps, 4): four tracks, notes struck again at bar lines."""
        tracks = []
        for voice, name in enumerate(VOICES):
            line = grid[:, voice] if len(grid) else np.zeros(0, dtype=np.int64)
            index = np.arange(len(line))
            starts = np.ones(len(line), dtype=bool)
            starts[1:] = line[1:] != line[:-1]
            starts |= index % self.steps_per_bar == 0
            borders = [*np.flatnonzero(starts).tolist(), len(line)]
            notes = tuple(
                Note(a * _STEP_TICKS, int(line[a]), (b - a) * _STEP_TICKS, _VELOCITY)
                for a, b in pairwise(borders)
                if line[a] >= 0
            )
            tracks.append(Track(name, notes, program=_CHOIR))
        numerator = self.steps_per_bar * self.denominator // 16
        return Score(
            tuple(tracks),
            time_signatures=(TimeSignature(0, numerator, self.denominator),),
            written_length_ticks=len(grid) * _STEP_TICKS,
        )

    def encode(self, score: Score) -> Tokens:
        """Return four tokens a sixteenth."""
        return self.encode_grid(self.grid(score))

    def decode(self, tokens: Tokens | Sequence[int]) -> Score:
        """Return the score of any tokens."""
        return self.score(self.decode_grid(np.asarray(tokens, dtype=np.int64)))

    def quantize(self, score: Score) -> Score:
        """Return the score on the grid, four tracks, pitches outside the range silent."""
        grid = self.grid(score)
        inside = (grid >= self.lowest) & (grid <= self.highest)
        return replace(self.score(np.where(inside, grid, -1)), recipe=score.recipe)

    def features(self, tokens: Tokens) -> npt.NDArray[np.int64]:
        """Return (n, 2): voice and sixteenth in the bar."""
        at = np.arange(len(tokens))
        return np.stack([at % 4, at // 4 % self.steps_per_bar % _PHASES], axis=1)

    def bars_begun(self, tokens: Tokens) -> npt.NDArray[np.int64]:
        """Return (n,): how many bars have begun at each token."""
        return np.arange(len(tokens)) // (4 * self.steps_per_bar) + 1

    def bar_count(self, tokens: Tokens) -> int:
        """Return how many bars a piece has, a last one cut short included."""
        return -(-len(tokens) // (4 * self.steps_per_bar))

    def walk(self) -> GridWalk:
        """Return a walk at the first sixteenth of a bar."""
        return GridWalk(self.steps_per_bar)

    def transposed(self, tokens: Tokens, semitones: int) -> Tokens | None:
        """Return the tokens transposed, or None where a pitch would leave the range."""
        is_pitch = tokens < self.rest_token
        moved = np.where(is_pitch, tokens + semitones, tokens)
        if ((moved[is_pitch] < 0) | (moved[is_pitch] >= self.rest_token)).any():
            return None
        return moved

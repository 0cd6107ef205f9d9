"""How a request becomes performance events and how their tokens become bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from math import ceil, floor
from typing import Any

import numpy as np

from partimento.music import Note, Score, Track
from partimento.music.score import TICKS_PER_QUARTER
from partimento.music.timeline import DEFAULT_QUARTERS_PER_MINUTE
from partimento.representations.base import TokenRepresentation, Tokens
from partimento.representations.constraint import Constraint
from partimento.representations.performance_events.constraint import PerformanceConstraint
from partimento.representations.performance_events.tokens import STEPS_PER_SECOND, PerformanceEvents
from partimento.representations.realiser import TokenRequest, metre_of, tempo_of, with_marks

__all__ = ["PerformanceRealiser"]

_VELOCITY_STEP = 4  # MIDI velocities to one VELOCITY token
_DEFAULT_VELOCITY = 20  # the VELOCITY in force before the first one


class PerformanceRealiser:
    """Played notes in steps of 10 ms; bars are what tempo and metre make of them."""

    def __init__(
        self, representation: PerformanceEvents, request: TokenRequest, config: Mapping[str, Any]
    ) -> None:
        self.events, self.request = representation, request
        self.representation: TokenRepresentation = representation
        self.tempo = tempo_of(request, config) or DEFAULT_QUARTERS_PER_MINUTE
        self.metre = metre_of(request)
        self.step_quarters = Fraction(self.tempo) / (60 * STEPS_PER_SECOND)
        self.constraint: Constraint[Any] = PerformanceConstraint(
            representation,
            replace(request.promises, time_signature=self.metre),
            self.tempo,
            endless=request.endless,
        )

    def prompt(self) -> Tokens:
        """Return the tokens of the prompt, its end token left out."""
        if self.request.score is None:
            return np.zeros(0, dtype=np.int64)
        tokens = self.events.encode(self.request.score)
        return np.asarray(tokens[tokens != self.events.end_token])

    def pieces(self, tokens: Iterator[int]) -> Iterator[Score]:
        """Yield one bar at a time, once every note that starts in it has ended."""
        heard = _Heard(self.events, self.prompt())
        per_bar = self.metre.quarters_per_bar
        given = 0
        for token in tokens:
            heard.push(token)
            while heard.now * self.step_quarters >= (given + 1) * per_bar:
                first = heard.first_sounding
                if first is not None and first * self.step_quarters < (given + 1) * per_bar:
                    break
                yield self._bar(heard, given)
                given += 1
        heard.close()
        total = self.request.promises.bars or ceil(heard.now * self.step_quarters / per_bar) or 1
        for bar in range(given, total):
            yield self._bar(heard, bar)

    def _bar(self, heard: _Heard, bar: int) -> Score:
        """Return one bar in the tempo asked for, from tick 0; its notes may outlast it."""
        begin, end = (
            int((bar + at) * self.metre.quarters_per_bar * TICKS_PER_QUARTER) for at in (0, 1)
        )
        notes = []
        for onset, pitch, until, velocity in heard.take(ceil(end / self._step_ticks)):
            tick, off = self._tick(onset), self._tick(until)
            notes.append(Note(tick - begin, pitch, max(1, off - tick), velocity))
        score = Score(
            (Track("Piano", tuple(notes)),),
            time_signatures=(self.metre,),
            written_length_ticks=end - begin,
        )
        return with_marks(score, self.request, self.tempo)

    @property
    def _step_ticks(self) -> Fraction:
        return self.step_quarters * TICKS_PER_QUARTER

    def _tick(self, step: int) -> int:
        """Return the nearest tick of a step, halves up, so that equal spans stay equal."""
        return floor(step * self._step_ticks + Fraction(1, 2))


class _Heard:
    """The notes of performance tokens, as far as they have come; times in steps of 10 ms."""

    def __init__(self, events: PerformanceEvents, prompt: Tokens) -> None:
        first = events.vocabulary.first
        self._off, self._shift = first("note_off"), first("time_shift")
        self._velocity, self._start = first("velocity"), first("start")
        said = [token for token in prompt.tolist() if self._velocity <= token < self._start]
        self.now = 0
        self._loud = _VELOCITY_STEP * (said[-1] - self._velocity if said else _DEFAULT_VELOCITY)
        self._sounding: dict[int, tuple[int, int]] = {}  # pitch to (onset, velocity)
        self._ended: list[tuple[int, int, int, int]] = []  # onset, pitch, end, velocity

    @property
    def first_sounding(self) -> int | None:
        """When the longest sounding note began; None in silence."""
        return min((onset for onset, _ in self._sounding.values()), default=None)

    def push(self, token: int) -> None:
        """Take the next token in."""
        if token < self._shift:
            self._end(token % self._off)
            if token < self._off:
                self._sounding[token] = (self.now, self._loud + _VELOCITY_STEP // 2)
        elif token < self._velocity:
            self.now += token - self._shift + 1
        elif token < self._start:
            self._loud = _VELOCITY_STEP * (token - self._velocity)

    def close(self) -> None:
        """End what still sounds."""
        for pitch in list(self._sounding):
            self._end(pitch)

    def take(self, until: int) -> list[tuple[int, int, int, int]]:
        """Return the ended notes (onset, pitch, end, velocity) that began before a step, once."""
        taken = sorted(note for note in self._ended if note[0] < until)
        self._ended = [note for note in self._ended if note[0] >= until]
        return taken

    def _end(self, pitch: int) -> None:
        if pitch in self._sounding:
            onset, velocity = self._sounding.pop(pitch)
            if self.now > onset:
                self._ended.append((onset, pitch, self.now, velocity))

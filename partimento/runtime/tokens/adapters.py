"""From requests to constraints and from tokens to pieces, one class a representation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from math import ceil, floor
from typing import Any, Protocol

import numpy as np

from partimento.errors import NotSupported
from partimento.music import KeySignature, Note, Score, Tempo, TimeSignature, Track
from partimento.music.score import TICKS_PER_QUARTER
from partimento.music.timeline import DEFAULT_QUARTERS_PER_MINUTE
from partimento.representations import (
    BarEvents,
    Countdown,
    FourVoiceGrid,
    MelodySteps,
    PerformanceEvents,
)
from partimento.representations.bar_events import TEMPOS, Ruling
from partimento.representations.base import TokenRepresentation, Tokens
from partimento.representations.performance_events import STEPS_PER_SECOND
from partimento.runtime.contract import Request
from partimento.samplers.constraints import (
    BarEventConstraint,
    Constraint,
    GridConstraint,
    MelodyConstraint,
    PerformanceConstraint,
)

__all__ = ["Realiser", "realiser_for"]

_VELOCITY_STEP = 4  # MIDI velocities to one VELOCITY token
_DEFAULT_VELOCITY = 20  # the VELOCITY that rules before any was said


class Realiser(Protocol):
    """How one representation answers one request."""

    constraint: Constraint[Any]
    representation: TokenRepresentation  # as this request wants it: its metre, its end

    def prompt(self) -> Tokens:
        """Return the tokens of the request's prompt; empty without one."""
        ...

    def pieces(self, tokens: Iterator[int]) -> Iterator[Score]:
        """Yield the score bar by bar as its tokens come."""
        ...


def realiser_for(
    representation: TokenRepresentation, request: Request, config: Mapping[str, Any]
) -> Realiser:
    """Return the realiser of a representation; ``config`` is the model folder's.

    Raises:
        NotSupported: if the request asks for what the representation cannot hold.
        CannotBeMet: if no output could keep the promises together.
    """
    base = representation.base if isinstance(representation, Countdown) else representation
    realiser: _GridRealiser | _BarRealiser
    if isinstance(base, FourVoiceGrid):
        realiser = _GridRealiser(base, request, config)
    elif isinstance(base, BarEvents):
        realiser = _BarRealiser(base, request, config)
    elif isinstance(base, MelodySteps):
        return _MelodyRealiser(base, request, config)
    elif isinstance(base, PerformanceEvents):
        return _PerformanceRealiser(base, request, config)
    else:
        raise NotSupported(f"no way is known to play {type(base).__name__}")
    if isinstance(representation, Countdown):
        bars = request.promises.bars
        total = None if bars is None else bars + realiser.bars_in(realiser.prompt())
        realiser.representation = representation.on(realiser.representation, total)
    return realiser


def _tempo(request: Request, config: Mapping[str, Any]) -> float | None:
    if request.tempo_quarters_per_minute is not None:
        return request.tempo_quarters_per_minute
    if request.score is not None and request.score.tempos:
        return request.score.tempos[-1].quarters_per_minute
    default = config.get("defaults", {}).get("tempo")
    return None if default is None else float(default)


def _metre(request: Request) -> TimeSignature:
    """Return the metre asked for, or that of the prompt's end, or 4/4."""
    if request.promises.time_signature is not None:
        return request.promises.time_signature
    if request.score is not None and request.score.time_signatures:
        return replace(request.score.time_signatures[-1], onset_ticks=0)
    return TimeSignature(0, 4, 4)


def _dressed(score: Score, request: Request, tempo: float | None) -> Score:
    """Return a piece with the tempo and the key that were asked for written in."""
    key = request.promises.key
    return replace(
        score,
        tempos=(Tempo(0, tempo),) if tempo is not None else score.tempos,
        key_signatures=(KeySignature(0, key),) if key is not None else (),
    )


class _GridRealiser:
    """Four voices in sixteenths."""

    def __init__(
        self, representation: FourVoiceGrid, request: Request, config: Mapping[str, Any]
    ) -> None:
        metre = _metre(request)
        self.grid = representation.with_metre(metre)
        self.representation: Any = self.grid
        self.bars_in = self.grid.bar_count
        self.request, self.tempo = request, _tempo(request, config)
        promises = replace(request.promises, time_signature=metre)
        self.constraint: Constraint[Any] = GridConstraint(self.grid, promises)

    def prompt(self) -> Tokens:
        if self.request.score is None:
            return np.zeros(0, dtype=np.int64)
        tokens = self.grid.encode(self.request.score)
        missing = -len(tokens) % (4 * self.grid.steps_per_bar)
        return np.concatenate([tokens, np.full(missing, self.grid.rest_token, dtype=np.int64)])

    def pieces(self, tokens: Iterator[int]) -> Iterator[Score]:
        bar: list[int] = []
        for token in tokens:
            bar.append(token)
            if len(bar) == 4 * self.grid.steps_per_bar:
                yield _dressed(self.grid.decode(np.array(bar)), self.request, self.tempo)
                bar = []


class _MelodyRealiser:
    """One voice in even steps."""

    def __init__(
        self, representation: MelodySteps, request: Request, config: Mapping[str, Any]
    ) -> None:
        metre = _metre(request)
        self.melody = representation.with_metre(metre)
        self.representation: TokenRepresentation = self.melody
        self.request, self.tempo = request, _tempo(request, config)
        promises = replace(request.promises, time_signature=metre)
        self.constraint: Constraint[Any] = MelodyConstraint(self.melody, promises)

    def prompt(self) -> Tokens:
        if self.request.score is None:
            return np.zeros(0, dtype=np.int64)
        tokens = self.melody.encode(self.request.score)
        missing = -len(tokens) % self.melody.steps_per_bar
        return np.concatenate([tokens, np.full(missing, self.melody.rest_token, dtype=np.int64)])

    def pieces(self, tokens: Iterator[int]) -> Iterator[Score]:
        bar: list[int] = []
        for token in tokens:
            bar.append(token)
            if len(bar) == self.melody.steps_per_bar:
                yield _dressed(self.melody.decode(bar), self.request, self.tempo)
                bar = []


class _BarRealiser:
    """Bars of notes with durations, any instruments that the model was trained on."""

    def __init__(
        self, representation: BarEvents, request: Request, config: Mapping[str, Any]
    ) -> None:
        self.events, self.request = representation, request
        self.representation: Any = representation
        self.bars_in = representation.bar_count
        self.tempo = _tempo(request, config)
        nearest = None
        if self.tempo is not None:
            nearest = int(np.abs(np.log(np.array(TEMPOS) / self.tempo)).argmin())
        instruments = config.get("instruments")
        promises = request.promises
        if promises.time_signature is None and (promises.bars is not None or request.score):
            promises = replace(promises, time_signature=_metre(request))
        self.constraint: Constraint[Any] = BarEventConstraint(
            representation,
            promises,
            tempo_bin=nearest,
            instruments=tuple(instruments) if instruments else None,
            endless=request.endless,
        )

    def prompt(self) -> Tokens:
        if self.request.score is None:
            return np.zeros(0, dtype=np.int64)
        tokens = self.events.encode(self.request.score)
        return np.asarray(tokens[tokens != self.events.end_token])

    def pieces(self, tokens: Iterator[int]) -> Iterator[Score]:
        bar_token = self.events.vocabulary.first("bar")
        ruling = Ruling()
        if self.request.score is not None:
            _, ruling = self.events.decode_after(ruling, self.prompt())
        bar: list[int] = []
        for token in tokens:
            if token == bar_token and bar:
                score, ruling = self.events.decode_after(ruling, bar)
                yield _dressed(score, self.request, self.tempo)
                bar = []
            bar.append(token)
            if token == self.events.end_token:
                break
        if bar and bar[0] == bar_token:
            score, ruling = self.events.decode_after(ruling, bar)
            yield _dressed(score, self.request, self.tempo)


class _PerformanceRealiser:
    """Played notes in steps of 10 ms; bars are what tempo and metre make of them."""

    def __init__(
        self, representation: PerformanceEvents, request: Request, config: Mapping[str, Any]
    ) -> None:
        self.events, self.request = representation, request
        self.representation: TokenRepresentation = representation
        self.tempo = _tempo(request, config) or DEFAULT_QUARTERS_PER_MINUTE
        self.metre = _metre(request)
        self.step_quarters = Fraction(self.tempo) / (60 * STEPS_PER_SECOND)
        self.constraint: Constraint[Any] = PerformanceConstraint(
            representation,
            replace(request.promises, time_signature=self.metre),
            self.tempo,
            endless=request.endless,
        )

    def prompt(self) -> Tokens:
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
        return _dressed(score, self.request, self.tempo)

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

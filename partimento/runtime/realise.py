"""From requests to constraints and from tokens to pieces, one class a representation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from partimento.errors import NotSupported
from partimento.music import KeySignature, Score, Tempo, Timeline, TimeSignature, Track
from partimento.music.timeline import DEFAULT_QUARTERS_PER_MINUTE
from partimento.music.transform import crop
from partimento.representations import BarEvents, Countdown, FourVoiceGrid, PerformanceEvents
from partimento.representations.bar_events import TEMPOS, Ruling
from partimento.representations.base import TokenRepresentation, Tokens
from partimento.runtime.contract import Request
from partimento.samplers.constraints import (
    BarEventConstraint,
    Constraint,
    GridConstraint,
    PerformanceConstraint,
)

__all__ = ["Realiser", "realiser_for"]


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
    representation: TokenRepresentation, request: Request, config: dict[str, Any]
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
    elif isinstance(base, PerformanceEvents):
        return _PerformanceRealiser(base, request, config)
    else:
        raise NotSupported(f"no way is known to play {type(base).__name__}")
    if isinstance(representation, Countdown):
        bars = request.promises.bars
        total = None if bars is None else bars + realiser.bars_in(realiser.prompt())
        realiser.representation = representation.on(realiser.representation, total)
    return realiser


def _tempo(request: Request, config: dict[str, Any]) -> float | None:
    if request.tempo_quarters_per_minute is not None:
        return request.tempo_quarters_per_minute
    if request.prompt is not None and request.prompt.tempos:
        return request.prompt.tempos[-1].quarters_per_minute
    default = config.get("defaults", {}).get("tempo")
    return None if default is None else float(default)


def _metre(request: Request) -> TimeSignature:
    """Return the metre asked for, or that of the prompt's end, or 4/4."""
    if request.promises.time_signature is not None:
        return request.promises.time_signature
    if request.prompt is not None and request.prompt.time_signatures:
        return replace(request.prompt.time_signatures[-1], onset_ticks=0)
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
        self, representation: FourVoiceGrid, request: Request, config: dict[str, Any]
    ) -> None:
        metre = _metre(request)
        self.grid = representation.with_metre(metre)
        self.representation: Any = self.grid
        self.bars_in = self.grid.bar_count
        self.request, self.tempo = request, _tempo(request, config)
        promises = replace(request.promises, time_signature=metre)
        self.constraint: Constraint[Any] = GridConstraint(self.grid, promises)

    def prompt(self) -> Tokens:
        if self.request.prompt is None:
            return np.zeros(0, dtype=np.int64)
        tokens = self.grid.encode(self.request.prompt)
        missing = -len(tokens) % (4 * self.grid.steps_per_bar)
        return np.concatenate([tokens, np.full(missing, self.grid.rest_token, dtype=np.int64)])

    def pieces(self, tokens: Iterator[int]) -> Iterator[Score]:
        bar: list[int] = []
        for token in tokens:
            bar.append(token)
            if len(bar) == 4 * self.grid.steps_per_bar:
                yield _dressed(self.grid.decode(np.array(bar)), self.request, self.tempo)
                bar = []


class _BarRealiser:
    """Bars of notes with durations, any instruments that the model was trained on."""

    def __init__(self, representation: BarEvents, request: Request, config: dict[str, Any]) -> None:
        self.events, self.request = representation, request
        self.representation: Any = representation
        self.bars_in = representation.bar_count
        self.tempo = _tempo(request, config)
        nearest = None
        if self.tempo is not None:
            nearest = int(np.abs(np.log(np.array(TEMPOS) / self.tempo)).argmin())
        instruments = config.get("instruments")
        promises = request.promises
        if promises.time_signature is None and (promises.bars is not None or request.prompt):
            promises = replace(promises, time_signature=_metre(request))
        self.constraint: Constraint[Any] = BarEventConstraint(
            representation,
            promises,
            tempo_bin=nearest,
            instruments=tuple(instruments) if instruments else None,
            endless=request.endless,
        )

    def prompt(self) -> Tokens:
        if self.request.prompt is None:
            return np.zeros(0, dtype=np.int64)
        tokens = self.events.encode(self.request.prompt)
        return np.asarray(tokens[tokens != self.events.end_token])

    def pieces(self, tokens: Iterator[int]) -> Iterator[Score]:
        bar_token = self.events.vocabulary.first("bar")
        ruling = Ruling()
        if self.request.prompt is not None:
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
        self, representation: PerformanceEvents, request: Request, config: dict[str, Any]
    ) -> None:
        self.events, self.request = representation, request
        self.representation: TokenRepresentation = representation
        self.tempo = _tempo(request, config) or DEFAULT_QUARTERS_PER_MINUTE
        self.metre = _metre(request)
        self.constraint: Constraint[Any] = PerformanceConstraint(
            representation,
            replace(request.promises, time_signature=self.metre),
            self.tempo,
            endless=request.endless,
        )

    def prompt(self) -> Tokens:
        if self.request.prompt is None:
            return np.zeros(0, dtype=np.int64)
        tokens = self.events.encode(self.request.prompt)
        return np.asarray(tokens[tokens != self.events.end_token])

    def pieces(self, tokens: Iterator[int]) -> Iterator[Score]:
        """Yield one bar at a time, once every note that starts in it has ended."""
        quarters = self.metre.quarters_per_bar
        held: list[int] = []
        given = Fraction(0)  # bars yielded, in quarters
        first_shift = self.events.vocabulary.span("time_shift").start
        shifts = self.events.vocabulary.ranges["time_shift"]
        steps_per_bar = float(quarters) * 60.0 / self.tempo * 100.0
        steps, next_check = 0, steps_per_bar
        for token in tokens:
            held.append(token)
            if first_shift <= token < first_shift + shifts:
                steps += token - first_shift + 1
            if steps >= next_check and self._closed(held):
                yield self._bars(held, int(steps // steps_per_bar), given)
                return_steps = steps - int(steps // steps_per_bar) * steps_per_bar
                held, steps, next_check = self._rest(return_steps), int(return_steps), steps_per_bar
        bars = self.request.promises.bars
        if held or bars:
            whole = max(1, int(np.ceil(steps / steps_per_bar - 1e-6)))
            yield self._bars(held, whole, given)

    def _closed(self, held: list[int]) -> bool:
        """Return whether no note sounds after these tokens."""
        off = self.events.vocabulary.first("note_off")
        sounding: set[int] = set()
        for token in held:
            if token < off:
                sounding.add(token)
            elif token < 2 * off:
                sounding.discard(token - off)
        return not sounding

    def _rest(self, steps: float) -> list[int]:
        """Return the silence that stands before the next bar's tokens."""
        whole = round(steps)
        first = self.events.vocabulary.first("time_shift")
        most = self.events.vocabulary.ranges["time_shift"]
        return [first + min(most, whole - at) - 1 for at in range(0, whole, most)]

    def _bars(self, held: list[int], bars: int, given: Fraction) -> Score:
        """Return the score of tokens that fill so many bars, in the tempo asked for."""
        played = self.events.decode(np.array(held, dtype=np.int64))
        seconds = Timeline(played)
        length = int(bars * self.metre.quarters_per_bar * played.ticks_per_quarter)
        template = Score(ticks_per_quarter=played.ticks_per_quarter, tempos=(Tempo(0, self.tempo),))
        target = Timeline(template)

        def moved(tick: int) -> int:
            return round(float(target.ticks(seconds.seconds(tick))))

        tracks = []
        for track in played.tracks:
            notes = []
            for note in track.notes:
                onset = moved(note.onset_ticks)
                end = min(length, moved(note.end_ticks))
                if onset < length:
                    length_of_note = max(1, end - onset)
                    notes.append(replace(note, onset_ticks=onset, duration_ticks=length_of_note))
            tracks.append(Track(track.name, tuple(notes), track.program))
        score = replace(
            template,
            tracks=tuple(tracks),
            time_signatures=(self.metre,),
            written_length_ticks=length,
        )
        return _dressed(crop(score, 0, length), self.request, self.tempo)

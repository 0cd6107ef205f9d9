"""Promises on performance events: note on, note off, and time in steps of 10 ms.

A tempo turns bars into time. The stream is done at the last bar's end with every note closed;
that end, and the longest silence, are rounded down to whole steps. Chords need a beat to stand
on, which these events have not: bar events have.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from partimento.errors import CannotBeMet, NotSupported
from partimento.music import Promises
from partimento.representations.constraint import Mask
from partimento.representations.performance_events.tokens import (
    MAX_SHIFT,
    STEPS_PER_SECOND,
    PerformanceEvents,
)
from partimento.representations.pitches import check_track_names, track_mask

__all__ = ["PerformanceConstraint", "PerformanceState"]

_FOREVER = 1 << 60
_ROUNDING = 1e-6
_COMMON_TIME_QUARTERS = 4
_TRACK = "Piano"

_NEW, _ON, _OFF, _SHIFT, _FULL_SHIFT, _VELOCITY, _END = range(7)  # what the last token was


class PerformanceState(NamedTuple):
    """Where a performance stands; times in steps from where the promises started."""

    stage: int = _NEW
    now: int = 0
    covered: int = 0  # when the last note ended
    pitch: int = -1  # of the last NOTE_ON or NOTE_OFF of this step; each kind ascends
    has_struck: bool = False  # whether this step has a NOTE_ON; no NOTE_OFF after it
    velocity: int = -1
    sounding: tuple[int, ...] = ()  # pitches, ascending


class PerformanceConstraint:
    """All promises on ``PerformanceEvents`` but chords; the one track is called Piano.

    ``tempo_quarters_per_minute`` and the metre (4/4 where none was promised) give the length of a
    bar. Without ``bars`` the model may say END where nothing sounds, or never if ``endless``.
    What sounds at the end of a prompt is taken as cut there: close it in the prompt.

    Raises:
        NotSupported: if chords were promised, or a range names another track.
        CannotBeMet: if the piece would be shorter than a step, or be endless and have bars.
    """

    def __init__(
        self,
        representation: PerformanceEvents,
        promises: Promises,
        tempo_quarters_per_minute: float = 120.0,
        *,
        endless: bool = False,
    ) -> None:
        if promises.chords:
            raise NotSupported(
                "performance events have no beats for chords to stand on; "
                "ask a model of bar events for chords"
            )
        if endless and promises.bars is not None:
            raise CannotBeMet(f"an endless piece has no {promises.bars} bars; drop one of the two")
        if not tempo_quarters_per_minute > 0:
            raise CannotBeMet(f"a tempo is above 0, not {tempo_quarters_per_minute}")
        check_track_names(promises, (_TRACK,))
        metre = promises.time_signature
        bar_quarters = _COMMON_TIME_QUARTERS if metre is None else float(metre.quarters_per_bar)
        steps = STEPS_PER_SECOND * 60.0 / tempo_quarters_per_minute
        self._endless, self._end, self._longest = endless, _FOREVER, _FOREVER
        if promises.bars is not None:
            self._end = int(promises.bars * bar_quarters * steps + _ROUNDING)
            if self._end < 1:
                raise CannotBeMet(f"{promises.bars} bars last no 10 ms at this tempo; play slower")
        if promises.max_silence_quarters is not None:
            self._longest = int(promises.max_silence_quarters * steps + _ROUNDING)
        self._most = promises.max_polyphony or _FOREVER
        self._pitches = track_mask(promises, _TRACK)
        first = representation.vocabulary.first
        self._size = representation.vocabulary.size
        self._off_0, self._shift_0 = first("note_off"), first("time_shift")
        self._velocity_0, self._start_token = first("velocity"), first("start")
        self._end_token = first("end")

    @property
    def end_steps(self) -> int | None:
        """The length of the promised bars in steps of 10 ms; None without ``bars``."""
        return None if self._end == _FOREVER else self._end

    def begin(self) -> PerformanceState:
        """Return the state before the first token."""
        return PerformanceState()

    def allowed(self, state: PerformanceState) -> Mask:
        """Return (V,): which tokens may come next."""
        mask = np.zeros(self._size, dtype=bool)
        stage, now, sounding = state.stage, state.now, state.sounding
        if now >= self._end:
            if sounding:  # from the lowest up, as every step's
                mask[self._off_0 + sounding[0]] = True
            return mask
        if len(sounding) < self._most:
            self._allow_notes(mask, state)
        if stage == _VELOCITY:
            return mask
        if sounding and not state.has_struck:
            lowest = state.pitch if stage == _OFF else -1
            for pitch in sounding:
                mask[self._off_0 + pitch] = pitch > lowest
        if stage != _SHIFT:
            until = self._end
            if not sounding:
                until = min(until, state.covered + self._longest)
            shift = min(MAX_SHIFT, until - now)
            mask[self._shift_0 : self._shift_0 + shift] = True
        if not sounding and self._end == _FOREVER and not self._endless and state.covered > 0:
            mask[self._end_token] = True
        return mask

    def _allow_notes(self, mask: Mask, state: PerformanceState) -> None:
        """Allow NOTE_ON, and VELOCITY where one can follow."""
        notes = mask[: self._off_0]
        lowest = state.pitch + 1 if state.has_struck else 0
        notes[lowest:] = self._pitches[lowest:]
        for pitch in state.sounding:
            notes[pitch] = False
        if state.stage != _VELOCITY and notes.any():
            mask[self._velocity_0 : self._start_token] = True
            if state.velocity < 0:
                notes[:] = False
            else:
                mask[self._velocity_0 + state.velocity] = False

    def advance(self, state: PerformanceState, token: int) -> PerformanceState:
        """Return the state after ``token``."""
        stage, now, covered, pitch, has_struck, velocity, sounding = state
        if token < self._off_0:
            sounding = tuple(sorted({*sounding, token}))
            return PerformanceState(_ON, now, covered, token, True, velocity, sounding)
        if token < self._shift_0:
            pitch = token - self._off_0
            if pitch in sounding:
                sounding = tuple(other for other in sounding if other != pitch)
                covered = now
            return PerformanceState(_OFF, now, covered, pitch, has_struck, velocity, sounding)
        if token < self._velocity_0:
            shift = token - self._shift_0 + 1
            stage = _FULL_SHIFT if shift == MAX_SHIFT else _SHIFT
            return PerformanceState(stage, now + shift, covered, -1, False, velocity, sounding)
        if token < self._start_token:
            return state._replace(stage=_VELOCITY, velocity=token - self._velocity_0)
        return state._replace(stage=_END) if token == self._end_token else state

    def after_prompt(self, state: PerformanceState) -> PerformanceState:
        """Return the state in which all promises start again, now, in silence."""
        return PerformanceState(velocity=state.velocity)

    def written(self, state: PerformanceState, token: int) -> int:
        """Return the token itself."""
        return token

    def is_done(self, state: PerformanceState) -> bool:
        """Return whether the last bar is over and all is silent, or END was said."""
        return state.stage == _END or (state.now >= self._end and not state.sounding)

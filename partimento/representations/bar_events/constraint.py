"""Promises on bar events: bars of any metre, notes with durations, any instruments.

All promises are kept by looking ahead: a POSITION, INSTRUMENT or VELOCITY is allowed only where a
legal PITCH can follow, a BAR only if the next onset can still come in time, a DURATION only up to
the next strong beat on which the pitch would be wrong, and never past the last promised bar.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

import numpy as np

from partimento.errors import CannotBeMet, NotSupported
from partimento.messages import listed
from partimento.music import Promises
from partimento.music.score import TimeSignature
from partimento.music.timeline import strong_beats
from partimento.representations.bar_events.tokens import (
    DRUMS,
    DURATIONS,
    METRE_POSITIONS,
    METRES,
    POSITIONS_PER_QUARTER,
    TEMPOS,
    BarEvents,
)
from partimento.representations.constraint import Mask
from partimento.representations.pitches import check_track_names, class_mask, track_mask

__all__ = ["BarEventConstraint", "BarEventState"]

_FOREVER = 1 << 60
_ROUNDING = 1e-9
_COMMON_TIME = 0  # index into METRES of a bar that says none
_INSTRUMENTS = DRUMS + 1

# What the last token was; the grammar hangs on it.
_START, _BORDER, _BAR, _METRE, _TEMPO, _POSITION, _INSTRUMENT, _VELOCITY, _PITCH, _NOTE, _END = (
    range(11)
)
_STRONG = tuple(strong_beats(TimeSignature(0, *metre), POSITIONS_PER_QUARTER) for metre in METRES)


class BarEventState(NamedTuple):
    """Where a piece of bar events stands. Times are positions from the start of the piece."""

    stage: int = _START
    bar: int = -1  # counted from the first promised bar
    bar_at: int = 0
    bar_end: int = 0
    metre: int = -1  # in force; -1: none was said
    tempo: int = -1
    instrument: int = -1
    velocity: int = -1
    at: int = -1  # the last onset, or the position before the bar
    pitch: int = -1  # said, its duration not yet; or that of the last note
    sounding: tuple[tuple[int, int, int], ...] = ()  # (end, instrument, pitch), ends after ``at``
    covered: int = 0  # where the last note has ended


class BarEventConstraint:
    """All promises on ``BarEvents``.

    ``tempo_bin`` (index into ``TEMPOS``) fixes the tempo throughout; None leaves the first one
    and every change to the model. ``instruments`` (``DRUMS`` is 128) are those allowed; None
    allows all. The metre is the promised one; where none was promised but bars or chords were, it
    is the prompt's, or else 4/4; otherwise it is free. With ``bars`` the last bar closes with
    END; without, the model may say END after any bar, or never if ``endless``.

    Drums are exempt from key, chords and the range of all tracks (``"*"``); they count for
    polyphony and silence. A pitch is not struck again while it sounds on the same instrument.

    Raises:
        NotSupported: if the metre is not one of ``METRES``, or a range names no allowed track.
        CannotBeMet: if no instrument is allowed, or an endless piece is asked to have bars.
    """

    def __init__(
        self,
        representation: BarEvents,
        promises: Promises,
        *,
        tempo_bin: int | None = None,
        instruments: tuple[int, ...] | None = None,
        endless: bool = False,
    ) -> None:
        if endless and promises.bars is not None:
            raise CannotBeMet(f"an endless piece has no {promises.bars} bars; drop one of the two")
        if tempo_bin is not None and not 0 <= tempo_bin < len(TEMPOS):
            raise NotSupported(f"tempo bins are 0..{len(TEMPOS) - 1}, not {tempo_bin}")
        self._tempo, self._endless, self._promises = tempo_bin, endless, promises
        self._bars = promises.bars or _FOREVER
        self._metre = _metre_index(promises.time_signature)
        self._metre_is_free = self._metre is None and not promises.chords and not promises.bars
        self._most = promises.max_polyphony or _FOREVER
        silence = promises.max_silence_quarters
        self._longest = (
            _FOREVER if silence is None else int(silence * POSITIONS_PER_QUARTER + _ROUNDING)
        )
        self._make_vocabulary(representation)
        self._make_pitches(representation, promises, instruments)

    def _make_vocabulary(self, representation: BarEvents) -> None:
        """Look up where each kind of token starts."""
        vocabulary = representation.vocabulary
        self._size = vocabulary.size
        first = vocabulary.first
        self._end_token, self._bar_token = first("end"), first("bar")
        self._metre_0, self._tempo_0 = first("metre"), first("tempo")
        self._position_0, self._instrument_0 = first("position"), first("instrument")
        self._pitch_0, self._duration_0 = first("pitch"), first("duration")
        self._velocity_0 = first("velocity")
        self._only_bar = np.zeros(self._size, dtype=bool)
        self._only_bar[self._bar_token] = True

    def _make_pitches(
        self, representation: BarEvents, promises: Promises, instruments: tuple[int, ...] | None
    ) -> None:
        """Lay out the pitches of every instrument, off the strong beats and on each chord's."""
        allowed = range(_INSTRUMENTS) if instruments is None else sorted(set(instruments))
        if not allowed or not 0 <= allowed[0] <= allowed[-1] <= DRUMS:
            raise CannotBeMet(f"instruments are some of 0..{DRUMS} (drums), not {instruments}")
        names = {i: representation.track_name(i) for i in allowed}
        check_track_names(promises, list(names.values()))
        base = np.zeros((_INSTRUMENTS, 128), dtype=bool)
        for i, name in names.items():
            exempt = i == DRUMS
            base[i] = _drum_mask(promises, name) if exempt else track_mask(promises, name)
        self._pitches = [base]  # the table of weak positions, then those of the chords
        chord_tables: dict[object, int] = {None: 0}
        for chord in promises.chords:
            if chord is not None and chord not in chord_tables:
                table = base & class_mask(chord.pitch_classes)
                table[DRUMS] = base[DRUMS]
                chord_tables[chord] = len(self._pitches)
                self._pitches.append(table)
        self._chord_tables = [chord_tables[chord] for chord in promises.chords]
        self._counts = [table.sum(axis=1) for table in self._pitches]
        self._playable = [counts > 0 for counts in self._counts]
        self._most_pitches = [int(counts.max()) for counts in self._counts]

    def pitches(self) -> list[int]:
        """Return the pitches that any instrument but the drums may play."""
        found: list[int] = np.flatnonzero(self._pitches[0][:DRUMS].any(axis=0)).tolist()
        return found

    def begin(self) -> BarEventState:
        """Return the state before the first token."""
        return BarEventState()

    def allowed(self, state: BarEventState) -> Mask:
        """Return (V,): which tokens may come next."""
        stage = state.stage
        if stage in (_START, _BORDER):
            return self._only_bar
        mask = np.zeros(self._size, dtype=bool)
        if stage == _PITCH:
            longest = bisect_right(DURATIONS, self._room(state))
            mask[self._duration_0 : self._duration_0 + longest] = True
        elif stage in (_POSITION, _INSTRUMENT, _VELOCITY):
            self._allow_notes(mask, state)
        elif stage == _NOTE:
            self._allow_notes(mask, state)
            self._allow_onward(mask, state)
        elif stage != _END and not self._allow_header(mask, state):
            self._allow_onward(mask, state)
        return mask

    def _allow_header(self, mask: Mask, state: BarEventState) -> bool:
        """Allow METRE and TEMPO; return whether one of them must come."""
        if state.stage == _BAR:
            span = mask[self._metre_0 : self._tempo_0]
            if self._metre_is_free:
                span[:] = True
                if state.metre < 0:
                    return True
                span[state.metre] = False
            elif state.metre != (metre := self.ruling_metre(state)):
                span[metre] = True
                return True
        if state.stage in (_BAR, _METRE):
            span = mask[self._tempo_0 : self._position_0]
            if self._tempo is None:
                span[:] = True
                if state.tempo < 0:
                    return True
                span[state.tempo] = False
            elif state.tempo != self._tempo:
                span[self._tempo] = True
                return True
        return False

    def ruling_metre(self, state: BarEventState) -> int:
        """Return the index in ``METRES`` of the metre of all promised bars."""
        if self._metre is not None:
            return self._metre
        return max(state.metre, _COMMON_TIME)

    def _allow_onward(self, mask: Mask, state: BarEventState) -> None:
        """Allow later POSITIONs of the bar, BAR and END."""
        deadline = state.covered + self._longest
        if state.bar_end <= deadline:
            is_last = state.bar + 1 >= self._bars
            mask[self._bar_token] = True
            if is_last or (
                self._bars == _FOREVER and not self._endless and state.covered <= state.bar_end
            ):
                mask[self._end_token] = True
        low = state.at + 1
        sounding = state.sounding
        if len(sounding) >= self._most:
            ends = sorted((note[0] for note in sounding), reverse=True)
            low = max(low, ends[self._most - 1])
        high = min(state.bar_end, deadline + 1)
        if low >= high:
            return
        self._allow_positions(mask, state, low, high)

    def _allow_positions(self, mask: Mask, state: BarEventState, low: int, high: int) -> None:
        """Allow the POSITIONs in low..high - 1 at which a pitch is left."""
        shift = self._position_0 - state.bar_at
        count = len(state.sounding)
        first = low
        if count >= self._most_pitches[0]:  # else there are more pitches than sounding notes
            ends = sorted({low, *(note[0] for note in state.sounding if note[0] > low)})
            first = next(at for at in ends if self._some_pitch(state, at, 0))
        mask[shift + first : shift + high] = True
        for beat in _STRONG[max(state.metre, 0)] if self._chord_tables else ():
            at = state.bar_at + beat
            if low <= at < high:
                table = self._table(state, at)
                fits = count < self._most_pitches[table] or self._some_pitch(state, at, table)
                mask[shift + at] = fits

    def _some_pitch(self, state: BarEventState, at: int, table: int) -> bool:
        """Return whether any instrument has a pitch left in ``table`` that is silent at ``at``."""
        left = self._counts[table].copy()
        for end, instrument, pitch in state.sounding:
            if end > at and self._pitches[table][instrument, pitch]:
                left[instrument] -= 1
        return bool((left > 0).any())

    def _table(self, state: BarEventState, at: int) -> int:
        """Return which table of pitches rules at a position of this bar."""
        if not self._chord_tables or at - state.bar_at not in _STRONG[max(state.metre, 0)]:
            return 0
        return self._chord_tables[state.bar % len(self._chord_tables)]

    def _allow_notes(self, mask: Mask, state: BarEventState) -> None:
        """Allow another note at this position: INSTRUMENT, VELOCITY and PITCH."""
        if len(state.sounding) >= self._most:
            return
        stage, current, sounding = state.stage, state.instrument, state.sounding
        table = self._table(state, state.at)
        pitches = self._pitches[table]
        if current >= 0:
            span = mask[self._pitch_0 : self._duration_0]
            lowest = state.pitch + 1 if stage in (_NOTE, _VELOCITY) else 0
            span[lowest:] = pitches[current, lowest:]
            for _, instrument, pitch in sounding:
                if instrument == current:
                    span[pitch] = False
            if stage != _VELOCITY and span.any():
                mask[self._velocity_0 :] = True
                if state.velocity < 0:
                    span[:] = False
                else:
                    mask[self._velocity_0 + state.velocity] = False
        if stage in (_POSITION, _NOTE):
            # At a position instruments ascend; the first may be any but the one in force.
            first = current + 1 if stage == _NOTE else 0
            others = mask[self._instrument_0 : self._pitch_0]
            others[first:] = self._playable[table][first:]
            if current >= 0:
                others[current] = False
            for instrument in {note[1] for note in sounding if note[1] >= first}:
                if others[instrument]:
                    left = pitches[instrument].copy()
                    left[[note[2] for note in sounding if note[1] == instrument]] = False
                    others[instrument] = left.any()

    def _room(self, state: BarEventState) -> int:
        """Return the longest duration of the pitch just said, in positions, at least 1."""
        at, bar, start = state.at, state.bar, state.bar_at
        length = state.bar_end - start
        room = DURATIONS[-1]
        if self._bars != _FOREVER:
            room = min(room, start + (self._bars - bar) * length - at)
        if self._chord_tables and state.instrument != DRUMS:
            beats = _STRONG[max(state.metre, 0)]
            while start < at + room:
                table = self._chord_tables[bar % len(self._chord_tables)]
                if not self._pitches[table][state.instrument, state.pitch]:
                    wrong = [start + beat for beat in beats if start + beat > at]
                    if wrong:
                        return min(room, wrong[0] - at)
                bar, start = bar + 1, start + length
        return room

    def advance(self, state: BarEventState, token: int) -> BarEventState:
        """Return the state after ``token``; what ``BarEvents.decode`` ignores changes nothing."""
        if token >= self._velocity_0:
            return state._replace(stage=_VELOCITY, velocity=token - self._velocity_0)
        if token >= self._duration_0:
            if state.stage != _PITCH:
                return state
            return self._note(state, DURATIONS[token - self._duration_0])
        has_position = state.at >= state.bar_at
        if token >= self._pitch_0:
            if not has_position:
                return state
            return state._replace(stage=_PITCH, pitch=token - self._pitch_0)
        if token >= self._instrument_0:
            instrument = token - self._instrument_0
            return state._replace(stage=_INSTRUMENT, instrument=instrument, pitch=-1)
        if token >= self._position_0:
            at = state.bar_at + token - self._position_0
            if at >= state.bar_end:
                return state
            sounding = tuple(note for note in state.sounding if note[0] > at)
            return state._replace(stage=_POSITION, at=at, pitch=-1, sounding=sounding)
        if token >= self._metre_0:
            return state if has_position or not state.bar_end else self._header(state, token)
        if token == self._bar_token:
            return self._next_bar(state)
        return state._replace(stage=_END) if token == self._end_token else state

    def _header(self, state: BarEventState, token: int) -> BarEventState:
        """Return the state after METRE or TEMPO."""
        if token >= self._tempo_0:
            return state._replace(stage=_TEMPO, tempo=token - self._tempo_0)
        metre = token - self._metre_0
        end = state.bar_at + METRE_POSITIONS[metre]
        return state._replace(stage=_METRE, metre=metre, bar_end=end)

    def _note(self, state: BarEventState, duration: int) -> BarEventState:
        """Return the state after a note is complete."""
        end = state.at + duration
        note = (end, state.instrument, state.pitch)
        return state._replace(
            stage=_NOTE, sounding=(*state.sounding, note), covered=max(state.covered, end)
        )

    def _next_bar(self, state: BarEventState) -> BarEventState:
        """Return the state after BAR."""
        at = state.bar_end
        return state._replace(
            stage=_BAR,
            bar=state.bar + 1,
            bar_at=at,
            bar_end=at + METRE_POSITIONS[max(state.metre, 0)],
            at=at - 1,
            pitch=-1,
            sounding=tuple(note for note in state.sounding if note[0] >= at),
        )

    def after_prompt(self, state: BarEventState) -> BarEventState:
        """Return the state in which all promises start again at the end of the current bar.

        Only BAR can come next. Notes that sound across the border are taken as cut there;
        metre, tempo, instrument and velocity stay in force.
        """
        return state._replace(
            stage=_BORDER, bar=-1, at=state.bar_end - 1, sounding=(), covered=state.bar_end
        )

    def written(self, state: BarEventState, token: int) -> int:
        """Return END where the model closes the last bar with a BAR, otherwise the token."""
        if token == self._bar_token and state.bar + 1 >= self._bars:
            return self._end_token
        return token

    def is_done(self, state: BarEventState) -> bool:
        """Return whether END was said, or the last promised bar closed."""
        return state.stage == _END or state.bar >= self._bars


def _metre_index(time_signature: TimeSignature | None) -> int | None:
    """Return a metre's place in ``METRES``."""
    if time_signature is None:
        return None
    metre = (time_signature.numerator, time_signature.denominator)
    if metre not in METRES:
        known = listed((f"{n}/{d}" for n, d in METRES), 12)
        raise NotSupported(f"this model has no bars of {time_signature}; it has {known}")
    return METRES.index(metre)


def _drum_mask(promises: Promises, name: str) -> Mask:
    """Return (128,): the drums allowed, all but for a range asked by the drum track's name."""
    mask = np.zeros(128, dtype=bool)
    span = promises.ranges.get(name)
    mask[slice(None) if span is None else slice(span.low, span.high + 1)] = True
    return mask

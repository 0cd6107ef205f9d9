"""The closing of a piece of bar events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from partimento.music.cadences import Cadence, Ending
from partimento.music.keys import Key
from partimento.representations.bar_events import (
    DRUMS,
    DURATIONS,
    METRE_POSITIONS,
    METRES,
    POSITIONS_PER_QUARTER,
    BarEvents,
)
from partimento.samplers.constraints.bars import BarEventConstraint, BarEventState
from partimento.samplers.constraints.base import Mask
from partimento.samplers.constraints.closing import (
    NO_WEIGHTS,
    Layout,
    cadences_for,
    either,
    layouts,
    with_weight,
)

__all__ = ["BarClosing", "BarClosingState"]

_CLOSING_BARS = 2  # the last bars that are made several times
_LEAST_TONES = 3  # of approach and final chord, where polyphony and ranges allow


class BarClosingState(NamedTuple):
    """The state of the promises, the pitches struck at the last position, the notes so far."""

    base: BarEventState
    struck: tuple[int, ...] = ()
    weights: tuple[float, ...] = NO_WEIGHTS  # positions sounded by each pitch class


@dataclass(frozen=True)
class BarClosing:
    """``BarEventConstraint`` with a cadence at the end; see ``closing.ClosingConstraint``.

    The chords stand at two positions, approach and final. Notes before may not reach into either
    unless they belong to it; at each the lowest note is the cadence's bass, and the position is
    left only when the tones that make the chord are there.
    """

    base: BarEventConstraint
    events: BarEvents
    bars: int
    kind: Ending
    key: Key | None = None
    layout: Layout | None = None
    cadence: Cadence | None = None

    def begin(self) -> BarClosingState:
        """Return the state before the first token."""
        return BarClosingState(self.base.begin())

    def is_closing(self, state: BarClosingState) -> bool:
        """Return whether the closing begins here: a bar of it, or the piece itself."""
        first = max(0, self.bars - _CLOSING_BARS)
        return self.layout is None and (first == 0 or state.base.bar >= first)

    def variants(self, state: BarClosingState) -> Sequence[tuple[BarClosing, BarClosingState]]:
        """Return a constraint for each layout and each key that fits."""
        metre = METRES[self.base.ruling_metre(state.base)]
        bar = METRE_POSITIONS[self.base.ruling_metre(state.base)]
        beat = 4 * POSITIONS_PER_QUARTER // metre[1]
        if metre[1] >= 8 and metre[0] % 3 == 0 and metre[0] > 3:
            beat *= 3
        return [
            (replace(self, layout=layout, cadence=cadence), state)
            for cadence in cadences_for(self.key, state.weights, self.kind)
            for layout in layouts(bar, min(beat, bar), self.bars == 1)
        ]

    def allowed(self, state: BarClosingState) -> Mask:
        """Return (V,): which tokens may come next."""
        mask = self.base.allowed(state.base)
        if self.layout is None or self.cadence is None or state.base.bar < 0:
            return mask
        approach, final = self._places(state.base)
        at = state.base.at
        following = [place for place in (approach, final) if place > at]
        out = mask.copy()
        vocabulary = self.events.vocabulary
        if following and following[0] < state.base.bar_end:
            # No position after the next chord, and no bar line before it.
            shift = vocabulary.first("position") - state.base.bar_at
            out[shift + following[0] + 1 : vocabulary.first("instrument")] = False
            out[vocabulary.first("bar")] = out[vocabulary.first("end")] = False
        elif not following:
            out[vocabulary.span("position")] = False
        if at in (approach, final) and at >= state.base.bar_at:
            out = self._chord(out, state, is_final=at == final)
        elif approach < at < final and self.cadence.approach:
            out = self._pitches(out, self.cadence.approach)
        out = self._durations(out, state, approach, final)
        return out if out.any() else mask

    def _places(self, state: BarEventState) -> tuple[int, int]:
        """Return the positions of the approach and of the final chord, from the piece's start.

        They are known from the bar in force: all bars of the closing have its metre.
        """
        assert self.layout is not None
        length = max(1, state.bar_end - state.bar_at)
        end = state.bar_at + (self.bars - max(state.bar, 0)) * length
        final = end - self.layout.final
        return final - self.layout.approach, final

    def _chord(self, mask: Mask, state: BarClosingState, is_final: bool) -> Mask:
        """Return the mask at the position of a chord: bass first, then tones until it is whole."""
        cadence = self.cadence
        assert cadence is not None
        chord = cadence.final if is_final else cadence.approach
        if not chord or state.base.instrument == DRUMS:
            return mask
        bass = {cadence.final_bass} if is_final else cadence.approach_bass
        classes = {pitch % 12 for pitch in state.struck}
        thirds = [third for third in cadence.thirds if third in classes] if is_final else []
        if thirds:
            chord = chord - (set(cadence.thirds) - set(thirds[:1]))
        if not state.struck:
            return self._pitches(mask, bass)
        mask = self._pitches(mask, chord, above=min(state.struck))
        lacks = not thirds if is_final else cadence.needed not in classes
        if lacks or len(state.struck) < _LEAST_TONES:
            vocabulary = self.events.vocabulary
            stay = mask.copy()
            stay[vocabulary.first("bar")] = stay[vocabulary.first("end")] = False
            stay[vocabulary.span("position")] = False
            wanted = set(cadence.thirds) if is_final else {cadence.needed}
            if lacks and len(state.struck) >= _LEAST_TONES - 1:
                stay = either(stay, self._pitches(stay, wanted))
            mask = either(mask, stay)
        return mask

    def _durations(self, mask: Mask, state: BarClosingState, approach: int, final: int) -> Mask:
        """Return the mask of durations: notes end where the next chord starts; chords last."""
        first = self.events.vocabulary.first("duration")
        span = mask[first : first + len(DURATIONS)]
        if not span.any() or state.base.instrument == DRUMS:
            return mask
        assert self.cadence is not None
        at, allowed = state.base.at, np.flatnonzero(span)
        if at >= final:
            keep = allowed[-1:]
        else:
            limit = approach if at < approach and self.cadence.approach else final
            keep = allowed[np.array(DURATIONS)[allowed] <= limit - at]
            if at == approach:
                keep = keep[-1:]
        out = mask.copy()
        out[first : first + len(DURATIONS)] = False
        out[first + (keep if len(keep) else allowed[:1])] = True
        return out

    def _pitches(self, mask: Mask, classes: object, above: int = -1) -> Mask:
        """Return the mask with the pitches narrowed to some classes above a pitch."""
        inside = set(classes)  # type: ignore[call-overload]
        first = self.events.vocabulary.first("pitch")
        out = mask.copy()
        for pitch in range(128):
            if pitch % 12 not in inside or pitch <= above:
                out[first + pitch] = False
        return out if out.any() else mask

    def advance(self, state: BarClosingState, token: int) -> BarClosingState:
        """Return the state after ``token``."""
        base = self.base.advance(state.base, token)
        kind, index = self.events.vocabulary.name_of(token)
        struck, weights = state.struck, state.weights
        if kind in ("position", "bar"):
            struck = ()
        elif kind == "duration" and base.instrument != DRUMS and base.pitch >= 0:
            struck = (*struck, base.pitch)
            weights = with_weight(weights, base.pitch % 12, float(DURATIONS[index]))
        return BarClosingState(base, struck, weights)

    def after_prompt(self, state: BarClosingState) -> BarClosingState:
        """Return the state in which all promises start at the end of the current bar."""
        return state._replace(base=self.base.after_prompt(state.base), struck=())

    def written(self, state: BarClosingState, token: int) -> int:
        """Return END where the model closes the last bar with a BAR, otherwise the token."""
        return self.base.written(state.base, token)

    def is_done(self, state: BarClosingState) -> bool:
        """Return whether END was said, or the last promised bar closed."""
        return self.base.is_done(state.base)

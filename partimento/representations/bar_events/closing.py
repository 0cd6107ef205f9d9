"""The closing of a piece of bar events."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from partimento.music.cadences import Cadence, Ending
from partimento.music.keys import Key
from partimento.representations.bar_events.constraint import BarEventConstraint, BarEventState
from partimento.representations.bar_events.tokens import (
    DRUMS,
    DURATIONS,
    METRE_POSITIONS,
    METRES,
    POSITIONS_PER_QUARTER,
    BarEvents,
)
from partimento.representations.closing import (
    NO_WEIGHTS,
    ClosingLayout,
    cadences_for,
    either,
    layouts,
    with_weight,
)
from partimento.representations.constraint import Mask

__all__ = ["BarClosing", "BarClosingState"]

_CLOSING_BARS = 2  # the last bars that are made several times
_LEAST_TONES = 3  # of approach and final chord, where polyphony and ranges allow


class BarClosingState(NamedTuple):
    """The state of the promises, the pitches struck at the last position, the notes so far."""

    base: BarEventState
    struck: tuple[int, ...] = ()
    weights: tuple[float, ...] = NO_WEIGHTS  # positions sounded by each pitch class
    is_led: bool = False  # whether what sounds at the approach is its chord
    is_final: bool = False  # whether what sounds at the end is the last chord


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
    most: int = _LEAST_TONES  # notes that may sound at once, where fewer
    layout: ClosingLayout | None = None
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
        return [
            (replace(self, layout=layout, cadence=cadence), state)
            for cadence in cadences_for(
                self.key, state.weights, self.kind, self.base.pitches(), self.base.pitches()
            )
            for layout in self._layouts(state.base)
        ]

    def closes(self, state: BarClosingState) -> bool:
        """Return whether what was written by a variant, now done, ends with its cadence."""
        assert self.cadence is not None
        return state.is_final and (state.is_led or not self.cadence.approach)

    def _layouts(self, state: BarEventState) -> tuple[ClosingLayout, ...]:
        metre = self.base.ruling_metre(state)
        (numerator, denominator), bar = METRES[metre], METRE_POSITIONS[metre]
        beat = 4 * POSITIONS_PER_QUARTER // denominator
        if denominator >= 8 and numerator % 3 == 0 and numerator > 3:
            beat *= 3
        return layouts(bar, min(beat, bar), self.bars == 1)

    def allowed(self, state: BarClosingState) -> Mask:
        """Return (V,): which tokens may come next."""
        mask = self.base.allowed(state.base)
        if state.base.bar < 0:
            return mask
        if self.layout is None or self.cadence is None:
            # No note may last into a closing that begins as early as any of its variants.
            earliest = self._end(state.base) - max(sum(each) for each in self._layouts(state.base))
            return self._lasting(mask, state.base, max(earliest - state.base.at, 1))
        approach, final = self._places(state.base)
        at = state.base.at
        out = self._positions(mask, state.base, approach, final)
        if at in (approach, final) and at >= state.base.bar_at:
            out = self._chord(out, state, is_final=at == final)
        out = self._durations(out, state, approach, final)
        return out if out.any() else mask

    def _positions(self, mask: Mask, state: BarEventState, approach: int, final: int) -> Mask:
        """Return the mask of positions and bars: each chord comes, and nothing between them."""
        assert self.cadence is not None
        vocabulary = self.events.vocabulary
        span = vocabulary.span("position")
        following = [place for place in (approach, final) if place > state.at]
        is_held = bool(self.cadence.approach) and state.at >= approach
        out = mask.copy()
        if not following or (is_held and following[0] >= state.bar_end):
            out[span] = False
        elif following[0] < state.bar_end:
            next_chord = span.start + following[0] - state.bar_at
            out[next_chord + 1 : span.stop] = False
            out[vocabulary.first("bar")] = out[vocabulary.first("end")] = False
            if is_held:
                out[span.start : next_chord] = False
        return out

    def _places(self, state: BarEventState) -> tuple[int, int]:
        """Return the positions of the approach and of the final chord, from the piece's start."""
        assert self.layout is not None
        final = self._end(state) - self.layout.final
        return final - self.layout.approach, final

    def _end(self, state: BarEventState) -> int:
        """Return where the piece ends; all its bars have the metre of the one in force."""
        length = max(1, state.bar_end - state.bar_at)
        return state.bar_at + (self.bars - max(state.bar, 0)) * length

    def _chord(self, mask: Mask, state: BarClosingState, is_final: bool) -> Mask:
        """Return the mask at the position of a chord: bass first, then tones until it is whole.

        Pitches ascend, so each must leave room above for what the chord still lacks.
        """
        cadence = self.cadence
        assert cadence is not None
        chord = cadence.final if is_final else cadence.approach
        if not chord or state.base.instrument == DRUMS:
            return mask
        classes = {pitch % 12 for pitch in state.struck}
        wanted = set(cadence.thirds) if is_final else {cadence.needed}
        if is_final and wanted & classes:
            chord = chord - (wanted - classes)  # just one of the thirds sounds
        lacks = not wanted & classes
        count = len(state.struck)
        least = min(_LEAST_TONES, self.most)
        vocabulary = self.events.vocabulary
        first = vocabulary.first("pitch")
        tones = [p for p in np.flatnonzero(mask[first : first + 128]).tolist() if p % 12 in chord]
        if lacks or (count < least and tones):  # where no tone is left, two make the chord
            stay = mask.copy()
            stay[vocabulary.first("bar")] = stay[vocabulary.first("end")] = False
            stay[vocabulary.span("position")] = False
            mask = either(mask, stay)
        highest = max((p for p in tones if p % 12 in wanted), default=-1)
        bass = {cadence.final_bass} if is_final else cadence.approach_bass
        allowed: set[int] = set()
        for fewest in range(least, 1, -1):
            allowed = allowed or {
                pitch
                for place, pitch in enumerate(tones)
                if (count > 0 or pitch % 12 in bass)
                and (not lacks or pitch % 12 in wanted or pitch < highest)
                and count + len(tones) - place >= fewest
                and (not lacks or count + 1 < fewest or pitch % 12 in wanted)
            }
        return self._narrowed(mask, allowed or set(tones))

    def _durations(self, mask: Mask, state: BarClosingState, approach: int, final: int) -> Mask:
        """Return the mask of durations: notes end where the next chord starts; chords last."""
        assert self.cadence is not None
        at = state.base.at
        if at >= final:
            return self._lasting(mask, state.base, DURATIONS[-1], longest=True)
        limit = approach if at < approach and self.cadence.approach else final
        return self._lasting(mask, state.base, limit - at, longest=at == approach)

    def _lasting(self, mask: Mask, state: BarEventState, most: int, longest: bool = False) -> Mask:
        """Return the mask with durations of at most ``most``, or the longest of these alone."""
        span = self.events.vocabulary.span("duration")
        allowed = np.flatnonzero(mask[span])
        if not len(allowed) or state.instrument == DRUMS:
            return mask
        keep = allowed[np.array(DURATIONS)[allowed] <= most]
        keep = keep if len(keep) else allowed[:1]
        out = mask.copy()
        out[span] = False
        out[span.start + (keep[-1:] if longest else keep)] = True
        return out

    def _narrowed(self, mask: Mask, pitches: Collection[int]) -> Mask:
        """Return the mask with its pitches narrowed; where none is left, no note comes at all.

        The mask comes back as it is if nothing else could come.
        """
        vocabulary = self.events.vocabulary
        first = vocabulary.first("pitch")
        out = mask.copy()
        out[first : first + 128] = False
        inside = [first + pitch for pitch in pitches if mask[first + pitch]]
        out[inside] = True
        if not inside and mask[first : first + 128].any():
            out[vocabulary.span("velocity")] = out[vocabulary.span("instrument")] = False
        return out if out.any() else mask

    def advance(self, state: BarClosingState, token: int) -> BarClosingState:
        """Return the state after ``token``."""
        base = self.base.advance(state.base, token)
        kind, index = self.events.vocabulary.name_of(token)
        struck, weights = state.struck, state.weights
        is_led, is_final = state.is_led, state.is_final
        if kind in ("position", "bar"):
            struck = ()
        elif kind == "duration" and base.instrument != DRUMS and base.pitch >= 0:
            struck = (*struck, base.pitch)
            weights = with_weight(weights, base.pitch % 12, float(DURATIONS[index]))
            if self.layout is not None and self.cadence is not None:
                approach, final = self._places(base)
                sounds = {pitch for _, instrument, pitch in base.sounding if instrument != DRUMS}
                if base.at == approach:
                    is_led = bool(self.cadence.approach) and self.cadence.is_approach(sounds)
                elif base.at >= final:
                    is_final = base.at == final and self.cadence.is_final(sounds)
                elif base.at > approach:
                    is_led = False
        return BarClosingState(base, struck, weights, is_led, is_final)

    def after_prompt(self, state: BarClosingState) -> BarClosingState:
        """Return the state in which all promises start at the end of the current bar."""
        return state._replace(base=self.base.after_prompt(state.base), struck=())

    def written(self, state: BarClosingState, token: int) -> int:
        """Return END where the model closes the last bar with a BAR, otherwise the token."""
        return self.base.written(state.base, token)

    def is_done(self, state: BarClosingState) -> bool:
        """Return whether END was said, or the last promised bar closed."""
        return self.base.is_done(state.base)

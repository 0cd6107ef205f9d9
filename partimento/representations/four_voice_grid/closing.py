"""The closing of a piece on the four-voice grid."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from partimento.music.cadences import Cadence, Ending
from partimento.music.keys import Key
from partimento.representations.closing import (
    NO_WEIGHTS,
    ClosingLayout,
    cadences_for,
    either,
    layouts,
    with_weight,
)
from partimento.representations.constraint import Mask
from partimento.representations.four_voice_grid.constraint import GridConstraint, GridState
from partimento.representations.four_voice_grid.tokens import FourVoiceGrid

__all__ = ["GridClosing", "GridClosingState"]

_BASS = 3
_CLOSING_BARS = 2  # the last bars that are made several times


class GridClosingState(NamedTuple):
    """The state of the promises, the last token of each voice, and the notes written so far."""

    base: GridState = GridState()
    voices: tuple[int, ...] = ()  # the last four tokens, the voice to come first
    weights: tuple[float, ...] = NO_WEIGHTS  # sixteenths sounded by each pitch class
    is_kept: bool = True  # whether each chord of the closing so far is what it must be


@dataclass(frozen=True)
class GridClosing:
    """``GridConstraint`` with a cadence at the end; see ``closing.ClosingConstraint``."""

    base: GridConstraint
    grid: FourVoiceGrid
    bars: int
    kind: Ending
    key: Key | None = None
    layout: ClosingLayout | None = None
    cadence: Cadence | None = None

    def begin(self) -> GridClosingState:
        """Return the state before the first token."""
        return GridClosingState(self.base.begin())

    def is_closing(self, state: GridClosingState) -> bool:
        """Return whether the closing begins here."""
        first = max(0, self.bars - _CLOSING_BARS) * 4 * self.grid.steps_per_bar
        return self.layout is None and state.base.tokens >= first

    def variants(self, state: GridClosingState) -> Sequence[tuple[GridClosing, GridClosingState]]:
        """Return a constraint for each layout and each key that fits."""
        beat = 16 // self.grid.denominator
        bar = self.grid.steps_per_bar
        if beat < 4 and bar % 3 == 0 and bar > 3 * beat:
            beat *= 3  # 6/8, 9/8
        if bar % beat:
            beat = bar
        return [
            (replace(self, layout=layout, cadence=cadence), state)
            for cadence in cadences_for(
                self.key, state.weights, self.kind, self._pitches(_BASS), self._pitches(0, 1, 2)
            )
            for layout in layouts(bar, beat, self.bars == 1)
        ]

    def _pitches(self, *voices: int) -> list[int]:
        """Return the pitches that any of these voices may sing."""
        mask = np.any([self.base.voice_mask(0, voice) for voice in voices], axis=0)
        return [self.grid.lowest + int(token) for token in np.flatnonzero(mask[: self._rest])]

    def closes(self, state: GridClosingState) -> bool:
        """Return whether what was written by a variant, now done, ends with its cadence."""
        return state.is_kept

    def allowed(self, state: GridClosingState) -> Mask:
        """Return (V,): which tokens may come next."""
        mask = self.base.allowed(state.base)
        if self.layout is None or self.cadence is None or state.base.tokens < 0:
            return mask
        step, voice = divmod(state.base.tokens, 4)
        final = self.bars * self.grid.steps_per_bar - self.layout.final
        so_far = tuple(token for token in state.voices[4 - voice :] if token < self._rest)
        if step > final:
            return either(mask, self._only(state.voices[0]))
        if step == final:
            return self._final(mask, step, voice, so_far)
        if step >= final - self.layout.approach and self.cadence.approach:
            return self._approach(mask, state, so_far, is_last=step == final - 1)
        return mask

    def _final(self, mask: Mask, step: int, voice: int, so_far: tuple[int, ...]) -> Mask:
        """Return the mask of a voice in the final chord."""
        assert self.cadence is not None
        all_thirds = self._classes(self.cadence.thirds)
        thirds = [third for third in self.cadence.thirds if self._sounds(third, so_far)]
        others = set(self.cadence.thirds) - set(thirds[:1]) if thirds else set()
        chord = self._classes(self.cadence.final - others)
        chord &= self._above_bass(step, {self.cadence.final_bass})
        if voice == _BASS:
            return either(mask, self._classes({self.cadence.final_bass}), self._below(so_far))
        if not thirds and self._is_last_chance(step, voice, len(so_far), chord & all_thirds):
            return either(mask, chord, all_thirds)
        return either(mask, chord)

    def _is_last_chance(self, step: int, voice: int, sounding: int, wanted: Mask) -> bool:
        """Return whether no voice after this one, above the bass, can sing what is wanted."""
        return (
            voice == _BASS - 1
            or self.base.room_above(sounding) == 1
            or not any(
                (self.base.voice_mask(step, later) & wanted).any()
                for later in range(voice + 1, _BASS)
            )
        )

    def _approach(
        self, mask: Mask, state: GridClosingState, so_far: tuple[int, ...], is_last: bool
    ) -> Mask:
        """Return the mask of a voice in the chord before the last."""
        assert self.cadence is not None
        step, voice = divmod(state.base.tokens, 4)
        chord, needed = self._classes(self.cadence.approach), self.cadence.needed
        chord &= self._above_bass(step, self.cadence.approach_bass)
        if voice == _BASS:
            return either(mask, self._classes(self.cadence.approach_bass), self._below(so_far))
        lacks = needed is not None and not self._sounds(needed, so_far)
        tone = chord & self._classes({needed})
        if is_last and lacks and self._is_last_chance(step, voice, len(so_far), tone):
            return either(mask, chord, tone)
        return either(mask, chord)

    @property
    def _rest(self) -> int:
        return self.grid.rest_token

    def _sounds(self, pitch_class: int, tokens: tuple[int, ...]) -> bool:
        return any((token + self.grid.lowest) % 12 == pitch_class for token in tokens)

    def _only(self, token: int) -> Mask:
        mask = np.zeros(self.grid.vocabulary.size, dtype=bool)
        mask[token] = True
        return mask

    def _below(self, tokens: tuple[int, ...]) -> Mask:
        """Return (V,): the pitches that are no higher than any of ``tokens``."""
        mask = np.zeros(self.grid.vocabulary.size, dtype=bool)
        mask[: min(tokens, default=self._rest - 1) + 1] = True
        return mask

    def _above_bass(self, step: int, classes: Collection[int]) -> Mask:
        """Return (V,): the pitches that leave room below for a bass of these classes."""
        can = self.base.voice_mask(step, _BASS) & self._classes(classes)
        mask = np.zeros(self.grid.vocabulary.size, dtype=bool)
        mask[int(can.argmax()) if can.any() else 0 : self._rest] = True
        return mask

    def _classes(self, classes: Collection[int | None]) -> Mask:
        """Return (V,): the pitches of these pitch classes."""
        mask = np.zeros(self.grid.vocabulary.size, dtype=bool)
        for token in range(self._rest):
            mask[token] = (token + self.grid.lowest) % 12 in classes
        return mask

    def advance(self, state: GridClosingState, token: int) -> GridClosingState:
        """Return the state after ``token``."""
        weights = state.weights
        if token < self._rest:
            weights = with_weight(weights, (token + self.grid.lowest) % 12, 1.0)
        voices = (*state.voices[-3:], token)
        is_kept = state.is_kept and self._keeps(state, voices)
        return GridClosingState(self.base.advance(state.base, token), voices, weights, is_kept)

    def _keeps(self, state: GridClosingState, voices: tuple[int, ...]) -> bool:
        """Return whether a step is what the closing asks, its last token just written."""
        step, voice = divmod(state.base.tokens, 4)
        if self.layout is None or self.cadence is None or voice != _BASS:
            return True
        final = self.bars * self.grid.steps_per_bar - self.layout.final
        pitches = {token + self.grid.lowest for token in voices if token < self._rest}
        if step == final - 1:
            return self.cadence.is_approach(pitches)
        return step < final or self.cadence.is_final(pitches)

    def after_prompt(self, state: GridClosingState) -> GridClosingState:
        """Return the state in which all promises start at the next bar line."""
        return state._replace(base=self.base.after_prompt(state.base))

    def written(self, state: GridClosingState, token: int) -> int:
        """Return the token itself."""
        return token

    def is_done(self, state: GridClosingState) -> bool:
        """Return whether the last promised bar is full."""
        return self.base.is_done(state.base)

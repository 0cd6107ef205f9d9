"""Promises on the four-voice grid: four tokens a sixteenth, each a pitch or a rest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from partimento.errors import CannotBeMet, NotSupported
from partimento.music import Promises, TimeSignature
from partimento.music.timeline import strong_beats
from partimento.representations.constraint import Mask
from partimento.representations.four_voice_grid.tokens import (
    STEPS_PER_QUARTER,
    VOICES,
    FourVoiceGrid,
)
from partimento.representations.pitches import check_track_names, class_mask, track_mask

__all__ = ["GridConstraint", "GridState"]

_FOREVER = 1 << 60
_ROUNDING = 1e-9


class GridState(NamedTuple):
    """Where a four-voice piece stands.

    ``tokens`` counts from the first promised bar (below zero: what the prompt's last bar lacks),
    ``sounding`` the voices that sound in the step so far, ``silent`` the silent steps before it.
    """

    tokens: int = 0
    sounding: int = 0
    silent: int = 0


class GridConstraint:
    """All promises on a ``FourVoiceGrid``; the tracks are Soprano, Alto, Tenor and Bass.

    Exactly ``4 * steps_per_bar`` tokens a bar; without ``bars`` there is no end. A prompt that
    stops inside a bar is filled up with rests to the bar line.

    Raises:
        NotSupported: if the metre is not the grid's (``representation.with_metre``), or a range
            names no voice.
        CannotBeMet: if a voice has no pitch left in its range on this grid.
    """

    def __init__(self, representation: FourVoiceGrid, promises: Promises) -> None:
        check_track_names(promises, VOICES)
        steps = representation.steps_per_bar
        beat = representation.denominator
        metre = TimeSignature(0, steps * beat // 16, beat)
        asked = promises.time_signature
        if asked is not None and str(asked) != str(metre):
            raise NotSupported(
                f"this grid has bars of {metre}, not {asked}; "
                "make one with FourVoiceGrid.with_metre"
            )
        self._rest = representation.rest_token
        self._bar_tokens = 4 * steps
        self._end = _FOREVER if promises.bars is None else promises.bars * self._bar_tokens
        self._most = promises.max_polyphony or len(VOICES)
        silence = promises.max_silence_quarters
        self._longest = (
            _FOREVER if silence is None else int(silence * STEPS_PER_QUARTER + _ROUNDING)
        )
        self._make_masks(representation, promises, metre)

    def _make_masks(
        self, representation: FourVoiceGrid, promises: Promises, metre: TimeSignature
    ) -> None:
        """Lay out, for each step of a turn of the chord line, the four voices' masks."""
        size, lowest = representation.vocabulary.size, representation.lowest
        self._only_rest = np.zeros(size, dtype=bool)
        self._only_rest[self._rest] = True
        voices = [track_mask(promises, name) for name in VOICES]
        by_chord: dict[object, tuple[list[Mask], Mask]] = {}
        for chord in (None, *promises.chords):
            tones = np.ones(128, bool) if chord is None else class_mask(chord.pitch_classes)
            masks = []
            for name, voice in zip(VOICES, voices, strict=True):
                mask = np.zeros(size, dtype=bool)
                mask[: self._rest] = (voice & tones)[lowest : representation.highest + 1]
                if not mask.any():
                    what = "promised pitch" if chord is None else f"note of {chord}"
                    raise CannotBeMet(
                        f"{name} has no {what} in its range and the model's "
                        f"({lowest}..{representation.highest}); widen the range"
                    )
                masks.append(mask | self._only_rest)
            by_chord[chord] = (masks, masks[-1] & ~self._only_rest)
        strong = strong_beats(metre, STEPS_PER_QUARTER)
        turn = [
            by_chord[chord if step in strong else None]
            for chord in promises.chords or (None,)
            for step in range(representation.steps_per_bar)
        ]
        self._free = [masks for masks, _ in turn]
        self._bass_sounds = [mask for _, mask in turn]

    def voice_mask(self, step: int, voice: int) -> Mask:
        """Return (V,): what a voice may say at a step that counts from the first promised bar."""
        return self._free[step % len(self._free)][voice]

    def room_above(self, sounding: int) -> int:
        """Return how many voices above the bass may sound besides those that do."""
        return max(1, self._most - 1) - sounding

    def begin(self) -> GridState:
        """Return the state before the first token."""
        return GridState()

    def allowed(self, state: GridState) -> Mask:
        """Return (V,): which tokens may come next."""
        tokens, sounding, silent = state
        # Four tokens a step, from soprano to bass.
        step, voice = (tokens >> 2) % len(self._free), tokens & 3
        # Room is kept for the bass: where fewer than four may sound, an inner voice rests.
        most = self._most if voice == 3 else max(1, self._most - 1)
        if tokens < 0 or sounding >= most:
            return self._only_rest
        if voice == 3 and not sounding and silent >= self._longest:
            return self._bass_sounds[step]
        return self._free[step][voice]

    def advance(self, state: GridState, token: int) -> GridState:
        """Return the state after ``token``."""
        tokens, sounding, silent = state
        sounding += token < self._rest
        if tokens & 3 != 3:
            return GridState(tokens + 1, sounding, silent)
        return GridState(tokens + 1, 0, 0 if sounding or tokens < 0 else silent + 1)

    def after_prompt(self, state: GridState) -> GridState:
        """Return the state in which all promises start again at the next bar line."""
        # Below 0: rests up to the bar line; the promises count from token 0 on.
        return GridState(-(-state.tokens % self._bar_tokens))

    def written(self, state: GridState, token: int) -> int:
        """Return the token itself."""
        return token

    def is_done(self, state: GridState) -> bool:
        """Return whether the last promised bar is full."""
        return state.tokens >= self._end

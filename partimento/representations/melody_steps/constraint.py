"""Promises on melody steps: one token a step, a pitch or a rest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from partimento.errors import CannotBeMet, NotSupported
from partimento.music import Promises
from partimento.music.chords import Chord
from partimento.music.timeline import strong_beats
from partimento.representations.constraint import Mask
from partimento.representations.melody_steps.tokens import MelodySteps
from partimento.representations.pitches import check_track_names, class_mask, track_mask

__all__ = ["MelodyConstraint", "MelodyState"]

_FOREVER = 1 << 60
_ROUNDING = 1e-9


class MelodyState(NamedTuple):
    """Where a melody stands.

    ``steps`` counts from the first promised bar (below zero: what the prompt's last bar lacks),
    ``silent`` the silent steps before it.
    """

    steps: int = 0
    silent: int = 0


class MelodyConstraint:
    """All promises on ``MelodySteps``; the one track is Melody.

    Exactly ``steps_per_bar`` tokens a bar; without ``bars`` there is no end. A prompt that stops
    inside a bar is filled up with rests to the bar line.

    Raises:
        NotSupported: if the metre is not the representation's (``with_metre``), or a range names
            another track.
        CannotBeMet: if no pitch is left.
    """

    def __init__(self, representation: MelodySteps, promises: Promises) -> None:
        check_track_names(promises, ("Melody",))
        asked, metre = promises.time_signature, representation.metre
        if asked is not None and str(asked) != str(metre):
            raise NotSupported(
                f"these steps have bars of {metre}, not {asked}; make them with "
                "MelodySteps.with_metre"
            )
        self._bar = representation.steps_per_bar
        self._end = _FOREVER if promises.bars is None else promises.bars * self._bar
        silence = promises.max_silence_quarters
        per_quarter = representation.steps_per_quarter
        self._longest = _FOREVER if silence is None else int(silence * per_quarter + _ROUNDING)
        self._only_rest = np.zeros(representation.vocabulary.size, dtype=bool)
        self._only_rest[representation.rest_token] = True
        strong = strong_beats(metre, per_quarter)
        self._sounding = [
            self._pitches(representation, promises, chord if step in strong else None)
            for chord in promises.chords or (None,)
            for step in range(self._bar)
        ]
        self._free = [mask | self._only_rest for mask in self._sounding]

    def _pitches(
        self, representation: MelodySteps, promises: Promises, chord: Chord | None
    ) -> Mask:
        """Return (V,): which pitches may sound, those of the chord alone if there is one."""
        tones = track_mask(promises, "Melody")
        if chord is not None:
            tones = tones & class_mask(chord.pitch_classes)
        mask = np.zeros(representation.vocabulary.size, dtype=bool)
        lowest, highest = representation.lowest, representation.highest
        mask[: representation.rest_token] = tones[lowest : highest + 1]
        if not mask.any():
            what = "promised pitch" if chord is None else f"note of {chord}"
            raise CannotBeMet(
                f"Melody has no {what} in its range and the model's ({lowest}..{highest}); "
                "widen the range"
            )
        return mask

    def begin(self) -> MelodyState:
        """Return the state before the first token."""
        return MelodyState()

    def allowed(self, state: MelodyState) -> Mask:
        """Return (V,): which tokens may come next."""
        steps, silent = state
        if steps < 0:
            return self._only_rest
        masks = self._sounding if silent >= self._longest else self._free
        return masks[steps % len(masks)]

    def advance(self, state: MelodyState, token: int) -> MelodyState:
        """Return the state after ``token``."""
        steps, silent = state
        is_silent = steps >= 0 and bool(self._only_rest[token])
        return MelodyState(steps + 1, silent + 1 if is_silent else 0)

    def after_prompt(self, state: MelodyState) -> MelodyState:
        """Return the state in which all promises start again at the next bar line."""
        return MelodyState(-(-state.steps % self._bar))

    def written(self, state: MelodyState, token: int) -> int:
        """Return the token itself."""
        return token

    def is_done(self, state: MelodyState) -> bool:
        """Return whether the last promised bar is full."""
        return state.steps >= self._end

"""Performance events: the 388 tokens of Performance RNN and Music Transformer.

128 NOTE_ON, 128 NOTE_OFF, 100 TIME_SHIFT (1..100 steps of 10 ms) and 32 VELOCITY (bins of four),
as Oore et al. 2018 (arXiv 1808.03715) and Huang et al. 2018 (arXiv 1809.04281) have them, then a
start and an end token. Time is in seconds, so bars, metre and tempo are not held: a decoded score
is at 120 quarters a minute with 500 ticks a quarter, that is one tick a millisecond.

All pitched tracks become one piano track; drums are left out. The sustain pedal is written into
the notes as Magenta does it: a note that ends while its track's pedal is down sounds on until the
pedal comes up or the same key is struck again. At one step, offs come before ons. A note that is
struck again while it sounds ends there; of several notes struck at the same step on one key the
longest stays.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from partimento.music import Note, Score, Tempo, Timeline, TimeSignature, Track
from partimento.representations.base import Tokens, Vocabulary

__all__ = ["MAX_SHIFT", "STEPS_PER_SECOND", "PerformanceEvents", "PerformanceEventsWalk"]

STEPS_PER_SECOND = 100
MAX_SHIFT = 100
_TICKS_PER_QUARTER = 500  # at 120 quarters a minute a tick is a millisecond
_STEP_TICKS = 10
_QUARTERS_PER_MINUTE = 120.0
_VELOCITY_STEP = 4
_DEFAULT_VELOCITY = 80 // _VELOCITY_STEP
_Sounding = tuple[int, int, int, int]  # onset step, pitch, end step, velocity bin


class PerformanceEventsWalk:
    """Nothing is known of a token but the tokens before it."""

    def features(self) -> tuple[int, ...]:
        """Return no features."""
        return ()

    def push(self, token: int) -> None:
        """Take the next token in."""


class PerformanceEvents:
    """Scores as played on one piano, in steps of 10 ms."""

    feature_sizes: tuple[int, ...] = ()
    tokens_per_step: int = 1
    pitch_span: slice | None = None
    hidden_features: int = 0

    def __init__(self) -> None:
        self.vocabulary = Vocabulary(
            {
                "note_on": 128,
                "note_off": 128,
                "time_shift": MAX_SHIFT,
                "velocity": 128 // _VELOCITY_STEP,
                "start": 1,
                "end": 1,
            }
        )
        self.start_token = self.vocabulary.first("start")
        self.end_token: int | None = self.vocabulary.first("end")
        self._off = self.vocabulary.first("note_off")
        self._shift = self.vocabulary.first("time_shift")
        self._velocity = self.vocabulary.first("velocity")

    def spec(self) -> dict[str, Any]:
        """Return what makes this representation again."""
        return {"name": "performance_events"}

    def text(self, tokens: Iterable[int]) -> str:
        """Return tokens as words: ``VELOCITY_80 NOTE_ON_60 TIME_SHIFT_50 NOTE_OFF_60 END``."""
        words = []
        for token in tokens:
            kind, index = self.vocabulary.name_of(int(token))
            value = {"time_shift": index + 1, "velocity": index * _VELOCITY_STEP}.get(kind, index)
            words.append(kind.upper() if kind in ("start", "end") else f"{kind.upper()}_{value}")
        return " ".join(words)

    def encode(self, score: Score) -> Tokens:
        """Return the tokens of a score, the end token last; silence at the end is not held."""
        events: list[tuple[int, int, int, int]] = []  # step, 0 off / 1 on, pitch, velocity
        for onset, pitch, end, velocity in self._notes(score):
            events.append((onset, 1, pitch, velocity))
            events.append((end, 0, pitch, 0))
        events.sort()
        tokens: list[int] = []
        now, loud = 0, -1
        for step, is_on, pitch, velocity in events:
            while now < step:
                shift = min(step - now, MAX_SHIFT)
                tokens.append(self._shift + shift - 1)
                now += shift
            if not is_on:
                tokens.append(self._off + pitch)
                continue
            if velocity != loud:
                loud = velocity
                tokens.append(self._velocity + velocity)
            tokens.append(pitch)
        tokens.append(self.vocabulary.first("end"))
        return np.array(tokens, dtype=np.int64)

    def _notes(self, score: Score) -> list[_Sounding]:
        """Return the notes in steps, pedal written in, one at a time on each key; sorted."""
        timeline = Timeline(score)
        latest: dict[tuple[int, int], tuple[int, int]] = {}
        for track in score.tracks:
            if track.is_drum or not track.notes:
                continue
            onsets = np.array([note.onset_ticks for note in track.notes], dtype=np.int64)
            ends = np.array(_pedalled(track), dtype=np.int64)
            begin = np.floor(timeline.seconds(onsets) * STEPS_PER_SECOND + 0.5).astype(np.int64)
            until = np.floor(timeline.seconds(ends) * STEPS_PER_SECOND + 0.5).astype(np.int64)
            until = np.maximum(until, begin + 1)
            for note, onset, end in zip(track.notes, begin.tolist(), until.tolist(), strict=True):
                sound = (end, note.velocity // _VELOCITY_STEP)
                key = (note.pitch, onset)
                latest[key] = max(latest.get(key, sound), sound)
        struck = sorted((pitch, onset, *sound) for (pitch, onset), sound in latest.items())
        notes = []
        for i, (pitch, onset, end, velocity) in enumerate(struck):
            if i + 1 < len(struck) and struck[i + 1][0] == pitch:
                end = min(end, struck[i + 1][1])
            notes.append((onset, pitch, end, velocity))
        return sorted(notes)

    def quantize(self, score: Score) -> Score:
        """Return the score in steps of 10 ms: one piano, at 120 quarters a minute."""
        return _score(self._notes(score), 0, score.recipe)

    def decode(self, tokens: Tokens | Sequence[int]) -> Score:
        """Return the score of any tokens, up to the first END.

        A NOTE_OFF without its NOTE_ON is ignored, a NOTE_ON of a sounding key ends the note
        before, a note of no length is dropped, and notes that still sound at the end stop there
        (one step after they began at the earliest).
        """
        notes: list[_Sounding] = []
        sounding: dict[int, tuple[int, int]] = {}
        now, loud = 0, _DEFAULT_VELOCITY
        first_end = self.vocabulary.first("end")
        for token in np.asarray(tokens, dtype=np.int64).tolist():
            if token < self._shift:
                pitch = token % 128
                before = sounding.pop(pitch, None)
                if before is not None and now > before[0]:
                    notes.append((before[0], pitch, now, before[1]))
                if token < self._off:
                    sounding[pitch] = (now, loud)
            elif token < self._velocity:
                now += token - self._shift + 1
            elif token < self.start_token:
                loud = token - self._velocity
            elif token == first_end:
                break
        for pitch, (onset, velocity) in sounding.items():
            notes.append((onset, pitch, max(now, onset + 1), velocity))
        return _score(sorted(notes), now)

    def features(self, tokens: Tokens) -> npt.NDArray[np.int64]:
        """Return (n, 0): there are no features."""
        return np.zeros((len(tokens), 0), dtype=np.int64)

    def walk(self) -> PerformanceEventsWalk:
        """Return a walk, which knows nothing."""
        return PerformanceEventsWalk()

    def transposed(self, tokens: Tokens, semitones: int) -> Tokens | None:
        """Return the tokens transposed, or None where a pitch would leave 0..127."""
        tokens = np.asarray(tokens, dtype=np.int64)
        moving = tokens < self._shift
        pitches = tokens[moving] % 128 + semitones
        if ((pitches < 0) | (pitches > 127)).any():
            return None
        moved: Tokens = np.where(moving, tokens + semitones, tokens)
        return moved


def _pedalled(track: Track) -> list[int]:
    """Return the tick at which each note of a track ends, the sustain pedal counted."""
    ends = [note.end_ticks for note in track.notes]
    if not track.pedals:
        return ends
    spans: list[list[int]] = []
    for pedal in sorted(track.pedals):
        release = pedal.onset_ticks + pedal.duration_ticks
        if spans and pedal.onset_ticks < spans[-1][1]:
            spans[-1][1] = max(spans[-1][1], release)
        else:
            spans.append([pedal.onset_ticks, release])
    starts = [start for start, _ in spans]
    for i, end in enumerate(ends):
        at = bisect_right(starts, end) - 1
        if at >= 0 and end < spans[at][1]:
            ends[i] = spans[at][1]
    return ends


def _score(notes: list[_Sounding], steps: int, recipe: str = "") -> Score:
    """Return the score of notes in steps; it lasts ``steps`` or to the end of the last note."""
    last = max((end for _, _, end, _ in notes), default=0)
    made = tuple(
        Note(
            onset * _STEP_TICKS,
            pitch,
            (end - onset) * _STEP_TICKS,
            velocity * _VELOCITY_STEP + _VELOCITY_STEP // 2,
        )
        for onset, pitch, end, velocity in notes
    )
    return Score(
        (Track("Piano", made),) if made else (),
        ticks_per_quarter=_TICKS_PER_QUARTER,
        tempos=(Tempo(0, _QUARTERS_PER_MINUTE),),
        time_signatures=(TimeSignature(0, 4, 4),),
        recipe=recipe,
        written_length_ticks=max(last, steps) * _STEP_TICKS,
    )

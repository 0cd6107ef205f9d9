"""What a moment of produced sound is asked to be: chord, beat, density, loudness, tempo.

A guide has six numbers a frame, NaN where nothing is asked:

=========  =============================================================================
chord      ``12 * q + root``, q the place in ``GUIDE_QUALITIES``
beat       place in beats; whole numbers are on the beat
density    onsets a second / 8
loudness   (dBFS + 60) / 60
tempo      (beats a minute - 60) / 120
bar        place in bars; whole numbers are bar lines
=========  =============================================================================

`guide_numbers` makes of it what a network of sound is given, `guide_features` what a language model
of tokens is given (0 is unknown in each).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from partimento.analysis.chords import beat_onsets, recognise_beats
from partimento.music import Chord, Score, Timeline
from partimento.music.chords import QUALITIES
from partimento.representations.sound_conditions import (
    density_condition,
    loudness_condition,
    tempo_condition,
)

__all__ = [
    "BARE",
    "FEATURE_SIZES",
    "GUIDE",
    "GUIDE_QUALITIES",
    "NUMBERS",
    "Asked",
    "asked_guide",
    "chord_fit",
    "chord_index",
    "guide_features",
    "guide_numbers",
    "score_guide",
]

GUIDE = ("chord", "beat", "density", "loudness", "tempo", "bar")
GUIDE_QUALITIES = ("", "m", "7", "m7", "dim", "m7b5", "maj7", "sus4", "aug")
# Qualities that are not told apart here, and what each is taken for.
_TAKEN_FOR = {
    "mmaj7": "m", "dim7": "dim", "aug7": "aug", "6": "", "m6": "m", "sus2": "sus4", "7sus4": "sus4",
    "9": "7", "maj9": "maj7", "m9": "m7", "add9": "", "7b9": "7", "7b5": "7", "11": "7", "13": "7",
    "5": "",
}  # fmt: skip
_CHORDS = 12 * len(GUIDE_QUALITIES)
_STEPS = 8  # of a feature's scale
NUMBERS = 12 + 12 + 1 + 3 + 2 + 2 + 2 + 3
FEATURE_SIZES = (_CHORDS + 1, _STEPS + 1, _STEPS + 1, _STEPS + 1, 5)
BARE = "nothing is asked"

F32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


def chord_index(chord: Chord) -> int:
    """Return the number of a chord in a guide; its bass is not kept."""
    quality = _TAKEN_FOR.get(chord.quality, chord.quality)
    return 12 * GUIDE_QUALITIES.index(quality) + chord.root


def score_guide(score: Score, frames: int, frame_seconds: float, loudness: F32) -> F32:
    """Return (frames, 6) of a score; ``loudness`` (frames,) is that of its sound.

    Chords are recognised beat by beat (``analysis.chords``); a beat without notes has none. The
    density is that of onsets in two seconds, those struck together counted once.
    """
    timeline = Timeline(score)
    middles = (np.arange(frames) + 0.5) * frame_seconds
    ticks = timeline.ticks(middles)
    out = np.full((frames, len(GUIDE)), np.nan, dtype=np.float32)
    onsets = beat_onsets(score)
    found = [np.nan if c is None else chord_index(c) for c in recognise_beats(score)]
    at = np.clip(np.searchsorted(onsets, ticks, side="right") - 1, 0, len(onsets) - 1)
    is_inside = ticks < timeline.bars[-1].end_ticks
    out[:, 0] = np.where(is_inside, np.array(found, dtype=np.float64)[at], np.nan)
    ends = np.append(onsets, timeline.bars[-1].end_ticks).astype(np.float64)
    lengths = np.diff(ends)
    out[:, 1] = at + (ticks - onsets[at]) / lengths[at]
    struck = {n.onset_ticks for track in score.tracks for n in track.notes}
    times = np.sort(timeline.seconds(np.array(sorted(struck), dtype=np.float64)))
    low, high = np.maximum(middles - 1, 0), np.minimum(middles + 1, frames * frame_seconds)
    counts = np.searchsorted(times, high) - np.searchsorted(times, low)
    out[:, 2] = density_condition(counts / np.maximum(high - low, frame_seconds))
    out[:, 3] = loudness
    starts = timeline.seconds(ends)
    out[:, 4] = tempo_condition(60.0 / np.maximum(np.diff(starts)[at], 1e-3))
    bars = np.array([bar.onset_ticks for bar in timeline.bars], dtype=np.float64)
    where = np.clip(np.searchsorted(bars, ticks, side="right") - 1, 0, len(bars) - 1)
    spans = np.array([bar.length_ticks for bar in timeline.bars], dtype=np.float64)
    out[:, 5] = where + (ticks - bars[where]) / spans[where]
    return out


@dataclass(frozen=True)
class Asked:
    """What is asked of sound that no score leads: bars of ``beats`` beats, a chord for each.

    ``chords`` come round again after the last; None in it, or none at all, leaves a bar free.
    """

    tempo: float = 100.0
    beats: int = 4
    chords: Sequence[Chord | None] = ()
    density: float | None = None
    loudness: float | None = None


def asked_guide(asked: Asked, start_beats: float, frames: int, frame_seconds: float) -> F32:
    """Return (frames, 6); the first frame begins ``start_beats`` beats after the first bar line."""
    out = np.full((frames, len(GUIDE)), np.nan, dtype=np.float32)
    beats = start_beats + (np.arange(frames) + 0.5) * frame_seconds * asked.tempo / 60
    out[:, 1] = beats
    out[:, 5] = beats / asked.beats
    out[:, 4] = tempo_condition(asked.tempo)
    if asked.density is not None:
        out[:, 2] = density_condition(asked.density)
    if asked.loudness is not None:
        out[:, 3] = loudness_condition(asked.loudness)
    if asked.chords:
        numbers = [np.nan if c is None else float(chord_index(c)) for c in asked.chords]
        bar = np.floor(beats / asked.beats).astype(np.int64) % len(numbers)
        out[:, 0] = np.array(numbers)[bar]
    return out


def guide_numbers(guide: F32) -> F32:
    """Return (n, NUMBERS) of a guide (n, 6), finite, each group 0 where it is not asked.

    Chord tones, root and whether there is a chord; cosine and sine of the beat and whether there
    is one; density, loudness and tempo, each with whether it is asked; the bar as the beat.
    """
    given = np.isfinite(guide)
    safe = np.where(given, guide, 0).astype(np.float32)
    chord = safe[:, 0].astype(np.int64)
    table = np.zeros((_CHORDS, 24), dtype=np.float32)
    for q, quality in enumerate(GUIDE_QUALITIES):
        for root in range(12):
            for step in QUALITIES[quality]:
                table[12 * q + root, (root + step) % 12] = 1
            table[12 * q + root, 12 + root] = 1
    has = given.astype(np.float32)
    beat, bar = 2 * np.pi * safe[:, 1], 2 * np.pi * safe[:, 5]
    out = np.concatenate(
        [
            table[chord] * has[:, :1],
            has[:, :1],
            np.stack([np.cos(beat), np.sin(beat)], axis=1) * has[:, 1:2],
            has[:, 1:2],
            *(np.stack([safe[:, at], has[:, at]], axis=1) for at in (2, 3, 4)),
            np.stack([np.cos(bar), np.sin(bar)], axis=1) * has[:, 5:],
            has[:, 5:],
        ],
        axis=1,
    )
    return out.astype(np.float32)


def chord_fit(guide: F32, middles: F32) -> F32:
    """Return (n, K): how well clusters (K, 25) of semantic features fit the chords of a guide.

    The chord's share of the pitch classes, -1 to 1, and half as much for the root in the bass; 0
    where no chord is asked.
    """
    told = guide_numbers(guide)
    tones, root, given = told[:, :12], told[:, 12:24], told[:, 24:25]
    classes, bass = middles[:, :12], middles[:, 12:24]
    shares = classes / np.maximum(classes.sum(axis=1, keepdims=True), 1e-6)
    low = bass / np.maximum(bass.sum(axis=1, keepdims=True), 1e-6)
    out: F32 = (given * (2 * (tones @ shares.T) - 1 + 0.5 * (root @ low.T))).astype(np.float32)
    return out


def guide_features(guide: F32) -> Ints:
    """Return (n, 5) of a guide (n, 6): chord, beat, density, tempo and bar, 0 where not asked."""
    given = np.isfinite(guide)
    safe = np.where(given, guide, 0).astype(np.float64)
    beat = np.floor((safe[:, 1] % 1) * _STEPS)
    levels = [np.clip(np.floor(safe[:, at] * _STEPS), 0, _STEPS - 1) for at in (2, 4)]
    quarter = np.floor((safe[:, 5] % 1) * 4)
    columns = np.stack([safe[:, 0], beat, *levels, quarter], axis=1).astype(np.int64) + 1
    out: Ints = columns * given[:, [0, 1, 2, 4, 5]]
    return out

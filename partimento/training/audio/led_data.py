"""Clips for sound that tokens lead: latents, semantic features, guides, traits, and their batches.

What is known of each latent is one row of ``DESCRIBED`` numbers, which shards of sound keep:

======  ======================================================================
0..5    the guide (``representations/guides.py``); NaN is not known
6..30   semantic features by ear (``representations/semantics.py``)
31..55  the same from the score; NaN where there is none
56      place of the instruments in ``words.FAMILIES``, -1 is not known
57      1 in a minor key, 0 in a major one, NaN is not known
======  ======================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from partimento.analysis.keys import estimate_key
from partimento.music import Score
from partimento.representations.guides import GUIDE, GUIDE_QUALITIES, score_guide
from partimento.representations.semantics import (
    FEATURES,
    nearest,
    score_features,
    sound_features,
    transposed_features,
)
from partimento.representations.sound_conditions import (
    NEUTRAL_TEMPO,
    loudness_condition,
    tempo_condition,
)
from partimento.representations.words import FAMILIES, Traits
from partimento.training.audio.conditions import conditions_of_sound, sound_level

__all__ = [
    "DESCRIBED",
    "Crops",
    "LedClip",
    "LedSet",
    "centres_of",
    "described_score",
    "described_sound",
    "hidden",
    "kmeans",
    "style_is_told",
    "traits_of",
]

_GUIDE, _HEARD, _SCORE = len(GUIDE), len(GUIDE) + FEATURES, len(GUIDE) + 2 * FEATURES
DESCRIBED = _SCORE + 2
_HIDDEN = {0: 0.3, 1: 0.2, 2: 0.4, 3: 0.4, 4: 0.3, 5: 0.3}  # how often a column is not told
_HIDDEN_STYLE = 0.2
_ROUNDS = 12  # of k-means
_MOST_ROWS = 40_000

F32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


def described_score(score: Score, samples: F32, sample_rate_hz: int, latent_samples: int) -> F32:
    """Return (latents, 58) of a score and its sound (2, latents * latent_samples)."""
    frames, seconds = samples.shape[1] // latent_samples, latent_samples / sample_rate_hz
    loudness = loudness_condition(sound_level(samples, sample_rate_hz, latent_samples))
    key = estimate_key(score)
    programs = [track.program for track in score.tracks if not track.is_drum and track.notes]
    names = [name for p in programs[:1] for name, (span, _) in FAMILIES.items() if p in span]
    family = list(FAMILIES).index(names[0]) if names else -1
    minor = np.nan if key is None else float(key.is_minor)
    return np.concatenate(
        [
            score_guide(score, frames, seconds, loudness.astype(np.float32)),
            sound_features(samples, sample_rate_hz, latent_samples),
            score_features(score, frames, seconds),
            np.broadcast_to(np.array([family, minor], np.float32), (frames, 2)),
        ],
        axis=1,
    ).astype(np.float32)


def described_sound(samples: F32, sample_rate_hz: int, latent_samples: int) -> F32:
    """Return (latents, 58) of a recording by ear; chords, instruments and key are not known."""
    told = conditions_of_sound(samples, sample_rate_hz, latent_samples)
    guide = np.full((len(told), len(GUIDE)), np.nan, dtype=np.float32)
    guide[:, 2:4] = told[:, :2]
    if np.any(told[:, 3:5]):
        guide[:, 4] = told[:, 2]
        phase = np.unwrap(np.arctan2(told[:, 4], told[:, 3])) / (2 * np.pi)
        guide[:, 1] = phase - np.floor(phase[0])
    nothing = np.full((len(told), FEATURES + 2), np.nan, dtype=np.float32)
    nothing[:, FEATURES] = -1
    heard = sound_features(samples, sample_rate_hz, latent_samples)
    return np.concatenate([guide, heard, nothing], axis=1)


@dataclass(frozen=True, eq=False)
class LedClip:
    """One clip: latents (n, C), standardised, and what is known of each (n, 58)."""

    name: str
    latents: F32 = field(repr=False)
    described: F32 = field(repr=False)

    @property
    def guide(self) -> F32:
        """(n, 6)."""
        return self.described[:, :_GUIDE]

    @property
    def heard(self) -> F32:
        """Semantic features by ear (n, 25)."""
        return self.described[:, _GUIDE:_HEARD]

    @property
    def written(self) -> F32 | None:
        """Semantic features from the score (n, 25), if there is one."""
        part = self.described[:, _HEARD:_SCORE]
        return None if np.isnan(part).any() else part

    @property
    def traits(self) -> Traits:
        """What captions are made of."""
        return traits_of(self.described)


def traits_of(described: F32) -> Traits:
    """Return the traits of rows (n, 58): the middle values of what is known."""
    family, minor = described[0, _SCORE:]

    def middle(column: int) -> float | None:
        known = described[np.isfinite(described[:, column]), column]
        return float(np.median(known)) if len(known) else None

    density, loudness, tempo = middle(2), middle(3), middle(4)
    if (
        tempo is not None
        and abs(tempo - float(tempo_condition(NEUTRAL_TEMPO))) < 1e-6
        and family < 0
    ):
        tempo = None
    return Traits(
        family=list(FAMILIES)[int(family)] if family >= 0 else None,
        beats_per_minute=None if tempo is None else 60 + 120 * tempo,
        is_minor=None if np.isnan(minor) else bool(minor),
        onsets_per_second=None if density is None else 8 * density,
        dbfs=None if loudness is None else 60 * loudness - 60,
    )


@dataclass(frozen=True)
class Crops:
    """A batch of crops: latents (B, L, C), tokens (B, L), guides (B, L, 6), described rows."""

    latents: F32
    tokens: Ints
    guides: F32
    clips: list[LedClip]
    starts: list[int]


class LedSet:
    """The clips of one split, to be drawn from."""

    def __init__(self, clips: Sequence[LedClip]) -> None:
        self.clips = tuple(clips)
        self._lengths = np.array([len(clip.described) for clip in self.clips])

    def crops(
        self,
        draw: np.random.Generator,
        count: int,
        length: int,
        centres: F32,
        transpose: bool = False,
    ) -> Crops:
        """Return ``count`` crops; with ``transpose`` their features are in any key.

        Half of the tokens are those of the score, where there is one. Short clips are repeated.
        Latents go with a key, so they are of no use where it is changed.
        """
        chance = self._lengths / self._lengths.sum()
        chosen = draw.choice(len(self.clips), size=count, p=chance)
        latents, tokens, guides, starts = [], [], [], []
        for index in chosen:
            clip = self.clips[index]
            start = int(draw.integers(max(1, len(clip.described) - length + 1)))
            rows = (start + np.arange(length)) % len(clip.described)
            written = clip.written
            source = clip.heard if written is None or draw.random() < 0.5 else written
            features, guide = source[rows], clip.guide[rows].copy()
            if transpose:
                semitones = int(draw.integers(12))
                features = transposed_features(features, semitones)
                guide = _transposed(guide, semitones)
            latents.append(clip.latents[rows])
            tokens.append(nearest(features, centres))
            guides.append(guide)
            starts.append(start)
        return Crops(
            np.stack(latents), np.stack(tokens), np.stack(guides),
            [self.clips[at] for at in chosen], starts,
        )  # fmt: skip


def hidden(guides: F32, draw: np.random.Generator) -> F32:
    """Return guides (B, L, 6) of which columns are not told, each by its own chance."""
    out = guides.copy()
    for column, chance in _HIDDEN.items():
        out[draw.random(len(out)) < chance, :, column] = np.nan
    return out


def style_is_told(draw: np.random.Generator, count: int) -> npt.NDArray[np.bool_]:
    """Return (B,): whether the words or the sound's embedding lead a row."""
    return draw.random(count) >= _HIDDEN_STYLE


def _transposed(guide: F32, semitones: int) -> F32:
    out = guide.copy()
    chord = guide[:, 0]
    out[:, 0] = 12 * (chord // 12) + (chord % 12 + semitones) % 12
    assert not np.nanmax(out[:, 0], initial=0.0) >= 12 * len(GUIDE_QUALITIES)
    return out


def centres_of(sets: LedSet, count: int, rng: np.random.Generator) -> F32:
    """Return ``count`` centres (K, 25) of the features by ear and from scores, in every key.

    k-means (Lloyd 1982), begun at rows that are drawn; a centre without rows moves to the row that
    is farthest from its own.
    """
    rows = [part for clip in sets.clips for part in (clip.heard, clip.written) if part is not None]
    whole = np.concatenate(rows).astype(np.float32)
    chosen = whole[rng.choice(len(whole), size=min(_MOST_ROWS, len(whole)), replace=False)]
    keys = rng.integers(12, size=len(chosen))
    points = np.concatenate([transposed_features(chosen[keys == k], k) for k in range(12)])
    return kmeans(points, count, rng)


def kmeans(points: F32, count: int, rng: np.random.Generator, rounds: int = _ROUNDS) -> F32:
    """Return (count, D) centres of points (n, D)."""
    centres = points[rng.choice(len(points), size=count, replace=len(points) < count)].copy()
    for _ in range(rounds):
        which = nearest(points, centres)
        sums = np.zeros_like(centres)
        np.add.at(sums, which, points)
        sizes = np.bincount(which, minlength=count)
        full = sizes > 0
        centres[full] = sums[full] / sizes[full, None]
        if not full.all():
            far = ((points - centres[which]) ** 2).sum(axis=1).argsort()[::-1]
            centres[~full] = points[far[: int((~full).sum())]]
    return centres

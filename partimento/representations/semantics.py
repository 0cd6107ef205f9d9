"""Features of what is played, from sound or from a score, whose clusters are semantic tokens.

In MeLoDy (Lam et al. 2023, arXiv 2305.15719) tokens are clusters of Wav2Vec2-Conformer features;
here features are made by hand, so that a score has them as well. 25 numbers a frame:

=======  ==========================================================================================
0..11    chroma: how strong each pitch class is (100 to 5,000 Hz), C first; length 1, silence 0
12..23   the same of the bass (40 to 300 Hz), times ``BASS_WEIGHT``
24       onset: how much begins in the frame, 0..1, times ``ONSET_WEIGHT``
=======  ==========================================================================================

Loudness and timbre are left out: they say how it sounds, and that is for the words. A frame is one
latent of the codec long and its features are those about its middle.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from partimento.analysis.audio import onset_strength
from partimento.analysis.stft import short_time_spectra
from partimento.music import Score, Timeline

__all__ = [
    "BASS_WEIGHT",
    "FEATURES",
    "ONSET_WEIGHT",
    "nearest",
    "score_features",
    "sound_features",
    "transposed_features",
]

FEATURES = 25
BASS_WEIGHT, ONSET_WEIGHT = 0.7, 0.5
_HIGH, _LOW = (8192, 100.0, 5000.0), (16384, 40.0, 300.0)  # window, lowest and highest Hz
_SILENCE = 1e-3  # amplitude of a sine: -60 dBFS
_POWER = 0.5  # of a score's amplitudes: of a mix the ear has soft tones nearly as loud as others
_FULL_ONSET = 0.5  # nepers of onset strength
_PARTIALS = 6
_PARTIAL_DECAY = 0.7  # of amplitudes, from one partial of a note to the next
_FADE_SECONDS = 2.5  # in which a held note of the score loses 1 neper: between piano and organ
_RELEASE_SECONDS = 0.15

F32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.floating[Any]]


@lru_cache(maxsize=8)
def _classes(rate: int, size: int, low: float, high: float) -> F32:
    """Return (bins, 12): how much of each bin belongs to each pitch class."""
    hz = np.arange(size // 2 + 1) * (rate / size)
    heard = (hz >= low) & (hz <= high)
    pitch = 69 + 12 * np.log2(np.where(heard, hz, 440.0) / 440.0)
    apart = (pitch - np.arange(12)[:, None] + 6) % 12 - 6
    out: F32 = (np.maximum(0, 1 - np.abs(apart)) * heard).T.astype(np.float32)
    out.flags.writeable = False
    return out


def sound_features(samples: F32, sample_rate_hz: int, frame_samples: int) -> F32:
    """Return (n, 25) of samples (C, N), n = N // frame_samples, by ear."""
    mono = samples.mean(axis=0, keepdims=True, dtype=np.float32)
    frames = samples.shape[1] // frame_samples
    parts = []
    for size, low, high in (_HIGH, _LOW):
        spectra = short_time_spectra(mono, size, frame_samples)[0]
        # Frame t ends with block t: that about the middle of block b is half a window later.
        late = size // (2 * frame_samples)
        sizes = np.abs(spectra[late : late + frames]) * np.float32(4 / size)
        strength = sizes @ _classes(sample_rate_hz, size, low, high)
        # What even the weakest class has is noise and the skirts of the window.
        parts.append(_unit(strength - strength.min(axis=1, keepdims=True), _SILENCE))
    strength, rate = onset_strength(samples, sample_rate_hz)
    at = np.arange(len(strength)) / rate
    which = np.minimum((at * sample_rate_hz / frame_samples).astype(np.int64), max(frames - 1, 0))
    onset = np.zeros(frames, dtype=np.float32)
    if frames:
        np.maximum.at(onset, which, strength)
    return _stack(parts[0], parts[1], onset / np.float32(_FULL_ONSET))


def score_features(score: Score, frames: int, frame_seconds: float) -> F32:
    """Return (frames, 25) of a score: what `sound_features` would hear of it, from its piano roll.

    A note is a few partials that fade; drums count as onsets alone. Repeats are not played out.
    """
    timeline = Timeline(score)
    roll = np.zeros((frames, 128), dtype=np.float32)
    onset = np.zeros(frames, dtype=np.float32)
    for track in score.tracks:
        for note in track.notes:
            start, end = timeline.seconds(
                np.array([note.onset_ticks, note.onset_ticks + note.duration_ticks])
            )
            first = int(start / frame_seconds)
            loud = np.float32((note.velocity / 127) ** 1.5)
            if first < frames:
                onset[first] = max(onset[first], float(loud) ** 0.5)
            if track.is_drum:
                continue
            last = min(frames, int((end + _RELEASE_SECONDS) / frame_seconds) + 1)
            middles = (np.arange(first, last) + 0.5) * frame_seconds
            heard = np.clip((middles - start) / frame_seconds + 0.5, 0, 1)
            heard *= np.exp(-np.maximum(middles - start, 0) / _FADE_SECONDS)
            heard *= np.exp(-np.maximum(middles - end, 0) / (_RELEASE_SECONDS / 2))
            roll[first:last, note.pitch] += heard.astype(np.float32) * loud
    parts = [
        _unit(folded - folded.min(axis=1, keepdims=True), _SILENCE)
        for folded in (_folded(roll, *_HIGH[1:]), _folded(roll, *_LOW[1:]))
    ]
    return _stack(parts[0], parts[1], onset)


def _folded(roll: F32, low_hz: float, high_hz: float) -> F32:
    """Return (frames, 12): pitches (frames, 128) with their partials, as pitch classes."""
    out = np.zeros((len(roll), 12), dtype=np.float32)
    for partial in range(1, _PARTIALS + 1):
        pitches = np.arange(128) + 12 * np.log2(partial)
        hz = 440.0 * 2 ** ((pitches - 69) / 12)
        heard = (hz >= low_hz) & (hz <= high_hz)
        sizes = (roll * np.float32(_PARTIAL_DECAY ** (partial - 1))) ** np.float32(_POWER)
        for pitch in np.flatnonzero(heard):
            out[:, round(pitches[pitch]) % 12] += sizes[:, pitch]
    return out


def transposed_features(features: F32, semitones: int) -> F32:
    """Return the features of the same music so many semitones higher."""
    parts = (features[:, :12], features[:, 12:24])
    moved = [np.roll(part, semitones, axis=1) for part in parts]
    return np.concatenate([*moved, features[:, 24:]], axis=1)


def nearest(features: F32, centres: F32) -> npt.NDArray[np.int64]:
    """Return the token (n,) of each frame: the centre (K, 25) that lies nearest."""
    apart = (centres**2).sum(axis=1) - 2 * features @ centres.T
    out: npt.NDArray[np.int64] = apart.argmin(axis=1)
    return out


def _unit(strength: F32, least: float) -> F32:
    norms = np.linalg.norm(strength, axis=1, keepdims=True)
    out: F32 = np.where(norms > least, strength / np.maximum(norms, least), 0).astype(np.float32)
    return out


def _stack(high: F32, bass: F32, onset: Floats) -> F32:
    last = np.clip(onset, 0, 1)[:, None] * ONSET_WEIGHT
    out: F32 = np.concatenate([high, bass * BASS_WEIGHT, last], axis=1).astype(np.float32)
    return out

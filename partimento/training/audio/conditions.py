"""Conditions of sound to learn from: exactly from its score where there is one, else by ear."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from partimento.analysis.audio import loudness, onset_density, onset_strength, onset_times, tempo
from partimento.music import Score, Timeline
from partimento.representations.sound_conditions import (
    NEUTRAL_TEMPO,
    WINDOW_SECONDS,
    latent_middles,
    stack_conditions,
)

__all__ = ["beat_times", "conditions_of_score", "conditions_of_sound", "sound_level"]

_TOGETHER_SECONDS = 0.03
_EVENNESS = 100.0  # how strongly beats keep the tempo against where onsets are (Ellis 2007)
_LEAST_CONTRAST = 1.5  # onset strength on beats over its mean; below, there is no beat to speak of
_STEP = 1 / 64  # of a beat, over which a score's tempo is taken

Floats = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]


def conditions_of_score(
    score: Score, samples: F32, sample_rate_hz: int, latent_samples: int
) -> F32:
    """Return (latents, 5) of a score and its sound (channels, latents * latent_samples).

    Onsets, tempo and beats are the score's own; a beat is a quarter. Only the level is measured.
    """
    timeline = Timeline(score)
    latents = samples.shape[1] // latent_samples
    times = latent_middles(latents, latent_samples, sample_rate_hz)
    ticks = sorted({note.onset_ticks for track in score.tracks for note in track.notes})
    struck = _apart(timeline.seconds(np.array(ticks, dtype=np.float64)))
    density = onset_density(struck, latents, latent_samples / sample_rate_hz, WINDOW_SECONDS)
    beats = timeline.ticks(times) / score.ticks_per_quarter
    later = timeline.seconds((beats + _STEP) * score.ticks_per_quarter)
    return stack_conditions(
        density,
        sound_level(samples, sample_rate_hz, latent_samples),
        60.0 * _STEP / (later - times),
        beats,
    )


def conditions_of_sound(samples: F32, sample_rate_hz: int, latent_samples: int) -> F32:
    """Return (latents, 5) of a recording (channels, latents * latent_samples), by ear."""
    latents = samples.shape[1] // latent_samples
    times = latent_middles(latents, latent_samples, sample_rate_hz)
    density = onset_density(
        onset_times(samples, sample_rate_hz),
        latents,
        latent_samples / sample_rate_hz,
        WINDOW_SECONDS,
    )
    level = sound_level(samples, sample_rate_hz, latent_samples)
    found = beat_times(samples, sample_rate_hz)
    if len(found) < 2:
        return stack_conditions(density, level, NEUTRAL_TEMPO, None)
    # Before the first and after the last beat the tempo goes on as it was.
    first, last = found[1] - found[0], found[-1] - found[-2]
    before = int(np.ceil(max(0.0, found[0] - times[0]) / first))
    after = int(np.ceil(max(0.0, times[-1] - found[-1]) / last)) + 1
    grid = np.concatenate(
        [
            found[0] - first * np.arange(before, 0, -1),
            found,
            found[-1] + last * np.arange(1, after + 1),
        ]
    )
    beats = np.interp(times, grid, np.arange(len(grid)))
    lengths = np.diff(grid)
    bpm = 60.0 / lengths[np.clip(np.floor(beats).astype(int), 0, len(lengths) - 1)]
    return stack_conditions(density, level, bpm, beats)


def beat_times(samples: F32, sample_rate_hz: int) -> Floats:
    """Return the times of beats in seconds; none where the music has no beat to speak of.

    The best path through onset strengths at the tempo found: a beat is good where much begins,
    and where it is one period after another good one (Ellis 2007, Beat Tracking by Dynamic
    Programming).
    """
    bpm = tempo(samples, sample_rate_hz)
    strength, rate = onset_strength(samples, sample_rate_hz)
    if bpm <= 0 or not np.any(strength):
        return np.zeros(0)
    period = 60.0 * rate / bpm
    x = strength.astype(np.float64) / max(float(strength.std()), 1e-9)
    lags = np.arange(round(period / 2), round(2 * period) + 1)
    penalty = _EVENNESS * np.log(lags / period) ** 2
    score, before = x.copy(), np.full(len(x), -1)
    for at in range(int(lags[0]), len(x)):
        usable = lags[lags <= at]
        gains = score[at - usable] - penalty[: len(usable)]
        best = int(np.argmax(gains))
        if gains[best] > 0:
            score[at] += gains[best]
            before[at] = at - usable[best]
    tail = max(0, len(x) - round(period))
    at = tail + int(np.argmax(score[tail:]))
    path = []
    while at >= 0:
        path.append(at)
        at = int(before[at])
    frames = np.array(path[::-1])
    if x[frames].mean() < _LEAST_CONTRAST * x.mean():
        return np.zeros(0)
    return frames / rate


def _apart(onsets: Floats) -> Floats:
    """Return onsets in order of which those struck together are one."""
    kept: list[float] = []
    for onset in onsets.tolist():
        if not kept or onset - kept[-1] > _TOGETHER_SECONDS:
            kept.append(onset)
    return np.array(kept)


def sound_level(samples: F32, sample_rate_hz: int, latent_samples: int) -> Floats:
    """Return dBFS about the middle of each latent, of the mean power in a Hann window."""
    power = 10.0 ** (loudness(samples, latent_samples).astype(np.float64) / 10)
    reach = round(WINDOW_SECONDS / 2 * sample_rate_hz / latent_samples)
    window = np.hanning(2 * reach + 3)[1:-1]
    middle = slice(reach, reach + len(power))
    shown = np.convolve(np.ones(len(power)), window)[middle]
    out: Floats = 10 * np.log10(np.maximum(np.convolve(power, window)[middle] / shown, 1e-12))
    return out

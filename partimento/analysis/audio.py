"""What is measured in a sound: pitch classes, onsets, tempo, loudness.

Sounds are arrays (channels, samples) in float32. Times are in seconds from the first sample.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from partimento.analysis.stft import mel_matrix, short_time_spectra

__all__ = [
    "SILENCE_DBFS",
    "chroma",
    "chroma_similarity",
    "loudness",
    "onset_density",
    "onset_f",
    "onset_strength",
    "onset_times",
    "tempo",
]

F32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

SILENCE_DBFS = -60.0
_CHROMA_SECONDS, _CHROMA_STEP = 0.2, 0.05
_LOW_HZ, _HIGH_HZ = 100.0, 5_000.0
_ONSET_SECONDS, _BANDS, _RISE = 0.05, 80, 8
_LEAST_RISE = 0.08  # of onset strength: nepers over the mean of its surroundings
_GAP_SECONDS = 0.04


def _power_of_two(seconds: float, rate: int) -> int:
    return int(2 ** round(np.log2(max(seconds * rate, 4))))


def _mono(samples: F32) -> F32:
    out: F32 = samples.mean(axis=0, keepdims=True, dtype=np.float32)
    return out


@lru_cache(maxsize=8)
def _pitch_classes(rate: int, size: int) -> F32:
    """Return (12, bins): how much of each bin belongs to each pitch class; C is 0, A is 440 Hz."""
    hz = np.arange(size // 2 + 1) * (rate / size)
    heard = (hz >= _LOW_HZ) & (hz <= _HIGH_HZ)
    pitch = 69 + 12 * np.log2(np.where(heard, hz, 440.0) / 440.0)
    apart = (pitch - np.arange(12)[:, None] + 6) % 12 - 6
    out: F32 = (np.maximum(0, 1 - np.abs(apart)) * heard).astype(np.float32)
    out.flags.writeable = False
    return out


def chroma(samples: F32, sample_rate_hz: int) -> F32:
    """Return (frames, 12): the strength of each pitch class, C first, some 20 frames a second.

    Each frame has length 1; where nothing sounds (-60 dBFS) it is zero.
    """
    size = _power_of_two(_CHROMA_SECONDS, sample_rate_hz)
    hop = size // 4
    spectra = np.abs(short_time_spectra(_mono(samples), size, hop))[0, : samples.shape[1] // hop]
    out: F32 = spectra @ _pitch_classes(sample_rate_hz, size).T
    norms = np.linalg.norm(out, axis=1, keepdims=True)
    least = 10 ** (SILENCE_DBFS / 20) * size / 4
    heard: F32 = np.where(norms > least, out / np.maximum(norms, least), 0).astype(np.float32)
    return heard


def chroma_similarity(first: F32, second: F32) -> float:
    """Return the mean correlation, -1..1, of two chromas (frames, 12) of one length, by frame.

    Noise, all of whose classes are equal, resembles nothing: 0. A frame where one of the two is
    silent counts 0; where both are, it does not count.
    """
    if first.shape != second.shape:
        raise ValueError(f"chromas of one shape are compared, not {first.shape}, {second.shape}")
    counts = (np.abs(first).sum(axis=1) > 0) | (np.abs(second).sum(axis=1) > 0)
    if not counts.any():
        return 1.0
    one, other = (
        each[counts] - each[counts].mean(axis=1, keepdims=True) for each in (first, second)
    )
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(axis=1) / np.maximum(norms, 1e-9)).mean())


def onset_strength(samples: F32, sample_rate_hz: int) -> tuple[F32, float]:
    """Return (frames,): how much louder the bands grow, in nepers; and how many frames a second.

    Spectral flux: the mean over mel bands of what their logarithms rise by in 46 ms, which is
    long enough for the soft attacks of strings and voices. Frame ``t`` describes the time
    ``t / (frames a second)``, the middle of the rise.
    """
    size = _power_of_two(_ONSET_SECONDS, sample_rate_hz)
    hop = size // 8
    amplitudes = np.abs(short_time_spectra(_mono(samples), size, hop))[0] * np.float32(4 / size)
    bands = mel_matrix(sample_rate_hz, size, _BANDS, 30.0, 16_000.0)
    logs = np.log(amplitudes @ bands.T + np.float32(1e-3))
    rises = np.zeros(len(logs), dtype=np.float32)
    rises[_RISE:] = np.maximum(0, logs[_RISE:] - logs[:-_RISE]).mean(axis=1)
    rises[-(size // hop - 1) :] = 0  # a sound that breaks off is no onset
    # The window of frame t has its middle at (t - 3) hops, the one before it _RISE hops earlier.
    return rises[3 + _RISE // 2 :], sample_rate_hz / hop


def onset_times(samples: F32, sample_rate_hz: int, least_rise: float = _LEAST_RISE) -> Floats:
    """Return the times in seconds at which something new sounds, in order.

    An onset is a peak of `onset_strength` within 30 ms that stands ``least_rise`` above the mean
    of the 100 ms before and 70 ms after; two are at least 40 ms apart.
    """
    strength, rate = onset_strength(samples, sample_rate_hz)
    if not len(strength):
        return np.zeros(0)
    near, before, after = round(0.03 * rate), round(0.1 * rate), round(0.07 * rate)
    around = np.lib.stride_tricks.sliding_window_view(
        np.pad(strength, near, constant_values=-1), 2 * near + 1
    )
    sums = np.concatenate([[0.0], np.cumsum(strength, dtype=np.float64)])
    index = np.arange(len(strength))
    start, stop = np.maximum(index - before, 0), np.minimum(index + after + 1, len(strength))
    means = (sums[stop] - sums[start]) / (stop - start)
    peaks = index[(strength >= around.max(axis=1)) & (strength >= means + least_rise)]
    kept: list[int] = []
    for peak in peaks.tolist():
        if not kept or peak - kept[-1] >= _GAP_SECONDS * rate:
            kept.append(peak)
    return np.array(kept, dtype=np.float64) / rate


def onset_f(found: Floats, true: Floats, tolerance_seconds: float = 0.05) -> float:
    """Return the F-measure of onset times, each matched once at most; 1 where both are empty."""
    if not len(found) and not len(true):
        return 1.0
    mine, theirs = np.sort(found), np.sort(true)
    hits = at = to = 0
    while at < len(mine) and to < len(theirs):
        # Both are in order, so the earliest that can be matched is matched: as many as possible.
        if abs(mine[at] - theirs[to]) <= tolerance_seconds:
            hits, at, to = hits + 1, at + 1, to + 1
        elif mine[at] < theirs[to]:
            at += 1
        else:
            to += 1
    return 2 * hits / (len(mine) + len(theirs))


def onset_density(
    onsets: Floats, blocks: int, block_seconds: float, window_seconds: float = 2.0
) -> F32:
    """Return (blocks,): onsets a second about the middle of each block.

    Onsets are counted in a window of ``window_seconds``, less of it at the ends of the sound.
    """
    times = np.sort(onsets)
    middles = (np.arange(blocks) + 0.5) * block_seconds
    low = np.maximum(middles - window_seconds / 2, 0)
    high = np.minimum(middles + window_seconds / 2, blocks * block_seconds)
    counts = np.searchsorted(times, high) - np.searchsorted(times, low)
    out: F32 = (counts / np.maximum(high - low, block_seconds)).astype(np.float32)
    return out


def tempo(
    samples: F32, sample_rate_hz: int, low_bpm: float = 50.0, high_bpm: float = 220.0
) -> float:
    """Return the beats a minute at which onsets repeat most; 0 where they do not.

    The autocorrelation of `onset_strength`, weighted by a preference for 120 (Ellis 2007): where
    music is even, half and double of the true tempo are common errors.
    """
    strength, rate = onset_strength(samples, sample_rate_hz)
    x = strength.astype(np.float64) - (strength.mean() if len(strength) else 0)
    first, last = int(np.ceil(60 * rate / high_bpm)), int(np.floor(60 * rate / low_bpm))
    if len(x) < 2 * last or not np.any(x):
        return 0.0
    size = 2 ** int(np.ceil(np.log2(2 * len(x))))
    power = np.abs(np.fft.rfft(x, size)) ** 2
    alike = np.fft.irfft(power, size)[: last + 2] / np.arange(len(x), len(x) - last - 2, -1)
    lags = np.arange(first, last + 1)
    weights = np.exp(-0.5 * (np.log2(60 * rate / lags / 120.0) / 0.9) ** 2)
    scores = alike[first : last + 1] * weights
    best = int(np.argmax(scores))
    if scores[best] <= 0:
        return 0.0
    # A parabola through the peak and its neighbours: lags are whole frames, tempi are not.
    left, peak, right = alike[lags[best] - 1 : lags[best] + 2]
    bend = left - 2 * peak + right
    shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
    return float(60 * rate / (lags[best] + np.clip(shift, -0.5, 0.5)))


def loudness(samples: F32, block: int = 4096) -> F32:
    """Return (blocks,): dBFS of the root mean square of each whole block, -120 at the least."""
    channels, length = samples.shape
    whole = samples[:, : length // block * block].reshape(channels, -1, block)
    power = np.square(whole, dtype=np.float64).mean(axis=(0, 2))
    out: F32 = (10 * np.log10(np.maximum(power, 1e-12))).astype(np.float32)
    return out

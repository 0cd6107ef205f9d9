"""Mel-scaled short-time spectra: Hann windows, bands of equal width to the ear.

Framing is causal everywhere: the samples are led by ``size - hop`` zeros, and frame ``t`` ends at
sample ``(t + 1) * hop``, so that it knows nothing of what comes later. The block of samples
``[b * hop, (b + 1) * hop)`` stands in the frames ``b`` to ``b + size // hop - 1``.

The mel scale is that of O'Shaughnessy 1987: ``2595 log10(1 + hz / 700)``.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["Spectra", "hann", "mel_matrix", "short_time_spectra"]

F32 = npt.NDArray[np.float32]
Spectra = npt.NDArray[np.complex64]
_PIECE = 512  # frames transformed at a time, so that long sounds need little memory


@lru_cache(maxsize=16)
def hann(size: int) -> F32:
    """Return the periodic Hann window (size,); it must not be written to."""
    window: F32 = np.square(np.sin(np.pi * np.arange(size) / size)).astype(np.float32)
    window.flags.writeable = False
    return window


def short_time_spectra(samples: F32, size: int, hop: int) -> Spectra:
    """Return the spectra (channels, T + size // hop - 1, size // 2 + 1) of samples (channels, N).

    T is N / hop, rounded up: the last block and both ends are zero-padded. Spectra are
    not scaled: a full sine reaches size / 4.
    """
    channels, length = samples.shape
    blocks, extra = -(-length // hop), size // hop - 1
    before, after = size - hop, blocks * hop - length + extra * hop
    padded = np.pad(samples.astype(np.float32, copy=False), ((0, 0), (before, after)))
    count, window = blocks + extra, hann(size)
    out: Spectra = np.empty((channels, count, size // 2 + 1), dtype=np.complex64)
    if count:
        views = np.lib.stride_tricks.sliding_window_view(padded, size, axis=1)[:, ::hop]
        for at in range(0, count, _PIECE):
            out[:, at : at + _PIECE] = np.fft.rfft(views[:, at : at + _PIECE] * window, axis=2)
    return out


@lru_cache(maxsize=32)
def mel_matrix(
    sample_rate_hz: int, size: int, mels: int, low_hz: float = 20.0, high_hz: float = 20_000.0
) -> F32:
    """Return (mels, size // 2 + 1): the weight of each bin in each band; not to be written to.

    Bands are triangles of height 1, evenly spaced in mel from ``low_hz`` to ``high_hz`` (half the
    rate at most), none narrower than a bin to either side, so that none is deaf.

    Raises:
        ValueError: if there is no band, or they have no width.
    """
    high_hz = min(high_hz, sample_rate_hz / 2)
    if mels < 1 or not 0 <= low_hz < high_hz:
        raise ValueError(f"{mels} bands from {low_hz:g} to {high_hz:g} Hz are no mel scale")
    low, high = (2595 * math.log10(1 + hz / 700) for hz in (low_hz, high_hz))
    corners = 700 * (10 ** (np.linspace(low, high, mels + 2) / 2595) - 1)
    step = sample_rate_hz / size
    bins = np.arange(size // 2 + 1) * step
    middle = corners[1:-1, None]
    rise = (bins - middle) / np.maximum(middle - corners[:-2, None], step)
    fall = (middle - bins) / np.maximum(corners[2:, None] - middle, step)
    out: F32 = np.maximum(0, 1 + np.minimum(rise, fall)).astype(np.float32)
    out.flags.writeable = False
    return out

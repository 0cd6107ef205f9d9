"""A little room: convolution with a synthetic response, in chunks of any length.

A few early reflections, then noise that dies the sooner the higher it is (1.1 s at low, 0.5 s at
high frequencies), different in both ears. The response is drawn from a fixed seed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from partimento.seeds import generator

__all__ = ["Room"]

_SEED = 1701
_SECONDS = 1.1
_PRE_DELAY_SECONDS = 0.012
_LEVEL = 0.19
_REFLECTIONS = ((0.0113, 0.5), (0.0179, -0.42), (0.0237, 0.38), (0.0311, 0.3), (0.0419, -0.26),
                (0.0533, 0.22), (0.0671, 0.18))  # fmt: skip

F32 = npt.NDArray[np.float32]


def _response(rate: int) -> F32:
    """Return the room's answer to a click, (2, frames)."""
    count = int(_SECONDS * rate)
    size = 1 << (count - 1).bit_length()
    hz = np.fft.rfftfreq(size, 1 / rate)
    rng = generator(_SEED)
    time = np.arange(count) / rate
    noise = np.fft.rfft(rng.standard_normal((2, size)))
    out = np.zeros((2, count))
    for centre, ring in ((125, 1.15), (250, 1.1), (500, 1.0), (1000, 0.9), (2000, 0.8),
                         (4000, 0.65), (8000, 0.45)):  # fmt: skip
        away = np.log2(np.maximum(hz, 1.0) / centre)
        shape = np.maximum(0.0, np.cos(np.clip(away, -1, 1) * np.pi / 2))
        level = 1.0 if centre >= 250 else 0.5
        out += level * np.fft.irfft(noise * shape, size)[:, :count] * np.exp(-6.9 * time / ring)
    rise = np.clip((time - _PRE_DELAY_SECONDS) / 0.025, 0, 1)
    out *= rise * np.clip((_SECONDS - time) / 0.1, 0, 1)
    out /= np.sqrt(np.sum(out**2) / 2)
    for side in range(2):
        for seconds, level in _REFLECTIONS:
            late = seconds * (1.0 + 0.09 * side)
            out[side, int(late * rate)] += 0.35 * level
    return (_LEVEL * out).astype(np.float32)


class Room:
    """Adds the room to a mono send; the part still to sound is handed in and out."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._response = _response(sample_rate_hz)
        self._spectra: dict[int, npt.NDArray[np.complex64]] = {}
        self.length = self._response.shape[1]

    def silence(self) -> F32:
        """Return the state of a room in which nothing has sounded, (2, length - 1)."""
        return np.zeros((2, self.length - 1), dtype=np.float32)

    def process(self, send: F32, tail: F32) -> tuple[F32, F32]:
        """Return (2, n) of room for a send of n samples, and the new tail."""
        count = len(send)
        if not np.any(send):
            wet = np.concatenate([tail, np.zeros((2, count), dtype=np.float32)], axis=1)
        else:
            needed = count + self.length - 1
            size = 1 << (needed - 1).bit_length()
            if size not in self._spectra:
                self._spectra[size] = np.fft.rfft(self._response, size).astype(np.complex64)
            wet = np.fft.irfft(np.fft.rfft(send, size) * self._spectra[size], size)[:, :needed]
            wet[:, : self.length - 1] += tail
        return wet[:, :count], wet[:, count:].copy()

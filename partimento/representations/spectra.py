"""Sound as short-time spectra and back, whole or as an endless stream; no weights.

The plain form of the codecs' input and output (``training.nn.spectral`` is the same in torch, held
equal by a test). Framing is causal (see ``music.hearing``): ``N = T * hop`` samples have
``T + size // hop - 1`` frames, of which the last ``size // hop - 1`` also contain silence after the
end. The inverse adds the frames, windowed once more, and divides by the constant sum of the
squared windows (1.5 at four frames a window), which is exact:
``synthesise(analyse(samples)) == samples``.

Streaming: frame ``t`` completes block ``t - (size // hop - 1)``. So what ``overlap_add`` returns
lags behind by ``Framing.lag`` samples, which `synthesise` drops at the start; otherwise a stream
gives the very same floats as the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from partimento.analysis.stft import Spectra, hann, mel_matrix, short_time_spectra

__all__ = [
    "LOG_FLOOR",
    "LOG_SCALE",
    "Framing",
    "Spectra",
    "Tail",
    "analyse",
    "from_log_magnitudes",
    "griffin_lim",
    "left_right",
    "log_magnitudes",
    "mel_matrix",
    "mid_side",
    "overlap_add",
    "overlap_start",
    "synthesise",
]

F32 = npt.NDArray[np.float32]
Tail = npt.NDArray[np.float32]
Channels = TypeVar("Channels", F32, Spectra)

LOG_FLOOR = 1e-3
LOG_SCALE = 7.0
_PIECE = 512  # frames inverted at a time


@dataclass(frozen=True, slots=True)
class Framing:
    """Windows of ``size`` samples, ``hop`` apart: three or more a window, for an exact inverse.

    Raises:
        ValueError: if ``size`` is not a whole number of hops, at least three.
    """

    size: int = 2048
    hop: int = 512

    def __post_init__(self) -> None:
        if self.hop < 1 or self.size % self.hop or self.size < 3 * self.hop or self.size % 2:
            raise ValueError(f"windows of {self.size} samples every {self.hop} have no exact sum")

    @property
    def bins(self) -> int:
        """Frequencies in a frame."""
        return self.size // 2 + 1

    @property
    def overlap(self) -> int:
        """Frames in which a block of ``hop`` samples stands."""
        return self.size // self.hop

    @property
    def lag(self) -> int:
        """Samples by which a stream's sound lags behind its frames."""
        return self.size - self.hop

    @property
    def gain(self) -> float:
        """The constant sum of the squared windows: 3/8 of a window a hop."""
        return 0.375 * self.overlap


def analyse(samples: F32, framing: Framing) -> Spectra:
    """Return the spectra (C, T + size // hop - 1, bins) of samples (C, N); T = N / hop, up."""
    return short_time_spectra(samples, framing.size, framing.hop)


def synthesise(spectra: Spectra, framing: Framing) -> F32:
    """Return the samples (C, T * hop) of spectra (C, T + size // hop - 1, bins), T at least 0."""
    samples, _ = overlap_add(overlap_start(framing, len(spectra)), spectra)
    return samples[:, framing.lag :]


def overlap_start(framing: Framing, channels: int) -> Tail:
    """Return the start of a stream: silence (C, size // hop - 1, hop)."""
    return np.zeros((channels, framing.overlap - 1, framing.hop), dtype=np.float32)


def overlap_add(tail: Tail, spectra: Spectra) -> tuple[F32, Tail]:
    """Return the samples (C, t * hop) that frames (C, t, bins) complete, and the new tail.

    The tail given is not changed. Whatever the pieces are that frames come in, the sound is the
    same to the bit: what meets in a sample is added in the order of the frames.
    """
    channels, extra, hop = tail.shape
    frames, size = spectra.shape[1], (extra + 1) * hop
    blocks: F32 = np.zeros((channels, frames + extra, hop), dtype=np.float32)
    blocks[:, :extra] = tail
    window = hann(size) / np.float32(0.375 * (extra + 1))
    for at in range(0, frames, _PIECE):
        waves = np.fft.irfft(spectra[:, at : at + _PIECE], n=size, axis=2)
        waves *= window
        parts = waves.reshape(channels, -1, extra + 1, hop)
        count = parts.shape[1]
        for part in range(extra, -1, -1):
            blocks[:, at + part : at + part + count] += parts[:, :, part]
    return blocks[:, :frames].reshape(channels, -1), blocks[:, frames:].copy()


def log_magnitudes(spectra: Spectra) -> F32:
    """Return the logarithms of magnitudes, scaled to about -1 (nothing) to 1 (all there can be)."""
    out: F32 = np.abs(spectra)
    out += np.float32(LOG_FLOOR)
    np.log(out, out=out)
    out *= np.float32(1 / LOG_SCALE)
    return out


def from_log_magnitudes(logs: F32) -> F32:
    """Return the magnitudes that `log_magnitudes` was given; 0 for what lies under its floor."""
    out: F32 = np.exp(logs * np.float32(LOG_SCALE)) - np.float32(LOG_FLOOR)
    return np.maximum(out, 0, out=out)


def mid_side(stereo: Channels, axis: int = 0) -> Channels:
    """Return (mid, side) = ((left + right) / 2, (left - right) / 2); ``axis`` holds the two."""
    left, right = np.split(stereo, 2, axis=axis)
    half = np.float32(0.5)
    return np.concatenate([(left + right) * half, (left - right) * half], axis=axis)


def left_right(stereo: Channels, axis: int = 0) -> Channels:
    """Return (left, right) = (mid + side, mid - side); the inverse of `mid_side`."""
    mid, side = np.split(stereo, 2, axis=axis)
    return np.concatenate([mid + side, mid - side], axis=axis)


def griffin_lim(
    magnitudes: F32,
    framing: Framing,
    rng: np.random.Generator,
    rounds: int = 32,
    momentum: float = 0.99,
) -> F32:
    """Return samples (C, T * hop) whose spectra have about these magnitudes (C, T + .., bins).

    Phases begin at random and are improved by the fast Griffin-Lim algorithm (Perraudin, Balazs
    and Sondergaard 2013); no momentum is Griffin and Lim 1984.
    """
    turn = rng.uniform(-np.pi, np.pi, magnitudes.shape).astype(np.float32)
    spectra: Spectra = (magnitudes * np.exp(1j * turn)).astype(np.complex64)
    before = np.zeros_like(spectra)
    for _ in range(rounds):
        possible = analyse(synthesise(spectra, framing), framing)
        ahead: Spectra = possible + np.float32(momentum) * (possible - before)
        spectra = ahead * (magnitudes / np.maximum(np.abs(ahead), np.float32(1e-9)))
        before = possible
    return synthesise(spectra, framing)

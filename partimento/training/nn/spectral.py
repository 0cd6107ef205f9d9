"""Short-time spectra and distances between sounds, in torch; differentiable, on any device.

`analyse` and `synthesise` are ``representations.spectra`` in torch, held equal by a test; the mel
distance is that of ``evaluate.audio_distances``, held equal too. Everything is computed in float32
with autocast off, for half precision has neither the range nor the transforms.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from partimento.analysis.stft import hann, mel_matrix
from partimento.metrics.audio_distances import MEL_FLOOR, MEL_SCALES
from partimento.representations.spectra import LOG_FLOOR, LOG_SCALE, Framing

__all__ = [
    "MAGNITUDE_SIZES",
    "MEL_FLOOR",
    "MEL_SCALES",
    "advance_distance",
    "analyse",
    "left_right",
    "log_magnitudes",
    "magnitude_distance",
    "mel_distance",
    "mid_side",
    "synthesise",
]

MAGNITUDE_SIZES = (512, 1024, 2048)


@lru_cache(maxsize=16)
def _window(size: int, device: torch.device) -> Tensor:
    # Made outside inference mode, for the same window may be part of a gradient later.
    with torch.inference_mode(False):
        return torch.tensor(hann(size)).to(device)


@lru_cache(maxsize=32)
def _mels(rate: int, size: int, mels: int, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return torch.tensor(mel_matrix(rate, size, mels).T.copy()).to(device)


def analyse(samples: Tensor, framing: Framing) -> Tensor:
    """Return the spectra (..., T + size // hop - 1, bins), complex, of samples (..., N)."""
    with torch.autocast(samples.device.type, enabled=False):
        after = -samples.shape[-1] % framing.hop + framing.lag
        padded = F.pad(samples.float(), (framing.lag, after))
        frames = padded.unfold(-1, framing.size, framing.hop)
        out: Tensor = torch.fft.rfft(frames * _window(framing.size, samples.device))
        return out


def synthesise(spectra: Tensor, framing: Framing) -> Tensor:
    """Return the samples (..., T * hop) of complex spectra (..., T + size // hop - 1, bins)."""
    with torch.autocast(spectra.device.type, enabled=False):
        window = _window(framing.size, spectra.device) / framing.gain
        waves: Tensor = torch.fft.irfft(spectra, n=framing.size) * window
        *batch, frames, _ = waves.shape
        blocks = frames - framing.overlap + 1
        parts = waves.reshape(*batch, frames, framing.overlap, framing.hop)
        total = waves.new_zeros(*batch, blocks, framing.hop)
        for back in range(framing.overlap):
            # Block b is in frame b + back, as its quarter overlap - 1 - back.
            quarter = parts[..., framing.overlap - 1 - back, :]
            total = total + quarter[..., back : back + blocks, :]
        return total.flatten(-2)


def log_magnitudes(spectra: Tensor) -> Tensor:
    """Return ``representations.spectra.log_magnitudes`` of complex spectra."""
    return torch.log(spectra.abs() + LOG_FLOOR) / LOG_SCALE


def mid_side(stereo: Tensor, dim: int = -2) -> Tensor:
    """Return (mid, side) of (left, right) along ``dim``."""
    left, right = stereo.chunk(2, dim)
    return torch.cat([(left + right) * 0.5, (left - right) * 0.5], dim)


def left_right(stereo: Tensor, dim: int = -2) -> Tensor:
    """Return (left, right) of (mid, side) along ``dim``."""
    mid, side = stereo.chunk(2, dim)
    return torch.cat([mid + side, mid - side], dim)


def _amplitudes(samples: Tensor, size: int) -> Tensor:
    """Return magnitudes (..., T, bins) such that a sine of amplitude 1 has about 1."""
    return analyse(samples, Framing(size, size // 4)).abs() * (4 / size)


def mel_distance(
    x: Tensor,
    y: Tensor,
    scales: Sequence[tuple[int, int]] = MEL_SCALES,
    sample_rate_hz: int = 44_100,
) -> Tensor:
    """Return the mean distance of two sounds (..., N): of the logarithms of their mel spectra.

    A scale is (window, bands); hops are a quarter of the window. In nepers: 0.1 is about 0.9 dB.
    """
    with torch.autocast(x.device.type, enabled=False):
        total = x.new_zeros((), dtype=torch.float32)
        for size, mels in scales:
            bands = _mels(sample_rate_hz, size, mels, x.device)
            mine = torch.log(_amplitudes(x, size) @ bands + MEL_FLOOR)
            theirs = torch.log(_amplitudes(y, size) @ bands + MEL_FLOOR)
            total = total + (mine - theirs).abs().mean()
        return total / len(scales)


def magnitude_distance(x: Tensor, y: Tensor, sizes: Sequence[int] = MAGNITUDE_SIZES) -> Tensor:
    """Return how far the magnitudes of ``x`` (..., N) lie from those of the target ``y``.

    Over windows of several sizes, the mean of the spectral convergence ``|X - Y| / |Y|`` of each
    item and of the distance of logarithms (Yamamoto, Song and Kim 2020).
    """
    with torch.autocast(x.device.type, enabled=False):
        total = x.new_zeros((), dtype=torch.float32)
        for size in sizes:
            mine, theirs = _amplitudes(x, size), _amplitudes(y, size)
            apart = torch.linalg.vector_norm(mine - theirs, dim=(-2, -1))
            norm = torch.linalg.vector_norm(theirs, dim=(-2, -1))
            logs = torch.log(mine + MEL_FLOOR) - torch.log(theirs + MEL_FLOOR)
            # A silent target must not blow up: none counts as less than a sine of -40 dB.
            least = 1e-2 * theirs.shape[-2] ** 0.5
            total = total + (apart / norm.clamp_min(least)).mean() + logs.abs().mean()
        return total / len(sizes)


def advance_distance(spectra: Tensor, advance: Tensor, sure: Tensor, middles: Tensor) -> Tensor:
    """Return the mean of |R exp(i said) - exp(i true)|^2 of how phases advance, R = ``sure``.

    Its least value has ``advance`` the mean direction and R the resultant length. Louder bins weigh
    more, by the root of their amplitude. ``spectra``, ``advance`` and ``sure`` are (B, T, ...,
    bins), advances in radians beyond those of the bins' ``middles``.
    """
    turned = spectra[:, 1:] * spectra[:, :-1].conj()
    turned = turned * torch.polar(torch.ones_like(middles), -middles)
    power = turned.abs()
    weight = (power + 1e-12).pow(0.25)
    axes = tuple(range(2, weight.ndim))
    weight = weight / (weight.mean(axes, keepdim=True) + 1e-2)
    advance, sure = advance[:, 1:], sure[:, 1:]
    along = turned.real * torch.cos(advance) + turned.imag * torch.sin(advance)
    apart = 1 + sure.square() - 2 * sure * along / (power + 1e-9)
    return (weight * apart).mean()

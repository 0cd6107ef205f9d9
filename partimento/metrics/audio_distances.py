"""How far one sound lies from another: by mel bands, by spectra, by samples, and as two crowds.

Sounds are arrays (channels, samples) in float32, of one shape; distances are plain numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from partimento.analysis.stft import mel_matrix, short_time_spectra

__all__ = [
    "CONVERGENCE_SIZES",
    "MEL_FLOOR",
    "MEL_SCALES",
    "frechet_distance",
    "mel_distance",
    "si_sdr",
    "spectral_convergence",
]

F32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

MEL_SCALES = ((256, 20), (512, 40), (1024, 80), (2048, 128), (4096, 160))
MEL_FLOOR = 3e-5  # of full scale: -90 dB
CONVERGENCE_SIZES = (512, 1024, 2048)


def _check(first: F32, second: F32) -> None:
    if first.shape != second.shape or first.ndim != 2 or not first.size:
        raise ValueError(f"sounds of one shape are compared, not {first.shape} and {second.shape}")


def _amplitudes(samples: F32, size: int) -> F32:
    """Return magnitudes (C, T, bins) such that a sine of amplitude 1 has about 1."""
    out: F32 = np.abs(short_time_spectra(samples, size, size // 4)) * np.float32(4 / size)
    return out


def mel_distance(
    first: F32,
    second: F32,
    sample_rate_hz: int = 44_100,
    scales: Sequence[tuple[int, int]] = MEL_SCALES,
) -> float:
    """Return the mean distance of the logarithms of mel spectra, over several scales.

    A scale is (window, bands); hops are a quarter of the window; what lies under -90 dB counts as
    equal to it. In nepers: 0.1 is about 0.9 dB.
    """
    _check(first, second)
    total = 0.0
    for size, mels in scales:
        bands = mel_matrix(sample_rate_hz, size, mels).T
        logs = [np.log(_amplitudes(each, size) @ bands + MEL_FLOOR) for each in (first, second)]
        total += float(np.abs(logs[0] - logs[1]).mean(dtype=np.float64))
    return total / len(scales)


def spectral_convergence(made: F32, target: F32, sizes: Sequence[int] = CONVERGENCE_SIZES) -> float:
    """Return the mean of ``|X - Y| / |Y|`` over windows of several sizes; Y of the target.

    0 is equal, 1 is what silence reaches. Phases do not count.

    Raises:
        ValueError: if the target is silent.
    """
    _check(made, target)
    if not np.any(target):
        raise ValueError("a silent target has no spectral convergence")
    total = 0.0
    for size in sizes:
        mine, theirs = _amplitudes(made, size), _amplitudes(target, size)
        total += float(np.linalg.norm(mine - theirs) / np.linalg.norm(theirs))
    return total / len(sizes)


def si_sdr(made: F32, target: F32) -> float:
    """Return the scale-invariant signal-to-distortion ratio in dB (Le Roux et al. 2019).

    All channels count as one signal. It has meaning only where phases are kept: a codec that
    makes its phases up is near or below 0 dB however good it sounds. Two equal sounds: infinity.

    Raises:
        ValueError: if the target is silent.
    """
    _check(made, target)
    x, y = made.astype(np.float64).ravel(), target.astype(np.float64).ravel()
    power = float(y @ y)
    if not power:
        raise ValueError("a silent target has no signal-to-distortion ratio")
    wanted = (float(x @ y) / power) * y
    noise = float(np.sum((x - wanted) ** 2))
    if not noise:
        return float("inf")
    return 10 * float(np.log10(max(float(wanted @ wanted), 1e-30) / noise))


def frechet_distance(first: Floats, second: Floats) -> float:
    """Return the Frechet distance of the Gaussians of two sets (n, D) and (m, D) of vectors.

    ``|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))`` (Dowson and Landau 1982). The figure depends on
    the number of vectors: compare sets of one size, and many more vectors than dimensions.

    Raises:
        ValueError: if a set has less than two vectors, or their dimensions differ.
    """
    if min(len(first), len(second)) < 2 or first.shape[1:] != second.shape[1:]:
        raise ValueError(f"no Frechet distance of sets {first.shape} and {second.shape}")
    means, covariances = [], []
    for each in (first, second):
        each = each.astype(np.float64)
        means.append(each.mean(axis=0))
        covariances.append(np.atleast_2d(np.cov(each, rowvar=False)))
    # tr (C1 C2)^(1/2) = tr (R C2 R)^(1/2) with R = C1^(1/2): symmetric, so its roots are real.
    values, vectors = np.linalg.eigh(covariances[0])
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    inner = np.linalg.eigvalsh(root @ covariances[1] @ root)
    cross = float(np.sqrt(np.maximum(inner, 0)).sum())
    gap = float(np.sum((means[0] - means[1]) ** 2))
    spread = float(np.trace(covariances[0]) + np.trace(covariances[1]))
    return max(0.0, gap + spread - 2 * cross)

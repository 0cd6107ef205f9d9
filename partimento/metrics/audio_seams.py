"""Can it be heard, or at least measured, where a sound was put together?

At each hop three things are measured that a seam disturbs: how much the energy changes from before
to after, how far phases stray from where the last frames said they would go, and how far samples
leave the curve of their neighbours (a click). `seam_p` holds the places of the borders against as
many places drawn elsewhere.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from partimento.analysis.stft import short_time_spectra

__all__ = ["HOP", "seam_deviations", "seam_p"]

F32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HOP = 256
_SIZE = 1024


def seam_deviations(samples: F32) -> Floats:
    """Return (N // 256, 3) of samples (C, N): energy, phase and click deviation at each hop.

    - energy: ``|ln(after / before)|`` of the energies of the 512 samples to either side;
    - phase: the distance of a spectrum from that which steady sines would have gone on to, as a
      share of the magnitudes (the complex-domain deviation of Bello et al. 2004);
    - click: the logarithm of the largest second difference, held against the root mean square of
      those around.
    """
    length = samples.shape[1]
    hops = length // HOP
    if hops < 8:
        raise ValueError(f"{length} samples are too few to look for seams")
    mono = samples[:, : hops * HOP].mean(axis=0, dtype=np.float64)
    blocks = mono.reshape(hops, HOP)
    energy = np.concatenate([[0.0], np.cumsum((blocks**2).sum(axis=1))])
    at = np.arange(hops)
    before = energy[at] - energy[np.maximum(at - 2, 0)] + 1e-8
    after = energy[np.minimum(at + 2, hops)] - energy[at] + 1e-8
    steps = np.abs(np.log(after / before))

    spectra = short_time_spectra(mono.astype(np.float32)[None], _SIZE, HOP)[0]
    sizes, turns = np.abs(spectra), np.angle(spectra)
    expected = sizes[1:-1] * np.exp(1j * (2 * turns[1:-1] - turns[:-2]))
    strays = np.abs(spectra[2:] - expected).sum(axis=1) / (sizes[2:].sum(axis=1) + 1e-3)
    # Frame t is centred on the hop t - 1: what strays at a hop is in the frames after it.
    phases = strays[at.clip(0, len(strays) - 1)]

    bends = np.abs(np.diff(np.pad(mono, 1, mode="edge"), 2)).reshape(hops, HOP)
    near = np.maximum(bends.max(axis=1), np.roll(bends, 1, axis=0).max(axis=1))
    calm = np.sqrt(np.convolve((bends**2).mean(axis=1), np.ones(9) / 9, mode="same")) + 1e-7
    return np.stack([steps, phases, np.log(near / calm + 1e-3)], axis=1)


def seam_p(
    samples: F32,
    borders: Ints,
    rng: np.random.Generator,
    rounds: int = 1000,
    reach_hops: int = 6,
) -> float:
    """Return the chance, 0..1, that places drawn at random deviate as much as the borders.

    ``borders`` are samples at which pieces meet. At each place the largest deviation within
    ``reach_hops`` counts; the statistic is the largest, over the three measures, of the
    standardised mean over places. Small values (below 0.01) say that the borders can be found.

    Raises:
        ValueError: if no border lies well inside the sound, or nothing lies between them.
    """
    deviations = seam_deviations(samples)
    width = 2 * reach_hops + 1
    windows = np.lib.stride_tricks.sliding_window_view(deviations, width, axis=0)
    largest = windows.max(axis=2)
    places = np.unique(np.round(np.asarray(borders) / HOP).astype(np.int64) - reach_hops)
    places = places[(places >= 0) & (places < len(largest))]
    far = np.ones(len(largest), dtype=bool)
    for place in places.tolist():
        far[max(0, place - width) : place + width + 1] = False
    elsewhere = np.flatnonzero(far)
    if not len(places) or len(elsewhere) < 2 * width:
        raise ValueError("seams are looked for at borders inside the sound, with room between")
    mean, deviation = largest[elsewhere].mean(axis=0), largest[elsewhere].std(axis=0) + 1e-12
    scores = (largest - mean) / deviation
    # Some of the places asked and some elsewhere are of one pool: where borders are like all the
    # rest, which of the pool they were is random, and the share of luckier draws is even.
    pool = np.concatenate([scores[places], scores[rng.permutation(elsewhere)[: 20 * len(places)]]])
    found = scores[places].mean(axis=0).max()
    draws = (rng.permutation(len(pool))[: len(places)] for _ in range(rounds))
    as_much = sum(pool[draw].mean(axis=0).max() >= found for draw in draws)
    return float((1 + as_much) / (1 + rounds))

"""From what a codec says of each frame, levels and phase advances, to spectra; no weights.

A codec's latents say how loud every frequency is, not at which phase it stands: ten latents a
second cannot. So the decoder says by how much the phase of each bin advances from frame to frame,
and phases are summed over time, as in a phase vocoder. The bins of one partial must stand at one
phase: each follows the loudest bin within two of it (the main lobe of the Hann window), so that a
new partial locks within a frame. Noise is coded by bands, and its phases are drawn.

Phases are those of the middle of a window: ``spectrum[k] = exp(level + i (phase + pi k))``. They
are whole numbers, 2^32 a turn, whose sums have no rounding: however a stream is cut, it is the same
to the bit. Only `PhaseTrack.follow` must go in order, and it is the least of the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from partimento import seeds
from partimento.analysis.stft import Spectra

__all__ = [
    "LEVEL_CAP",
    "REACH",
    "PhaseTrack",
    "Steps",
    "band_of_bin",
    "noise_offsets",
    "noise_table",
    "phases_of",
    "spectra_at",
    "steps_of",
]

F32 = npt.NDArray[np.float32]
Turns = npt.NDArray[np.int32]
LEVEL_CAP = 8.0  # exp(8) is more than a full-scale sine has in a window of 2048
REACH = 2
_LEAST_LEVEL = -20.0  # nothing is heard below, and arithmetic gets slow far below
_TABLE = 1 << 16
_STRIDE = 25_717  # odd, so that every offset comes before one comes again
_SEED = 7_341
_HALF_TURN = 2.0**31
_MOST_TURN = np.float32(2**31 - 128)  # the largest float32 that an int32 holds


@lru_cache(maxsize=4)
def noise_table(channels: int, bins: int) -> F32:
    """Return numbers in -1..1, of which a frame takes ``channels * bins`` from its offset on."""
    table = seeds.generator(_SEED, channels, bins).uniform(-1, 1, _TABLE + channels * bins)
    return table.astype(np.float32)


def noise_offsets(first: int, frames: int) -> npt.NDArray[np.int64]:
    """Return where the noise of frames ``first`` onwards stands in the table."""
    at = np.arange(first, first + frames, dtype=np.int64)
    offsets: npt.NDArray[np.int64] = (at * _STRIDE) % _TABLE
    return offsets


@lru_cache(maxsize=8)
def band_of_bin(bins: int, bands: int) -> npt.NDArray[np.int64]:
    """Return the band (bins,) of each bin; bands are equally wide in mel (of 44,100 Hz)."""
    mel = np.log1p(np.arange(bins) * (22_050 / (bins - 1)) / 700)
    band: npt.NDArray[np.int64] = (mel * (bands / mel[-1])).astype(np.int64)
    return np.minimum(band, bands - 1)


@dataclass(frozen=True)
class Steps:
    """Of T frames, (T, C bins): which bin each follows, and by how much it continues from there."""

    owner: npt.NDArray[np.intp]
    turn: Turns


def steps_of(frames: F32, overlap: int = 4) -> Steps:
    """Return the steps of frames (T, 2 C, bins): of each channel levels, then advances.

    Advances are in radians, beyond that of the bin's middle.
    """
    count, channels, bins = len(frames), frames.shape[1] // 2, frames.shape[2]
    owner = _loudest_near(frames[:, 0::2])
    owner += (np.arange(channels) * bins)[:, None]
    flat = owner.reshape(count, channels * bins)
    turn = frames[:, 1::2] * np.float32(1 / (2 * np.pi))
    turn += _middles(bins, overlap)
    turn -= np.rint(turn)  # -0.5..0.5 turns
    turn *= np.float32(2 * _HALF_TURN)
    whole = np.minimum(turn, _MOST_TURN, out=turn).astype(np.int32)
    at = flat + (np.arange(count) * (channels * bins))[:, None]
    return Steps(flat, whole.reshape(-1).take(at))


@dataclass(frozen=True)
class PhaseTrack:
    """Where the phases (C, bins) of a stream stand after ``frame`` frames; never changed."""

    phase: Turns
    frame: int
    overlap: int = 4

    @classmethod
    def start(cls, channels: int, bins: int, overlap: int = 4, frame: int = 0) -> PhaseTrack:
        """Return the start of a stream, at phases that are always the same."""
        drawn = noise_table(channels, bins)[-channels * bins :].reshape(channels, bins)
        return cls((drawn.astype(np.float64) * (_HALF_TURN - 1)).astype(np.int32), frame, overlap)

    def follow(self, steps: Steps) -> tuple[Turns, PhaseTrack]:
        """Return the phases (T, C bins) of frames, and the track after them."""
        now = self.phase.reshape(-1)
        turns = np.empty_like(steps.turn)
        for at in range(len(turns)):
            np.add(now.take(steps.owner[at]), steps.turn[at], out=turns[at])
            now = turns[at]
        phase = now.reshape(self.phase.shape).copy()
        return turns, PhaseTrack(phase, self.frame + len(turns), self.overlap)

    def spectra(self, frames: F32, noise: F32) -> tuple[Spectra, PhaseTrack]:
        """Return the spectra (C, T, bins) of T frames, and the track after them.

        ``frames`` (T, 2 C, bins) are as ``steps_of`` takes them; ``noise`` (T, C, bands) is from
        0, none, to 1, nothing else.
        """
        turns, after = self.follow(steps_of(frames, self.overlap))
        return spectra_at(turns, frames, noise, self.frame), after


def spectra_at(turns: Turns, frames: F32, noise: F32, first: int) -> Spectra:
    """Return the spectra (C, T, bins) of frames at phases; ``first`` is the first frame's number.

    See ``PhaseTrack.spectra``.
    """
    count, channels, bands = noise.shape
    bins = frames.shape[2]
    width = channels * bins
    phase: F32 = turns.astype(np.float32)
    phase *= np.float32(np.pi / _HALF_TURN)
    if noise.any():
        amount = noise[..., band_of_bin(bins, bands)].reshape(count, width)
        table = noise_table(channels, bins)
        for row, at in enumerate(noise_offsets(first, count)):
            amount[row] *= table[at : at + width]
        amount *= np.float32(np.pi)
        phase += amount
    phase = phase.reshape(count, channels, bins)
    loud = np.clip(frames[:, 0::2], np.float32(_LEAST_LEVEL), np.float32(LEVEL_CAP))
    np.exp(loud, out=loud)
    loud[..., 1::2] *= -1  # half a turn more on every other bin
    out = np.empty((channels, count, bins), dtype=np.complex64)
    np.multiply(loud.transpose(1, 0, 2), np.cos(phase).transpose(1, 0, 2), out=out.real)
    np.multiply(loud.transpose(1, 0, 2), np.sin(phase).transpose(1, 0, 2), out=out.imag)
    return out


@lru_cache(maxsize=4)
def _middles(bins: int, overlap: int) -> F32:
    """Return the advance (bins,) of the middle of each bin in a frame, in turns."""
    return ((np.arange(bins) % overlap) / overlap).astype(np.float32)


def _loudest_near(level: F32) -> npt.NDArray[np.intp]:
    """Return which bin (T, C, bins) within ``REACH`` is the loudest; the lowest of equals."""
    bins = level.shape[-1]
    edged = np.full((*level.shape[:-1], bins + 2 * REACH), -np.inf, dtype=np.float32)
    edged[..., REACH:-REACH] = level
    best = edged[..., :bins].copy()
    ahead = np.zeros(level.shape, dtype=np.int8)
    for step in range(1, 2 * REACH + 1):
        other = edged[..., step : step + bins]
        # Steps grow, so the largest that was louder than all before it is the answer.
        np.maximum(ahead, (other > best) * np.int8(step), out=ahead)
        np.maximum(best, other, out=best)
    return ahead.astype(np.intp) + np.arange(-REACH, bins - REACH, dtype=np.intp)


def phases_of(spectrum: Spectra) -> Turns:
    """Return the phases (C, bins) of a frame of real sound, as phase tracks have them."""
    turns = np.angle(spectrum) / (2 * np.pi)
    turns[:, 1::2] += 0.5  # those of the middle of the window
    whole = np.rint(turns * 2.0**32).astype(np.int64)  # more than a turn wraps
    out: Turns = whole.astype(np.int32)
    return out

"""The codec of one level under ONNX Runtime: sound to codes, and codes to sound as they come.

What the decoder says of a code depends on some codes on either side (`CodesConfig.reach`), so a
stream of codes is decoded in blocks that always begin at the same places, each with its
surroundings: however the codes come, the samples are the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from partimento.representations.phase_tracks import PhaseTrack, phases_of
from partimento.representations.spectra import (
    LOG_FLOOR,
    Framing,
    Tail,
    analyse,
    overlap_add,
    overlap_start,
)
from partimento.runtime.audio_tokens.presets import CodesConfig
from partimento.runtime.sessions import Session

__all__ = ["LevelCodec", "SoundState"]

F32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
_BLOCK_FRAMES = 256  # decoded at once, beside what surrounds them: three seconds
_HEARD_FRAMES = 1024  # encoded at once
_BANDS = 32


@dataclass(frozen=True)
class SoundState:
    """Where a stream of sound stands; a value that may be kept and gone on from again."""

    codes: Ints  # those that may still be needed
    first: int  # the number of the first of them
    done: int  # codes whose sound was made
    track: PhaseTrack
    tail: Tail  # (1, overlap - 1, hop): waves that the next frames are added to
    silent: int  # samples still to be left out


class LevelCodec:
    """Encoder and decoder of a level, mono; it holds weights only."""

    def __init__(self, decoder: Session, encoder: Session, config: CodesConfig, level: int) -> None:
        self.config, self.level = config, level
        self._decoder, self._encoder = decoder, encoder
        self.framing = Framing(config.size, config.hop)
        self.hop, self.entries = config.hops[level], config.entries[level]
        # A group is a code of several frames, or a frame of several codes.
        self._frames, self._split = config.frames(level), config.split(level)
        self.reach = config.reach(level)
        self._block = max(1, _BLOCK_FRAMES // self._frames) * self._split
        decoder.require(
            {"codes": ("int64", (None, None))},
            {
                "frames": ("float", (None, None, 2, config.bins)),
                "noise": ("float", (None, None, _BANDS)),
            },
            "the decoder",
        )
        encoder.require(
            {"features": ("float", (None, None, self._frames, config.bins))},
            {"codes": ("int64", (None, None))},
            "the encoder",
        )

    def begin(self) -> SoundState:
        """Return the state of a stream before its first code."""
        track = PhaseTrack.start(1, self.config.bins, self.framing.overlap)
        tail = overlap_start(self.framing, 1)
        return SoundState(np.zeros(0, np.int64), 0, 0, track, tail, self.framing.lag)

    def _frames_of(self, codes: int) -> int:
        """Return how many frames so many codes have."""
        return codes // self._split * self._frames

    def after(self, heard: F32, codes: Ints) -> SoundState:
        """Return the state after mono sound (N,), whose codes are ``codes``: it goes on from there.

        The first frames are added to the waves of the real sound, and phases go on from its own.
        """
        state, framing = self.begin(), self.framing
        spectra = analyse(heard[None], framing)[:, : len(heard) // framing.hop]
        _, tail = overlap_add(state.tail, spectra[:, 1 - framing.overlap :])
        phase = phases_of(spectra[:, -1, : self.config.bins])
        frames = self._frames_of(len(codes))
        track = replace(state.track, phase=phase, frame=frames)
        first = max(0, len(codes) - self.reach)
        silent = framing.lag - framing.hop  # one hop of the old sound tells how the new joins it
        return SoundState(codes[first:], first, len(codes), track, tail, silent)

    def decode(
        self, state: SoundState, codes: Ints, is_last: bool = False
    ) -> tuple[F32, SoundState]:
        """Return the mono samples (m,) that codes (n,) settle, and the state after them.

        Nothing is said of the last codes until those that surround them have come, or are known not
        to come (``is_last``).
        """
        known = np.concatenate([state.codes, codes])
        end, done, first = state.first + len(known), state.done, state.first
        end -= end % self._split
        track, tail, pieces = state.track, state.tail, [np.zeros(0, dtype=np.float32)]
        while done < end:
            stop = (done // self._block + 1) * self._block
            if stop + self.reach > end and not is_last:
                break
            stop = min(stop, end)
            spectra, track = self._spectra(known, first, done, stop, track)
            samples, tail = overlap_add(tail, spectra)
            pieces.append(samples[0])
            done = stop
        if is_last:
            spare = np.zeros((1, self.framing.overlap - 1, self.framing.bins), np.complex64)
            samples, tail = overlap_add(tail, spare)
            pieces.append(samples[0])
        whole = np.concatenate(pieces)
        silent = min(state.silent, len(whole))
        kept = max(first, done - self.reach)
        state = SoundState(known[kept - first :], kept, done, track, tail, state.silent - silent)
        return whole[silent:], state

    def _spectra(
        self, known: Ints, first: int, start: int, stop: int, track: PhaseTrack
    ) -> tuple[npt.NDArray[np.complex64], PhaseTrack]:
        """Return the spectra (1, T, bins) of codes ``start`` to ``stop``, decoded among others."""
        low = max(first, start - self.reach)
        high = min(first + len(known), stop + self.reach)
        high -= (high - low) % self._split
        given = known[None, low - first : high - first]
        frames, noise = self._decoder.run(["frames", "noise"], {"codes": given})
        inside = slice(self._frames_of(start - low), self._frames_of(stop - low))
        spectra, track = track.spectra(
            np.ascontiguousarray(frames[0, inside]), noise[0, inside][:, None]
        )
        missing = self.framing.bins - self.config.bins
        return np.pad(spectra, ((0, 0), (0, 0), (0, missing))), track

    def decode_all(self, codes: Ints) -> F32:
        """Return the mono samples (n * hop,) of all codes (n,)."""
        samples, _ = self.decode(self.begin(), codes, is_last=True)
        return samples[: len(codes) * self.hop]

    def encode(self, samples: F32) -> Ints:
        """Return the codes (N / hop,) of mono samples (N,), N whole codes."""
        split, each = self._split, max(1, _HEARD_FRAMES // self._frames)
        count = len(samples) // (self.hop * split)  # groups
        spectra = analyse(samples[None, : count * self.hop * split], self.framing)[0]
        logs = np.log(np.abs(spectra[: count * self._frames, : self.config.bins]) + LOG_FLOOR)
        pieces = [np.zeros(0, np.int64)]
        around = self.reach // split
        for start in range(0, count, each):
            low, stop = max(0, start - around), min(count, start + each)
            high = min(count, stop + around)
            part = logs[low * self._frames : high * self._frames].astype(np.float32)
            features = part.reshape(1, high - low, self._frames, self.config.bins)
            found = self._encoder.run(["codes"], {"features": features})[0][0]
            pieces.append(found[(start - low) * split : (stop - low) * split])
        return np.concatenate(pieces)

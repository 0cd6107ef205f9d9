"""One stage in which the codecs of all levels learn, each by its own loss; they share nothing.

Spectral codecs (``training/nn/spectral_vqvae.py``)::

    levels: |said - true| of log magnitudes, weighted by the mel scale
    mel:    the same of the energy in mel bands, so that what is uncertain is not too soft
    peaks:  |said - true| of the square roots of magnitudes, which partials stand out in
    advance: how phases advance, by bands as surely as they can be known
    commitment: VQ                                                     -> CodecStage.loss_of
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from partimento.analysis.stft import mel_matrix
from partimento.representations.codebooks import codebook_use
from partimento.representations.phase_tracks import PhaseTrack
from partimento.representations.spectra import LOG_FLOOR, overlap_add, overlap_start
from partimento.runtime.presets import TrainingConfig
from partimento.training.audio.samples import Demos
from partimento.training.contract import Batch, Loss, Player, Stage
from partimento.training.data import Sounds
from partimento.training.device import autocast
from partimento.training.nn.codec import log_features
from partimento.training.nn.spectral import advance_distance
from partimento.training.nn.spectral_vqvae import SpectralFrames, SpectralVQVAE

__all__ = ["CodecStage", "sound_of_frames"]

_LEVEL, _MEL, _ADVANCE = 1.0, 1.0, 0.5
_MELS = 96
_KNEE_HZ = 700.0
_MEASURED_CROPS, _VALID_CROPS, _VALID_BATCH = 96, 24, 8
_VALID_CODES = 32  # of the coarsest level, in a held-out crop
_DEMO_SECONDS = 8.0
_DEAD = 1e-2  # mean use of an entry a batch, under which it counts as dead

F32 = npt.NDArray[np.float32]


class CodecStage:
    """Losses and validation of the codecs; ``take`` sets their data."""

    def __init__(self, codecs: Sequence[SpectralVQVAE], sample_rate_hz: int) -> None:
        self.codecs, self.rate = tuple(codecs), sample_rate_hz
        self.sets: Mapping[str, Sounds] = {}
        self._held: Tensor | None = None
        self._demos = Demos(None, "codec", sample_rate_hz)
        config = self.codecs[0].config
        self.config = config
        hertz = torch.arange(config.bins) * (sample_rate_hz / config.size)
        weight = 1 / (hertz + _KNEE_HZ)  # as the ear, and the mel scale, divides frequency
        self._weight = weight / weight.mean()
        top = config.bins * sample_rate_hz / config.size
        mels = mel_matrix(sample_rate_hz, config.size, _MELS, high_hz=top)[:, : config.bins]
        self._mels = torch.tensor(mels.T.copy())

    def take(self, sets: Mapping[str, Sounds], folder: Path | None = None) -> None:
        """Take the sounds to learn from and the scale of their features; demos go to ``folder``."""
        self.sets, self._held = sets, None
        self._demos = Demos(folder, "codec", self.rate)
        samples, _ = sets["train"].crops(np.random.default_rng(0), _MEASURED_CROPS, 4)
        device = next(self.codecs[0].parameters()).device
        with torch.no_grad():
            for codec in self.codecs:
                codec.measure(codec.spectra(torch.from_numpy(samples.mean(1)).to(device)))

    def stage(self, training: TrainingConfig) -> Stage:
        """Return the stage: every level is a player of its own."""
        players = [
            Player(f"level{level}", (codec,), partial(self.loss_of, level))
            for level, codec in enumerate(self.codecs)
        ]

        def batches(draw: np.random.Generator) -> Batch:
            samples, _ = self.sets["train"].crops(draw, training.batch_size, training.length)
            return {"samples": torch.from_numpy(samples.mean(1))}

        return Stage("codec", tuple(players), training, batches, self.validate)

    def loss_of(self, level: int, batch: Batch) -> Loss:
        """Return the loss of a level on mono samples (B, N)."""
        codec = self.codecs[level]
        with autocast(batch["samples"].device, enabled=False):
            spectra = codec.spectra(batch["samples"])
        said, quantised = codec(spectra)
        parts = self.distances(codec, said, spectra)
        total = _LEVEL * parts["level"] + _MEL * parts["mel"] + _ADVANCE * parts["advance"]
        total = total + self.config.peaks[level] * parts["peaks"]
        told = {name: value.detach() for name, value in parts.items()}
        return Loss(total + quantised.loss, told | self._use(level))

    def _use(self, level: int) -> dict[str, Tensor]:
        """Return how the codebook of a level is used, by its moving averages."""
        counts = getattr(self.codecs[level].quantiser, "counts", None)
        if counts is None:
            return {}
        share = counts / counts.sum()
        entropy = -(share * (share + 1e-12).log()).sum()
        return {"perplexity": entropy.exp(), "dead": (counts < _DEAD).sum().float()}

    def distances(
        self, codec: SpectralVQVAE, said: SpectralFrames, spectra: Tensor
    ) -> dict[str, Tensor]:
        """Return how far what is said lies from spectra (B, T, bins)."""
        with autocast(spectra.device, enabled=False):
            weight = self._weight = self._weight.to(spectra.device)
            mels = self._mels = self._mels.to(spectra.device)
            true = log_features(spectra)
            level = ((said.level - true).abs() * weight).mean()
            mine = torch.log(torch.exp(said.level.clamp(max=8.0)) @ mels + LOG_FLOOR)
            mel = (mine - torch.log(spectra.abs() @ mels + LOG_FLOOR)).abs().mean()
            sure = said.certainty[..., codec.bands]
            advance = advance_distance(spectra, said.advance, sure, codec.middles)
            roots = [torch.exp(0.5 * said.level.clamp(max=8.0)), spectra.abs().sqrt()]
            peaks = ((roots[0] - roots[1]).abs() * weight).mean() / (roots[1] * weight).mean()
        return {"level": level, "mel": mel, "advance": advance, "peaks": peaks}

    def validate(self) -> Mapping[str, float]:
        """Return the distances of held-out sound by level, and how its codes use the codebooks."""
        device = next(self.codecs[0].parameters()).device
        if self._held is None:
            crops, _ = self.sets["valid"].crops(
                np.random.default_rng(0), _VALID_CROPS, _VALID_CODES
            )
            self._held = torch.from_numpy(crops.mean(1))
        figures: dict[str, float] = {}
        with autocast(device, enabled=False):
            for level, codec in enumerate(self.codecs):
                found: dict[str, list[float]] = {}
                codes = []
                for part in torch.split(self._held, _VALID_BATCH):
                    spectra = codec.spectra(part.to(device))
                    said, quantised = codec(spectra)
                    codes.append(quantised.codes.cpu().numpy())
                    for name, value in self.distances(codec, said, spectra).items():
                        found.setdefault(name, []).append(float(value))
                figures |= {f"{name}_{level}": float(np.mean(v)) for name, v in found.items()}
                use = codebook_use(np.concatenate(codes), self.config.entries[level])
                figures[f"perplexity_{level}"] = use.perplexity
            self._demos.offer(self._demo)
        figures["loss"] = sum(v for k, v in figures.items() if k.startswith(("level_", "mel_")))
        return figures

    def _demo(self) -> F32:
        """Return held-out sound (2, N), and after it what each level makes of it, finest first."""
        seconds = self.config.hops[-1] / self.rate
        count = max(1, round(_DEMO_SECONDS / seconds))
        held, _ = self.sets["valid"].crops(np.random.default_rng(1), 1, count)
        mono = torch.from_numpy(held.mean(1)).to(next(self.codecs[0].parameters()).device)
        pieces = [held[0].mean(0)]
        for codec in self.codecs:
            with torch.no_grad():
                said, _ = codec(codec.spectra(mono))
            pieces.append(sound_of_frames(codec, said))
        return np.tile(np.concatenate(pieces), (2, 1))


def sound_of_frames(codec: SpectralVQVAE, said: SpectralFrames) -> F32:
    """Return the mono samples (T * hop,) of what is said of one piece, B = 1."""
    framing, config = codec.framing, codec.config
    values: Any = torch.stack([said.level, said.advance], dim=2)[0].float().cpu().numpy()
    noise = said.noise[0].float().cpu().numpy()[:, None]
    track = PhaseTrack.start(1, config.bins, framing.overlap)
    heard, _ = track.spectra(np.ascontiguousarray(values), noise)
    spare = framing.overlap - 1
    whole = np.pad(heard, ((0, 0), (0, spare), (0, framing.bins - config.bins)))
    samples, _ = overlap_add(overlap_start(framing, 1), whole)
    return samples[0, framing.lag :]

"""The two stages of codec training: spectral distances alone, then with discriminators."""

from __future__ import annotations

from collections.abc import Mapping
from math import pi
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from partimento.runtime.presets import TrainingConfig
from partimento.training.audio.gpu_dataset import ResidentSound
from partimento.training.audio.samples import Demos
from partimento.training.contract import Batch, Loss, Player, Stage
from partimento.training.data import Sounds
from partimento.training.device import autocast
from partimento.training.nn.codec import Frames, StreamingCodec, log_features
from partimento.training.nn.discriminators.stft import STFTDiscriminators
from partimento.training.nn.freezing import frozen
from partimento.training.nn.spectral import advance_distance, mel_distance, mid_side

__all__ = ["CodecStages"]

_LEVEL, _ADVANCE, _MEL = 0.5, 0.5, 1.0
_GAME, _FEATURES = 0.1, 0.3
_CONTRAST = 0.5  # of the gap in contrast, in the figure that elects the best weights
_MEASURED_CROPS = 64
_VALID_CROPS = 64
_VALID_BATCH = 8
_DEMO_LATENTS = 100  # nine seconds
_KNEE_HZ = 700.0


class CodecStages:
    """Losses and validation of a streaming codec and its discriminators."""

    def __init__(
        self, codec: StreamingCodec, discriminators: STFTDiscriminators, sample_rate_hz: int
    ) -> None:
        self.codec, self.discriminators, self.rate = codec, discriminators, sample_rate_hz
        self.sets: Mapping[str, Sounds] = {}
        self._held: Tensor | None = None
        self._resident: ResidentSound | None = None
        self._demos = Demos(None, "codec", sample_rate_hz)
        self._batch_size = _VALID_CROPS
        bins = codec.framing.bins
        hertz = torch.arange(bins) * (sample_rate_hz / 2 / (bins - 1))
        weight = 1 / (hertz + _KNEE_HZ)  # as the ear, and the mel scale, divides frequency
        self._weight = weight / weight.mean()

    def take(self, sets: Mapping[str, Sounds], folder: Path | None = None) -> None:
        """Take the sounds to learn from and the scale of their features; demos go to ``folder``."""
        self.sets, self._held, self._resident = sets, None, None
        self._demos = Demos(folder, "codec", self.rate)
        samples, _ = sets["train"].crops(np.random.default_rng(0), _MEASURED_CROPS, 4)
        device = next(self.codec.parameters()).device
        with torch.no_grad():
            self.codec.measure(self.codec.spectra(torch.from_numpy(samples).to(device)))

    def stages(self, codec: TrainingConfig, discriminators: TrainingConfig) -> tuple[Stage, Stage]:
        """Return the spectral stage and the adversarial one."""
        self._batch_size = codec.batch_size
        first = Stage(
            "codec",
            (Player("codec", (self.codec,), self.spectral_loss),),
            codec,
            lambda draw: self.batch(draw, codec),
            self.validate,
        )
        second = Stage(
            "discriminator",
            (
                Player("discriminator", (self.discriminators,), self.discriminator_loss),
                Player("codec", (self.codec,), self.game_loss),
            ),
            discriminators,
            lambda draw: self.batch(draw, discriminators),
            self.validate,
        )
        return first, second

    def batch(self, draw: np.random.Generator, training: TrainingConfig) -> Batch:
        """Return crops of the training sound."""
        if self._resident is None:
            device = next(self.codec.parameters()).device
            self._resident = ResidentSound.of(self.sets["train"], device)
        if self._resident:
            return {"samples": self._resident.crops(draw, training.batch_size, training.length)}
        samples, _ = self.sets["train"].crops(draw, training.batch_size, training.length)
        return {"samples": torch.from_numpy(samples)}

    def _made(self, samples: Tensor) -> tuple[Frames, Tensor, Tensor, Tensor]:
        """Return what is said of crops, the true spectra, and the sound made beside the true."""
        codec = self.codec
        with autocast(samples.device, enabled=False):
            spectra = codec.spectra(samples)
            features = log_features(spectra)
        latents = codec.encoder(features, codec.encoder.start(len(samples)))[0]
        latents = latents + codec.config.noise * torch.randn_like(latents)
        said: Frames = codec.decoder(latents, codec.decoder.start(len(samples)))[0]
        ahead = codec.config.lookahead * codec.config.latent_frames
        said, spectra = said.since(ahead), spectra[:, : spectra.shape[1] - ahead]
        frames = spectra.shape[1]
        with autocast(samples.device, enabled=False):
            start = pi * (2 * torch.rand_like(said.level[:, 0]) - 1)
            made = codec.sound(said, start, int(torch.randint(1 << 16, ())))
        whole = (frames - codec.framing.overlap + 1) * codec.framing.hop
        return said, spectra, made[..., :whole], samples[..., :whole]

    def _spectral(self, said: Frames, spectra: Tensor, made: Tensor, true: Tensor) -> Loss:
        with autocast(made.device, enabled=False):
            weight = self._weight = self._weight.to(made.device)
            level = ((said.level - log_features(spectra)).abs() * weight).mean()
            advance = self._advance(said, spectra)
            four = [torch.cat([x, mid_side(x)], dim=1) for x in (made, true)]
            mel = mel_distance(four[0], four[1], sample_rate_hz=self.rate)
            total = _LEVEL * level + _ADVANCE * advance + _MEL * mel
        parts = {"level": level, "advance": advance, "mel": mel}
        return Loss(total, {name: value.detach() for name, value in parts.items()})

    def _advance(self, said: Frames, spectra: Tensor) -> Tensor:
        sure = said.certainty[..., self.codec.bands]
        return advance_distance(spectra, said.advance, sure, self.codec.middles)

    def spectral_loss(self, batch: Batch) -> Loss:
        """Return the distances of levels, of phase advances, and of the mel spectra of sound."""
        return self._spectral(*self._made(batch["samples"]))

    def discriminator_loss(self, batch: Batch) -> Loss:
        """Return the discriminators' side of the game: hinges."""
        with torch.no_grad():
            _, _, made, true = self._made(batch["samples"])
        real, _ = self.discriminators(true)
        fake, _ = self.discriminators(made)
        losses = [
            torch.relu(1 - x.float()).mean() + torch.relu(1 + y.float()).mean()
            for x, y in zip(real, fake, strict=True)
        ]
        total = torch.stack(losses).mean()
        return Loss(total, {})

    def game_loss(self, batch: Batch) -> Loss:
        """Return the codec's loss: spectral distances, adversarial loss, feature matching."""
        said, spectra, made, true = self._made(batch["samples"])
        spectral = self._spectral(said, spectra, made, true)
        with frozen(self.discriminators):
            fake, seen = self.discriminators(made)
            with torch.no_grad():
                _, wanted = self.discriminators(true)
        game = torch.stack([-x.float().mean() for x in fake]).mean()
        apart = [
            (x.float() - y.float()).abs().mean() / (y.float().abs().mean() + 1e-6)
            for mine, theirs in zip(seen, wanted, strict=True)
            for x, y in zip(mine, theirs, strict=True)
        ]
        features = torch.stack(apart).mean()
        total = spectral.total + _GAME * game + _FEATURES * features
        more = {"game": game.detach(), "features": features.detach()}
        return Loss(total, {**spectral.parts, **more})

    def validate(self) -> Mapping[str, float]:
        """Return the mel distance of held-out sound decoded, and the gap in contrast."""
        device = next(self.codec.parameters()).device
        if self._held is None:
            draw = np.random.default_rng(0)
            length = self.codec.config.lookahead + 12
            count = min(_VALID_CROPS, 2 * self._batch_size)
            self._held = torch.from_numpy(self.sets["valid"].crops(draw, count, length)[0])
        distances, gaps = [], []
        with autocast(device, enabled=False):
            for part in torch.split(self._held, _VALID_BATCH):
                true = part.to(device)
                made = self.codec.decode(self.codec.encode(true))
                distances.append(mel_distance(made, true, sample_rate_hz=self.rate))
                x, y = (log_features(self.codec.spectra(each)) for each in (made, true))
                gap = (x.std(1) - y.std(1)) * self._weight.to(device)
                gaps.append(gap.mean().abs())
            self._demos.offer(lambda: self._demo(device))
        mel, contrast = float(torch.stack(distances).mean()), float(torch.stack(gaps).mean())
        return {"loss": mel + _CONTRAST * contrast, "mel": mel, "contrast": contrast}

    def _demo(self, device: torch.device) -> npt.NDArray[np.float32]:
        """Return held-out sound (2, N), and after it what the codec makes of it."""
        held, _ = self.sets["valid"].crops(np.random.default_rng(1), 1, _DEMO_LATENTS)
        true = torch.from_numpy(held).to(device)
        both = torch.cat([true, self.codec.decode(self.codec.encode(true))], dim=-1)
        out: npt.NDArray[np.float32] = both[0].float().cpu().numpy()
        return out

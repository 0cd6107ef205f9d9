"""The codec that flows: sound to latents and back, every part of it causal.

Features are the natural logarithms of the magnitudes of mid and side, (B, T, 2, bins). The decoder
says for every frame of mid and side how loud each bin is and by how much its phase advances, and
for bands how much of them is noise; ``sound`` makes samples of it (the same in numpy for playing:
``representations/phase_tracks.py``). It says it ``lookahead`` latents late.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from partimento.representations.phase_tracks import (
    LEVEL_CAP,
    REACH,
    band_of_bin,
    noise_offsets,
    noise_table,
)
from partimento.representations.spectra import LOG_FLOOR, Framing
from partimento.runtime.audio.presets import CodecConfig
from partimento.training.device import autocast
from partimento.training.nn.causal import CausalStack
from partimento.training.nn.spectral import analyse, left_right, mid_side, synthesise

__all__ = [
    "NOISE_BANDS",
    "SURE",
    "UNSURE",
    "CodecDecoder",
    "CodecEncoder",
    "Frames",
    "StreamingCodec",
    "log_features",
    "stacks_of",
]

NOISE_BANDS = 32
SURE, UNSURE = 0.8, 0.4  # resultant length of advances: of a tone, of plain noise
_FIRST_LEVEL = -3.0


@dataclass(frozen=True)
class Frames:
    """What the decoder says: levels and advances (B, T, 2, bins), certainty (B, T, 2, bands)."""

    level: Tensor
    advance: Tensor
    certainty: Tensor

    def since(self, first: int, end: int | None = None) -> Frames:
        """Return the frames from ``first`` on."""
        return Frames(
            self.level[:, first:end], self.advance[:, first:end], self.certainty[:, first:end]
        )

    @property
    def noise(self) -> Tensor:
        """How much of a band is noise, 0..1 (B, T, 2, bands)."""
        return ((SURE - self.certainty) / (SURE - UNSURE)).clamp(0, 1)


def log_features(spectra: Tensor) -> Tensor:
    """Return ln(|X| + floor) of spectra, in float32."""
    return torch.log(spectra.abs() + LOG_FLOOR)


class _Scaling(nn.Module):
    """The mean and deviation of each bin of the features, as the training music has them."""

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.full((2, bins), _FIRST_LEVEL))
        self.register_buffer("deviation", torch.full((2, bins), 2.0))


def stacks_of(part: nn.Module) -> list[CausalStack]:
    """Return the stacks of an encoder or decoder, first to last."""
    found = part.get_submodule("stacks")
    assert isinstance(found, nn.ModuleList)
    return [stack for stack in found if isinstance(stack, CausalStack)]


class CodecEncoder(nn.Module):
    """Features (B, T, 2, bins) to latents (B, T / latent_frames, latent_width) in -1..1."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.joins = config.joins
        bins, widths = config.size // 2 + 1, config.encoder_widths
        self.scaling = _Scaling(bins)
        self.enter = nn.Linear(2 * bins, widths[0])
        self.stacks = nn.ModuleList(
            CausalStack(width, count, config.kernel, config.expansion)
            for width, count in zip(widths, config.encoder_blocks, strict=True)
        )
        self.joined = nn.ModuleList(
            nn.Linear(many * before, after)
            for many, before, after in zip(config.joins, widths[:-1], widths[1:], strict=True)
        )
        self.norm = nn.LayerNorm(widths[-1])
        self.leave = nn.Linear(widths[-1], config.latent_width)

    def start(self, batch: int) -> list[Tensor]:
        """Return the states before the first frame."""
        return [state for stack in stacks_of(self) for state in stack.start(batch)]

    def forward(self, features: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return the latents and the states after them."""
        x = (features - self.scaling.mean) / self.scaling.deviation
        x = self.enter(x.flatten(2))
        after: list[Tensor] = []
        for level, stack in enumerate(stacks_of(self)):
            if level:
                many = self.joins[level - 1]
                x = x.reshape(len(x), x.shape[1] // many, many * x.shape[2])
                x = self.joined[level - 1](x)
            first, count = len(after), len(stack.blocks)
            x, new = stack(x, states[first : first + count])
            after += new
        return torch.tanh(self.leave(self.norm(x)).float()), after


class CodecDecoder(nn.Module):
    """Latents (B, n, latent_width) to what is said of n * latent_frames frames."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.splits = tuple(reversed(config.joins))
        self.bins, widths = config.size // 2 + 1, config.decoder_widths
        self.scaling = _Scaling(self.bins)
        self.enter = nn.Linear(config.latent_width, widths[0])
        self.stacks = nn.ModuleList(
            CausalStack(width, count, config.kernel, config.expansion)
            for width, count in zip(widths, config.decoder_blocks, strict=True)
        )
        self.split = nn.ModuleList(
            nn.Linear(before, many * after)
            for many, before, after in zip(self.splits, widths[:-1], widths[1:], strict=True)
        )
        self.norm = nn.LayerNorm(widths[-1])
        self.head = nn.Linear(widths[-1], 4 * self.bins)
        self.noise = nn.Linear(widths[-1], 2 * NOISE_BANDS)
        with torch.no_grad():
            # The first sound is what the music is like on average, its phases even.
            self.head.weight.mul_(0.1)
            self.head.bias.zero_()
            self.noise.weight.mul_(0.1)
            self.noise.bias.fill_(1.0)

    def start(self, batch: int) -> list[Tensor]:
        """Return the states before the first latent."""
        return [state for stack in stacks_of(self) for state in stack.start(batch)]

    def forward(self, latents: Tensor, states: list[Tensor]) -> tuple[Frames, list[Tensor]]:
        """Return the frames and the states after them."""
        x = self.enter(latents)
        after: list[Tensor] = []
        for level, stack in enumerate(stacks_of(self)):
            if level:
                many = self.splits[level - 1]
                x = self.split[level - 1](x)
                x = x.reshape(len(x), x.shape[1] * many, x.shape[2] // many)
            first, count = len(after), len(stack.blocks)
            x, new = stack(x, states[first : first + count])
            after += new
        with autocast(x.device, enabled=False):
            x = self.norm(x.float())
            said = self.head(x).view(*x.shape[:2], 4, self.bins)
            level = self.scaling.mean + self.scaling.deviation * said[..., 0::2, :]
            certainty = torch.sigmoid(self.noise(x)).view(*x.shape[:2], 2, NOISE_BANDS)
        return Frames(level, said[..., 1::2, :], certainty), after


class StreamingCodec(nn.Module):
    """Sound (B, 2, N) to latents (B, n, latent_width) and back; n latents are N samples."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        self.framing = Framing(config.size, config.hop)
        self.encoder = CodecEncoder(config)
        self.decoder = CodecDecoder(config)
        bins = self.framing.bins
        owned = {
            "table": torch.tensor(noise_table(2, bins)),
            "bands": torch.tensor(band_of_bin(bins, NOISE_BANDS)),
            "middles": (torch.arange(bins) % self.framing.overlap)
            * (2 * pi / self.framing.overlap),
            "parity": (torch.arange(bins) % 2) * pi,
        }
        self.table: Tensor
        self.bands: Tensor
        self.middles: Tensor
        self.parity: Tensor
        for name, value in owned.items():
            self.register_buffer(name, value, persistent=False)
        assert prod(config.joins) == config.latent_frames

    def spectra(self, samples: Tensor) -> Tensor:
        """Return the spectra (B, T, 2, bins) of mid and side of whole latents of samples."""
        spare = -samples.shape[-1] % self.config.latent_samples
        spectra = analyse(mid_side(F.pad(samples, (0, spare))), self.framing)
        return spectra[:, :, : -(self.framing.overlap - 1)].transpose(1, 2)

    def measure(self, spectra: Tensor) -> None:
        """Take the mean and the deviation of each bin from spectra (B, T, 2, bins)."""
        features = log_features(spectra)
        mean, deviation = features.mean((0, 1)), features.std((0, 1)).clamp_min(0.5)
        for part in (self.encoder.scaling, self.decoder.scaling):
            part.mean.copy_(mean)
            part.deviation.copy_(deviation)

    def encode(self, samples: Tensor) -> Tensor:
        """Return the latents (B, n, latent_width) of samples (B, 2, N); the last is filled up."""
        latents: Tensor = self.encoder(
            log_features(self.spectra(samples)), self.encoder.start(len(samples))
        )[0]
        return latents

    def frames(self, latents: Tensor) -> Frames:
        """Return what is said of the very frames of latents: the lookahead is made up for."""
        ahead = self.config.lookahead
        if ahead:
            latents = torch.cat([latents, latents[:, -1:].expand(-1, ahead, -1)], dim=1)
        said: Frames = self.decoder(latents, self.decoder.start(len(latents)))[0]
        return said.since(ahead * self.config.latent_frames)

    def decode(self, latents: Tensor) -> Tensor:
        """Return the samples (B, 2, n * latent_samples) of latents, as they are played."""
        said = self.frames(latents)
        batch, _, channels, bins = said.level.shape
        start = pi * self.table[-channels * bins :].view(1, channels, bins).expand(batch, -1, -1)
        ahead = self.config.lookahead * self.config.latent_frames
        return self.sound(said, start, ahead)

    def sound(self, said: Frames, start: Tensor, first: int = 0) -> Tensor:
        """Return samples (B, 2, T * hop) of T frames, from phases ``start`` (B, 2, bins).

        ``first`` is the number of the first frame, from which its noise follows.
        """
        with autocast(said.level.device, enabled=False):
            turn = self._phases(said, start)
            turn = turn + pi * said.noise[..., self.bands] * self._drawn(first, turn.shape[1])
            loud = torch.exp(said.level.clamp(max=LEVEL_CAP))
            spectra = torch.polar(loud, turn + self.parity).transpose(1, 2)
            spectra = F.pad(spectra, (0, 0, 0, self.framing.overlap - 1))
            return left_right(synthesise(spectra, self.framing))

    def _drawn(self, first: int, frames: int) -> Tensor:
        """Return the noise (T, 2, bins) of frames."""
        bins = self.framing.bins
        at = torch.from_numpy(noise_offsets(first, frames)).to(self.table.device)
        each = torch.arange(2 * bins, device=self.table.device)
        return self.table[at[:, None] + each].view(frames, 2, bins)

    def _phases(self, said: Frames, start: Tensor) -> Tensor:
        """Return the phases (B, T, 2, bins); gradients reach the last advance alone."""
        batch, frames, channels, bins = said.level.shape
        with torch.no_grad():
            level = said.level.reshape(-1, 1, bins)
            owner = F.max_pool1d(level, 2 * REACH + 1, 1, REACH, return_indices=True)[1]
            owner = owner.view(batch, frames, channels, bins)
        step = said.advance.gather(-1, owner)
        with torch.no_grad():
            whole = step + self.middles[owner]
            whole = whole - 2 * pi * torch.round(whole / (2 * pi))
            now, tracks = start, []
            for at in range(frames):
                now = now.gather(-1, owner[:, at]) + whole[:, at]
                tracks.append(now)
            phases = torch.stack(tracks, dim=1)
        return phases + (step - step.detach())

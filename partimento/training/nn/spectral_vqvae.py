"""A VQ-VAE whose frames are spectra: log magnitudes in, levels and phase advances out.

One level of a hierarchy of separate ones. Features are the natural logarithms of the magnitudes of
mono sound, (B, T, bins), of the lowest bins alone. The decoder says for every frame how loud each
bin is and by how much its phase advances, and for bands how much of them is noise, as
``nn/codec.py`` does; ``representations/phase_tracks.py`` makes sound of it. Every block sees as far
ahead as back, so what is said of a code depends on `CodesConfig.reach` codes on either side.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor, nn

from partimento.representations.phase_tracks import band_of_bin
from partimento.representations.spectra import Framing
from partimento.runtime.audio_tokens.presets import CodesConfig
from partimento.training.device import autocast
from partimento.training.nn.codec import NOISE_BANDS, SURE, UNSURE, log_features
from partimento.training.nn.convnext import CentredBlock, CentredStack
from partimento.training.nn.quantisers import (
    Gaussian,
    Quantised,
    ResidualQuantiser,
    ScalarQuantiser,
    VectorQuantiser,
)
from partimento.training.nn.spectral import analyse

__all__ = ["SpectralDecoder", "SpectralEncoder", "SpectralFrames", "SpectralVQVAE", "codebook_of"]

Bottleneck = Gaussian | ResidualQuantiser | ScalarQuantiser | VectorQuantiser

_FIRST_LEVEL = -3.0
_LITTLE = 0.1  # of what fresh blocks add


@dataclass(frozen=True)
class SpectralFrames:
    """What a decoder says: levels and advances (B, T, bins), certainty (B, T, bands)."""

    level: Tensor
    advance: Tensor
    certainty: Tensor

    @property
    def noise(self) -> Tensor:
        """How much of a band is noise, 0..1 (B, T, bands)."""
        return ((SURE - self.certainty) / (SURE - UNSURE)).clamp(0, 1)


class _Scaling(nn.Module):
    """The mean and the deviation of each bin of the features, as the training music has them."""

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.full((bins,), _FIRST_LEVEL))
        self.register_buffer("deviation", torch.full((bins,), 2.0))


class SpectralEncoder(nn.Module):
    """Log magnitudes (B, T, bins) to vectors (B, n, numbers), several a frame or one of several."""

    def __init__(self, config: CodesConfig, level: int, numbers: int) -> None:
        super().__init__()
        self.joins, width = config.joins(level), config.encoder_widths[level]
        self.split, self.numbers = config.split(level), numbers
        self.scaling = _Scaling(config.bins)
        self.enter = nn.Linear(config.bins, width)
        counts = [config.frame_blocks, *(config.code_blocks for _ in self.joins)]
        self.stacks = nn.ModuleList(
            CentredStack(width, count, config.kernel, config.expansion) for count in counts
        )
        self.joined = nn.ModuleList(nn.Linear(many * width, width) for many in self.joins)
        self.leave = nn.Linear(width, self.split * numbers)

    def forward(self, features: Tensor) -> Tensor:
        """Return the vectors."""
        x = self.enter((features - self.scaling.mean) / self.scaling.deviation)
        x = self.stacks[0](x)
        for many, join, stack in zip(self.joins, self.joined, self.stacks[1:], strict=True):
            x = stack(join(x.reshape(x.shape[0], -1, many * x.shape[2])))
        out: Tensor = self.leave(x)
        return out.reshape(len(out), -1, self.numbers)


class SpectralDecoder(nn.Module):
    """Vectors (B, n, numbers) to what is said of n * frames frames."""

    def __init__(self, config: CodesConfig, level: int, numbers: int) -> None:
        super().__init__()
        self.splits, width = tuple(reversed(config.joins(level))), config.width
        self.bins, self.joined = config.bins, config.split(level) * numbers
        self.scaling = _Scaling(config.bins)
        self.enter = nn.Linear(self.joined, width)
        counts = [config.code_blocks for _ in self.splits] + [config.frame_blocks]
        if not self.splits:  # codes are frames
            counts = [config.code_blocks + config.frame_blocks]
        self.stacks = nn.ModuleList(
            CentredStack(width, count, config.kernel, config.expansion) for count in counts
        )
        self.split = nn.ModuleList(nn.Linear(width, many * width) for many in self.splits)
        self.head = nn.Linear(width, 2 * config.bins)
        self.noise = nn.Linear(width, NOISE_BANDS)
        with torch.no_grad():
            # The first phases are even; for the levels see `SpectralVQVAE.measure`.
            self.head.weight.mul_(0.1)
            self.head.bias.zero_()
            self.noise.weight.mul_(0.1)
            self.noise.bias.fill_(1.0)

    def forward(self, vectors: Tensor) -> SpectralFrames:
        """Return the frames."""
        x = self.stacks[0](self.enter(vectors.reshape(len(vectors), -1, self.joined)))
        for split, stack in zip(self.split, self.stacks[1:], strict=True):
            width = x.shape[2]
            x = stack(split(x).reshape(x.shape[0], -1, width))
        with autocast(x.device, enabled=False):
            said = self.head(x.float())
            level = self.scaling.mean + self.scaling.deviation * said[..., : self.bins]
            certainty = torch.sigmoid(self.noise(x.float()))
        return SpectralFrames(level, said[..., self.bins :], certainty)


def codebook_of(config: CodesConfig, level: int) -> VectorQuantiser:
    """Return the codebook of a level, before its first batch."""
    return VectorQuantiser(
        config.entries[level],
        config.code_width,
        commitment=config.commitment,
        decay=config.decay,
        restart_below=config.restart_below,
    )


class SpectralVQVAE(nn.Module):
    """One level: an encoder, a bottleneck and a decoder of its own; it shares nothing.

    ``quantiser`` None takes the codebook of the level. ``numbers`` are those of the encoder's
    vectors where they are not the decoder's, as the means and variances of a VAE.
    """

    def __init__(
        self,
        config: CodesConfig,
        level: int,
        quantiser: Bottleneck | None = None,
        numbers: int | None = None,
    ) -> None:
        super().__init__()
        self.config, self.level = config, level
        self.framing = Framing(config.size, config.hop)
        self.quantiser: Bottleneck = quantiser or codebook_of(config, level)
        width = self.quantiser.width
        self.encoder = SpectralEncoder(config, level, numbers or width)
        self.decoder = SpectralDecoder(config, level, width)
        bands = torch.tensor(band_of_bin(config.bins, NOISE_BANDS))
        self.bands: Tensor
        self.register_buffer("bands", bands, persistent=False)
        turns = torch.arange(config.bins) % self.framing.overlap
        self.middles: Tensor
        self.register_buffer("middles", turns * (2 * pi / self.framing.overlap), persistent=False)

    def spectra(self, samples: Tensor) -> Tensor:
        """Return the spectra (B, T, bins) of mono samples (B, N), N whole codes."""
        spectra = analyse(samples, self.framing)[:, : samples.shape[-1] // self.framing.hop]
        return spectra[..., : self.config.bins]

    def measure(self, spectra: Tensor) -> None:
        """Take the mean and the deviation of each bin from spectra (B, T, bins), and begin as PCA.

        Encoder and decoder begin as the projection of the features to their principal components
        and back, the blocks between adding little: what takes a network from noise thousands of
        steps to find (which bins sound together) is there from the first one.
        """
        features = log_features(spectra)
        mean, deviation = features.mean((0, 1)), features.std((0, 1)).clamp_min(0.5)
        for part in (self.encoder.scaling, self.decoder.scaling):
            part.mean.copy_(mean)
            part.deviation.copy_(deviation)
        scaled = ((features - mean) / deviation).flatten(0, 1)
        parts = torch.linalg.svd(scaled - scaled.mean(0), full_matrices=False)[2]
        _begin_as(self.encoder, self.decoder, parts)

    def encode(self, samples: Tensor) -> Tensor:
        """Return the codes (B, n) of mono samples (B, n * hop)."""
        assert not isinstance(self.quantiser, Gaussian)
        return self.quantiser.codes_of(self.encoder(log_features(self.spectra(samples))))

    def decode(self, codes: Tensor) -> SpectralFrames:
        """Return what is said of the frames of codes (B, n)."""
        assert not isinstance(self.quantiser, Gaussian)
        said: SpectralFrames = self.decoder(self.quantiser.vectors_of(codes))
        return said

    def forward(self, spectra: Tensor) -> tuple[SpectralFrames, Quantised]:
        """Return what is said of spectra after they went through the codebook."""
        quantised: Quantised = self.quantiser(self.encoder(log_features(spectra)))
        return self.decoder(quantised.vectors), quantised


@torch.no_grad()
def _begin_as(encoder: SpectralEncoder, decoder: SpectralDecoder, parts: Tensor) -> None:
    """Let an encoder and a decoder begin as principal components (n, bins) of the features.

    What is joined in time is averaged; of several codes a frame each gets every so many components.
    """
    numbers, split = encoder.leave.out_features // encoder.split, encoder.split
    inputs = decoder.enter.in_features // split
    widths = (encoder.leave.in_features, decoder.enter.out_features)
    count = min(len(parts), *widths, split * min(numbers, inputs))
    kept = parts[:count]
    places = torch.arange(count)
    for block in (*encoder.modules(), *decoder.modules()):
        if isinstance(block, CentredBlock):
            block.scale.mul_(_LITTLE)
    _as_matrix(encoder.enter, kept)
    for join in encoder.joined:
        assert isinstance(join, nn.Linear)
        many = join.in_features // join.out_features
        _as_matrix(join, torch.cat([torch.eye(join.out_features) / many] * many, dim=1))
    for part in decoder.split:
        assert isinstance(part, nn.Linear)
        many = part.out_features // part.in_features
        _as_matrix(part, torch.cat([torch.eye(part.in_features)] * many))
    # Component i is number i // split of code i % split.
    spread = torch.zeros(split * numbers, count)
    spread[(places % split) * numbers + places // split, places] = 1
    _as_matrix(encoder.leave, spread)
    gathered = torch.zeros(count, split * inputs)
    gathered[places, (places % split) * inputs + places // split] = 1
    _as_matrix(decoder.enter, gathered)
    bins = decoder.bins
    decoder.head.weight[:bins] = 0
    decoder.head.weight[:bins, :count] = kept.T
    decoder.head.bias[:bins] = 0


def _as_matrix(layer: nn.Linear, matrix: Tensor) -> None:
    """Let a layer begin as a matrix in its first rows and columns, nothing elsewhere."""
    layer.weight.zero_()
    layer.bias.zero_()
    layer.weight[: len(matrix), : matrix.shape[1]] = matrix

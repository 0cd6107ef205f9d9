"""The networks of TTS-GAN (Li et al. 2022, arXiv 2202.02691).

The parts that the paper names and where they live::

    the game, by least squares    -> training.py  TTSGANTask.discriminator_loss, game_loss
    figure 2, generator           -> FreeGenerator
    figure 2, discriminator       -> Discriminator
    scaled dot-product attention  -> training/nn/transformer_encoder.py  EncoderAttention.forward

Shapes: B windows, L steps, V values a step, F features a step, C channels, Z and N noise. The
authors' program divides the attention's logits by the root of the whole width, which is a slip;
here it is the root of the width of a head, as in Vaswani et al. 2017.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from partimento.representations.performance_curves import PerformanceCurves
from partimento.runtime.curves.generator import SeriesNetwork, SeriesPreset
from partimento.training.nn.quantiles import Calibration
from partimento.training.nn.transformer_encoder import EncoderBlock

__all__ = [
    "Discriminator",
    "FreeGenerator",
    "ScoredGenerator",
    "discriminator",
    "network",
]

_FREE_VALUES = 3  # velocity, offset and onset of the one channel
_SMALL = 0.02


class FreeGenerator(nn.Module):
    """The published generator: a window of values (B, L, V) from noise (B, Z) alone."""

    def __init__(self, config: SeriesNetwork, steps: int) -> None:
        super().__init__()
        self.steps, self.width = steps, config.width
        self.latent = nn.Linear(config.latent, steps * config.width)
        self.places = nn.Parameter(torch.zeros(steps, config.width))
        self.blocks = nn.ModuleList(
            EncoderBlock(config.width, config.heads, config.dropout) for _ in range(config.layers)
        )
        self.head = nn.Linear(config.width, _FREE_VALUES)
        self.calibration = Calibration(_FREE_VALUES)

    def forward(self, noise: Tensor, grain: Tensor, condition: Tensor) -> Tensor:
        """Return (B, L, 3); ``grain`` and ``condition`` are for its sibling."""
        x = self.latent(noise).view(-1, self.steps, self.width) + self.places
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.calibration(self.head(x))
        return out


class ScoredGenerator(nn.Module):
    """Curves (B, L, 2 C) for given onsets: its sibling, conditioned on the score at each step.

    Velocities come first, then offsets, both -1..1. The noise of the window says what kind of
    playing it is, the grain of each step what happens there; on many windows of the same onsets
    they are all that differs.
    """

    def __init__(self, config: SeriesNetwork, curves: PerformanceCurves) -> None:
        super().__init__()
        width = config.width
        self.latent = nn.Linear(config.latent, width)
        self.grain = nn.Linear(config.grain, width, bias=False)
        self.score = nn.Linear(curves.feature_count, width, bias=False)
        self.places = nn.Parameter(torch.randn(curves.steps, width) * _SMALL)
        self.blocks = nn.ModuleList(
            EncoderBlock(width, config.heads, config.dropout) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 2 * curves.channel_count)
        self.calibration = Calibration(2 * curves.channel_count)

    def forward(self, noise: Tensor, grain: Tensor, condition: Tensor) -> Tensor:
        """Return (B, L, 2 C) of noise (B, Z), grain (B, L, N) and condition (B, L, F)."""
        x = self.latent(noise)[:, None] + self.grain(grain) + self.score(condition) + self.places
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.calibration(torch.tanh(self.head(self.norm(x))))
        return out


class Discriminator(nn.Module):
    """The published discriminator: one logit (B,) of a window (B, L, values), read in patches.

    Patches are projected, a token of its own stands before them, and the mean over all is judged.
    """

    def __init__(self, config: SeriesNetwork, steps: int, values: int) -> None:
        super().__init__()
        width = config.discriminator_width
        self.patch = config.patch
        self.embedding = nn.Linear(config.patch * values, width)
        # The authors draw these at a deviation of 1, which drowns the patches: the discriminator
        # then says one half of everything for thousands of steps.
        self.token = nn.Parameter(torch.randn(1, 1, width) * _SMALL)
        self.places = nn.Parameter(torch.randn(steps // config.patch + 1, width) * _SMALL)
        self.blocks = nn.ModuleList(
            EncoderBlock(width, config.discriminator_heads, config.discriminator_dropout)
            for _ in range(config.discriminator_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 1)

    def forward(self, values: Tensor) -> Tensor:
        """Return (B,) of (B, L, values)."""
        batch, length, width = values.shape
        patches = values.reshape(batch, length // self.patch, self.patch * width)
        x = torch.cat([self.token.expand(batch, -1, -1), self.embedding(patches)], dim=1)
        x = x + self.places
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.head(self.norm(x.mean(1)))[:, 0]
        return out


def network(preset: SeriesPreset) -> FreeGenerator | ScoredGenerator:
    """Return the generator of a preset."""
    curves = PerformanceCurves.of_spec(preset.representation)
    if preset.network.kind == "free":
        return FreeGenerator(preset.network, curves.steps)
    return ScoredGenerator(preset.network, curves)


def discriminator(preset: SeriesPreset) -> Discriminator:
    """Return the discriminator of a preset; a scored one reads the score beside the values."""
    curves = PerformanceCurves.of_spec(preset.representation)
    values = _FREE_VALUES
    if preset.network.kind == "scored":
        values = 2 * curves.channel_count + curves.feature_count
    return Discriminator(preset.network, curves.steps, values)

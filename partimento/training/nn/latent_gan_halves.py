"""The published GAN of latents (Pasini and Schlueter 2022, official code, 44 kHz).

::

    256 latents as two independent halves of 128   -> HalvesGenerator.forward
    coordinates and style, averaged for each level -> HalvesGenerator.forward
    x / deviation over time, scaled by them        -> _Scaled
    x2 upsamplings with pixel-shuffle skips        -> _Doubling
    strided residual discriminator over both halves       -> HalvesDiscriminator

Both halves are seen by the discriminator together, which is how the seam between them is learnt.
Shapes as in ``latent_gan.py``; arrays inside are (B, W, T).
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from partimento.errors import ConfigError
from partimento.runtime.audio.presets import GameConfig

__all__ = ["BASE", "HalvesDiscriminator", "HalvesGenerator"]

BASE = 128
_UP = (7, 6, 5, 4, 3, 2)  # times the base: widths from 4 latents to 128
_DOWN = (3, 4, 5, 6, 7, 7)
_ROOT = math.sqrt(0.5)
_SLOPE = 0.2
_LEAST = 1e-5
_FEWEST = 4  # latents at the narrow end of a half


class _Noise(nn.Module):
    """x + b noise, one noise for all channels."""

    def __init__(self) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.strength * torch.randn_like(x[:, :1])


class _Scaled(nn.Module):
    """swish(x / deviation over time * line(inputs)), after noise."""

    def __init__(self, width: int, inputs: int) -> None:
        super().__init__()
        self.noise = _Noise()
        self.line = nn.Conv1d(inputs, width, 1)

    def forward(self, x: Tensor, inputs: Tensor) -> Tensor:
        x = self.noise(x)
        x = x / (x.std(dim=2, keepdim=True, unbiased=False) + _LEAST)
        return F.silu(x * self.line(inputs))


class _Doubling(nn.Module):
    """(B, W, n) to (B, V, 2 n): two convolutions beside a pixel shuffle."""

    def __init__(self, width: int, out: int, inputs: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose1d(width, out, 4, stride=2, padding=1)
        self.first = _Scaled(out, inputs)
        self.conv = nn.Conv1d(out, out, 4)
        self.second = _Scaled(out, inputs)
        self.skip = nn.Conv1d(width // 2, out, 1)

    def forward(self, x: Tensor, inputs: Tensor) -> Tensor:
        y = _ROOT * self.first(self.up(x), inputs)
        y = _ROOT * self.second(self.conv(F.pad(y, (1, 2))), inputs)
        batch, width, length = x.shape
        shuffled = x.view(batch, width // 2, 2, length).transpose(2, 3)
        out: Tensor = y + self.skip(shuffled.reshape(batch, width // 2, 2 * length))
        return out


class HalvesGenerator(nn.Module):
    """Latents (B, crop, L) of coordinates and style (B, crop, F), made as two halves.

    Raises:
        ConfigError: if a crop is not 8 latents times a power of two.
    """

    margin = 0

    def __init__(self, config: GameConfig, latents: int, base: int = BASE) -> None:
        super().__init__()
        half = config.crop // 2
        doublings = len(_UP) - 1
        if half != _FEWEST * 2**doublings:
            raise ConfigError("game.crop", f"the published game is of {8 * 2**doublings} latents")
        inputs = config.coordinate + config.style + config.noise + config.conditions
        widths = [base * times for times in _UP]
        self.first = nn.Linear(_FEWEST // 2 * inputs, _FEWEST * widths[0])
        self.start = _Scaled(widths[0], inputs)
        self.levels = nn.ModuleList(_Doubling(a, b, inputs) for a, b in pairwise(widths[:-1]))
        self.up = nn.ConvTranspose1d(widths[-2], widths[-1], 4, stride=2, padding=1)
        self.last = _Scaled(widths[-1], inputs)
        self.head = nn.Conv1d(widths[-1], latents, 4)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (B, crop, L); the published head is not bounded."""
        halves = torch.cat(inputs.transpose(1, 2).chunk(2, dim=2))
        levels = [halves]
        while levels[-1].shape[2] > _FEWEST // 2:
            levels.append(F.avg_pool1d(levels[-1], 2))
        narrow = self.first(levels.pop().transpose(1, 2).flatten(1))
        x = narrow.view(len(halves), _FEWEST, -1).transpose(1, 2)
        x = self.start(x, levels.pop())
        for level in self.levels:
            x = level(x, levels.pop())
        x = self.last(self.up(x), levels.pop())
        left, right = self.head(F.pad(x, (1, 2))).chunk(2)
        return torch.cat([left, right], dim=2).transpose(1, 2).float()


class _Residual(nn.Module):
    """(B, W, n) to (B, V, n / 2)."""

    def __init__(self, width: int, out: int, kernel: int = 4) -> None:
        super().__init__()
        self.kernel = kernel
        self.first = nn.Conv1d(width, width, kernel)
        self.second = nn.Conv1d(width, out, 4, stride=2, padding=1)
        self.skip = nn.Conv1d(width, out, 1, bias=False) if width != out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = F.pad(x, ((self.kernel - 1) // 2, self.kernel // 2))
        y = _ROOT * F.leaky_relu(self.first(y), _SLOPE)
        y = _ROOT * F.leaky_relu(self.second(y), _SLOPE)
        out: Tensor = y + self.skip(F.avg_pool1d(x, 2))
        return out


class HalvesDiscriminator(nn.Module):
    """One verdict (B, 1) on crops of latents (B, crop, L); it sees no conditions but its own.

    ``mean`` and ``whiten`` are there for the game; as published, latents are seen as they are.
    """

    def __init__(self, config: GameConfig, latents: int, base: int = BASE) -> None:
        super().__init__()
        widths = [base * times for times in _DOWN]
        self.enter = nn.Conv1d(latents + config.conditions, widths[0], 4, stride=2, padding=1)
        kernels = [4] * (len(widths) - 2) + [1]
        self.blocks = nn.ModuleList(
            _Residual(a, b, kernel)
            for a, b, kernel in zip(widths[:-1], widths[1:], kernels, strict=True)
        )
        self.last = nn.Conv1d(widths[-1], widths[-1], 3, padding=1)
        self.head = nn.Linear(widths[-1] * (config.crop // 2 ** len(widths)), 1)
        self.r1: Tensor
        self.mean: Tensor
        self.whiten: Tensor
        self.register_buffer("r1", torch.tensor(float(config.r1[0])))
        self.register_buffer("mean", torch.zeros(latents))
        self.register_buffer("whiten", torch.eye(latents))

    def forward(self, latents: Tensor, conditions: Tensor) -> tuple[Tensor, ...]:
        """Return the one head's logit (B, 1)."""
        return self.heads(self.features(latents, conditions))

    def standard(self, latents: Tensor) -> Tensor:
        """Return latents as the discriminator is to see them."""
        return (latents - self.mean) @ self.whiten

    def features(self, latents: Tensor, conditions: Tensor) -> tuple[Tensor, ...]:
        """Return (B, W, n) of each level."""
        x = torch.cat([latents, conditions], dim=-1).transpose(1, 2)
        x = F.leaky_relu(self.enter(x), _SLOPE)
        out = []
        for block in self.blocks:
            x = block(x)
            out.append(x)
        return tuple(out)

    def heads(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the logit of features."""
        x = F.leaky_relu(self.last(features[-1]), _SLOPE)
        return (self.head(x.transpose(1, 2).flatten(1)),)

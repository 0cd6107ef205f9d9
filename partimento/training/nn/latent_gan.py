"""The streaming generator of latents, its discriminator, and a predictor of conditions.

Shapes: B windows, T latents, F inputs a latent, L numbers a latent, C conditions. Arrays are
(B, T, .) outside, channel-last.

::

    inputs: coordinates, style, noise, conditions     -> draw_inputs  (of any place: see
                                                         representations/latent_coordinates.py)
    generator: ConvNeXt blocks, scaled and shifted
        by the style of each latent                   -> StreamingGenerator, StyledBlock
    discriminator of two adjacent windows and their
        conditions: strided residual network          -> LatentDiscriminator
    conditions predicted from latents                 -> ConditionPredictor

The generator knows no places: latents a to b depend on the inputs a - margin to b + margin alone,
so that any piece of an endless stream can be made by itself.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from partimento.representations.latent_coordinates import Interpolation
from partimento.runtime.audio.presets import GameConfig
from partimento.training.device import autocast

__all__ = [
    "ConditionPredictor",
    "LatentDiscriminator",
    "StreamingGenerator",
    "StyledBlock",
    "draw_inputs",
    "draw_path",
]

_SCALE = 0.2  # of a fresh block's part in the sum
_WHISPER = 0.3
_STRAIGHT = 1e-4
_SLOPE = 0.2  # of the discriminator's leaky units
_FINE = 2  # halvings of time after which the discriminator's near-sighted head judges
_DILATIONS = (1, 2, 4)


def draw_path(
    count: int,
    length: int,
    width: int,
    every: int,
    interpolation: Interpolation,
    device: torch.device,
) -> Tensor:
    """Return (count, length, width): stretches of paths along fresh anchors, at random places.

    As ``LatentCoordinates`` has it, for many seeds at once on the device of the network.
    """
    anchors = torch.randn(count, 2 + (length - 1 + every - 1) // every, width, device=device)
    at = torch.randint(every, (count, 1), device=device) + torch.arange(length, device=device)
    index, steps = at // every, (at % every).float() / every
    rows = torch.arange(count, device=device)[:, None]
    one, other = anchors[rows, index], anchors[rows, index + 1]
    near, far = 1 - steps, steps
    if interpolation == "slerp":
        cosine = F.cosine_similarity(anchors[:, :-1], anchors[:, 1:], dim=-1)
        angle = cosine.clamp(-1, 1).acos()[rows, index]
        curved = torch.minimum(angle, math.pi - angle) > _STRAIGHT
        sine = torch.where(curved, angle.sin(), torch.ones_like(angle))
        near = torch.where(curved, ((1 - steps) * angle).sin() / sine, near)
        far = torch.where(curved, (steps * angle).sin() / sine, far)
    return near[..., None] * one + far[..., None] * other


def draw_inputs(config: GameConfig, conditions: Tensor) -> Tensor:
    """Return (B, T, F): random coordinates, styles and noise for given conditions (B, T, C).

    Half of the styles stand still, the rest move at a strength of 0..1.
    """
    count, length = conditions.shape[:2]
    device = conditions.device
    path = draw_path(
        count, length, config.coordinate, config.anchor_every, config.interpolation, device
    )
    fixed = torch.randn(count, 1, config.style, device=device)
    track = draw_path(count, length, config.style, config.style_every, config.interpolation, device)
    moved = torch.rand(count, 1, 1, device=device) * (torch.rand(count, 1, 1, device=device) < 0.5)
    style = (1 - moved.square()).sqrt() * fixed + moved * track
    noise = torch.randn(count, length, config.noise, device=device)
    return torch.cat([path, style, noise, conditions], dim=-1)


class StyledBlock(nn.Module):
    """x + gamma MLP(scale LN(conv(x)) + shift): scale and shift come of the style, per latent."""

    def __init__(self, width: int, kernel: int, expansion: int, style: int) -> None:
        super().__init__()
        self.width = width
        self.near = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.style = nn.Linear(style, 2 * width)
        self.up = nn.Linear(width, expansion * width)
        self.down = nn.Linear(expansion * width, width)
        self.gamma = nn.Parameter(torch.full((width,), _SCALE))
        nn.init.normal_(self.style.weight, std=0.3 / math.sqrt(style))
        nn.init.zeros_(self.style.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Return (B, T, W)."""
        near = self.near(x.transpose(1, 2)).transpose(1, 2)
        scale, shift = self.style(style).chunk(2, dim=-1)
        y = F.layer_norm(near, (self.width,)) * (1 + scale) + shift
        out: Tensor = x + self.gamma * self.down(F.gelu(self.up(y)))
        return out


class StreamingGenerator(nn.Module):
    """Latents (B, T, L) of inputs (B, T, F); those nearer than ``margin`` to an edge are not whole.

    ``center`` (L,) and ``mix`` (L, L) say how the music's latents lie before the tanh, so that
    learning begins in their midst and has the same way to go in all directions; ``usual`` and
    ``unusual`` (C,) are mean and deviation of the music's conditions.
    """

    def __init__(self, config: GameConfig, latents: int) -> None:
        super().__init__()
        self.config, self.margin = config, config.margin
        width = config.width
        inner = config.coordinate + config.noise + config.conditions
        self.enter = nn.Linear(inner, width)
        self.blocks = nn.ModuleList(
            StyledBlock(width, config.kernel, config.expansion, config.style)
            for _ in range(config.blocks)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, latents)
        self.center: Tensor
        self.mix: Tensor
        self.usual: Tensor
        self.unusual: Tensor
        self.register_buffer("usual", torch.zeros(config.conditions))
        self.register_buffer("unusual", torch.ones(config.conditions))
        self.register_buffer("center", torch.zeros(latents))
        self.register_buffer("mix", torch.eye(latents))
        nn.init.normal_(self.head.weight, std=1 / math.sqrt(width))
        with torch.no_grad():
            # Music moves slowly: what differs from latent to latent begins as a whisper.
            noisy = slice(config.coordinate, config.coordinate + config.noise)
            self.enter.weight[:, noisy] *= _WHISPER

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (B, T, L) in -1..1, in fp32."""
        first = self.config.coordinate
        last = first + self.config.style
        free = last + self.config.noise
        style, told = inputs[..., first:last], (inputs[..., free:] - self.usual) / self.unusual
        x = self.enter(torch.cat([inputs[..., :first], inputs[..., last:free], told], dim=-1))
        for block in self.blocks:
            x = block(x, style)
        return torch.tanh(self.center + self.head(self.norm(x)).float() @ self.mix)


class _Halving(nn.Module):
    """A residual block that halves the time (B, W, n) -> (B, W, n / 2)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(width, width, 3, padding=1)
        self.second = nn.Conv1d(width, width, 4, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(F.leaky_relu(x, _SLOPE))
        y = self.second(F.leaky_relu(y, _SLOPE))
        out: Tensor = (F.avg_pool1d(x, 2) + y) * math.sqrt(0.5)
        return out


class LatentDiscriminator(nn.Module):
    """Verdicts on windows of white latents (B, T, L) with their conditions (B, T, C).

    Three heads: near-sighted (a verdict every fourth latent), far-sighted (after all halvings) and
    one of the whole. ``r1`` is the weight of the gradient penalty, which adapts.
    """

    def __init__(self, config: GameConfig, latents: int) -> None:
        super().__init__()
        width = config.discriminator_width
        self.enter = nn.Conv1d(latents + config.conditions, width, 3, padding=1)
        self.blocks = nn.ModuleList(_Halving(width) for _ in range(config.discriminator_blocks))
        self.fine = nn.Conv1d(width, 1, 1)
        self.last = nn.Conv1d(width, width, 3, padding=1)
        self.coarse = nn.Conv1d(width, 1, 1)
        self.whole = nn.Linear(2 * width, 1)
        self.r1: Tensor
        self.register_buffer("r1", torch.tensor(float(config.r1[0])))
        self.mean: Tensor
        self.whiten: Tensor
        self.register_buffer("mean", torch.zeros(latents))
        self.register_buffer("whiten", torch.eye(latents))
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.kaiming_normal_(module.weight, a=_SLOPE)
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, latents: Tensor, conditions: Tensor) -> tuple[Tensor, ...]:
        """Return the heads' logits, (B, n) each."""
        return self.heads(self.features(latents, conditions))

    def standard(self, latents: Tensor) -> Tensor:
        """Return latents as the discriminator is to see them: over the music, white."""
        with autocast(latents.device, enabled=False):
            return (latents.float() - self.mean) @ self.whiten

    def features(self, latents: Tensor, conditions: Tensor) -> tuple[Tensor, ...]:
        """Return (B, W, n) after each block."""
        x = self.enter(torch.cat([latents, conditions], dim=-1).transpose(1, 2))
        out = []
        for block in self.blocks:
            x = block(x)
            out.append(x)
        return tuple(out)

    def heads(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the logits of features."""
        fine = F.leaky_relu(features[min(_FINE, len(features)) - 1], _SLOPE)
        last = F.leaky_relu(self.last(F.leaky_relu(features[-1], _SLOPE)), _SLOPE)
        # What varies over the batch is what a generator that repeats itself lacks.
        mean = last.mean(dim=2)
        apart = (mean - mean.mean(dim=0)).square().mean(dim=0).add(1e-6).sqrt().expand_as(mean)
        whole = self.whole(torch.cat([mean, apart], dim=1))
        return self.fine(fine)[:, 0], self.coarse(last)[:, 0], whole


class ConditionPredictor(nn.Module):
    """Predicts conditions (B, T, C) from white latents (B, T, L)."""

    def __init__(self, latents: int, conditions: int, width: int = 128) -> None:
        super().__init__()
        self.enter = nn.Conv1d(latents, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Conv1d(width, width, 5, padding=2 * step, dilation=step) for step in _DILATIONS
        )
        self.conditions = conditions
        self.head = nn.Conv1d(width, conditions, 1) if conditions else nn.Identity()
        self.skill: Tensor
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("skill", torch.zeros(conditions))
        self.register_buffer("mean", torch.zeros(conditions))
        self.register_buffer("deviation", torch.ones(conditions))

    def forward(self, latents: Tensor) -> Tensor:
        """Return (B, T, C)."""
        x = self.enter(latents.transpose(1, 2))
        for block in self.blocks:
            x = x + block(F.gelu(x))
        out: Tensor = self.head(F.gelu(x)).transpose(1, 2)
        return out[..., : self.conditions]

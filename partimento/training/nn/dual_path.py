"""Dual-path diffusion (Lam et al. 2023, arXiv 2305.15719, section 4): noisy latents to velocities.

Latents z are (B, L, C) in M chunks, each at an angle of its own; the network is given the angle of
every frame::

    z_d = cos(d) z + sin(d) eps                      -> objectives/velocity.py
    v   = cos(d) eps - sin(d) z                      -> objectives/velocity.py
    angle embedding: slerp of two learnt vectors     -> AngleEmbedding.forward
    segments of K frames, half overlapping           -> segments, overlap_add
    coarse path: columns merged, RoFormer over the
      segments with cross-attention to the tokens    -> CoarsePath.forward
    fine path: bidirectional SRU inside a segment,
      FiLM of angle and mean token                   -> FinePath.forward
    in and out, Add + RMSNorm after both paths       -> DualPath.forward

Without guidance (a tenth of the rows in training) the segments attend to themselves in place of the
tokens, which is what classifier-free guidance holds the prediction against.

`DualPath` is the network as it is published. `AlignedDualPath`, its sibling, is for latents that
are as many as the tokens: FiLM takes the token and the guide of the frame itself, not the segment's
mean. How columns are merged, how deep the RoFormer is and where FiLM stands the paper does not say
in full; `paper` takes what comes nearest to its 296.6 million weights.

Shapes: B batch, L frames, K frames a segment, S segments, T tokens, W width, A width of angles.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from partimento.runtime.audio.diffusion_presets import DiffusionConfig
from partimento.training.nn.attention import ROTARY_BASE, apply_rotary
from partimento.training.nn.sru import BidirectionalGRU, BidirectionalSRU

__all__ = [
    "AlignedDualPath",
    "AngleEmbedding",
    "CoarsePath",
    "DualPath",
    "FinePath",
    "RMSNorm",
    "dual_path",
    "overlap_add",
    "segments",
]

_APART = -1e4  # added to what must not be attended to
_RECURRENCES = {"sru": BidirectionalSRU, "gru": BidirectionalGRU}


class RMSNorm(nn.Module):
    """x over the root of its mean square, times a learnt scale (Zhang and Sennrich 2019)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., W), in the number format of ``x``."""
        size = x.float().square().mean(-1, keepdim=True)
        return x * (torch.rsqrt(size + 1e-6)).to(x) * self.weight.to(x)


def segments(x: Tensor, size: int) -> Tensor:
    """Return (B, S, K, W) of (B, L, W), S = 2 L / K + 1; zeros lead and follow."""
    half = size // 2
    padded = F.pad(x, (0, 0, half, half))
    halves = padded.reshape(x.shape[0], -1, half, x.shape[2])
    return torch.cat([halves[:, :-1], halves[:, 1:]], dim=2)


def overlap_add(parts: Tensor) -> Tensor:
    """Return (B, L, W) of segments (B, S, K, W): each frame is the mean of the two that hold it."""
    batch, count, size, width = parts.shape
    half = size // 2
    first, second = parts[:, 1:, :half], parts[:, :-1, half:]
    return ((first + second) * 0.5).reshape(batch, (count - 1) * half, width)


class AngleEmbedding(nn.Module):
    """Angles (B, L), 0 to pi / 2, to (B, L, A): on the arc between two learnt vectors."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.ends = nn.Parameter(torch.randn(2, width))

    def forward(self, angles: Tensor) -> Tensor:
        """Return slerp(start, end; angle / (pi / 2)), times the root of the width."""
        start, end = F.normalize(self.ends, dim=-1).unbind(0)
        apart = torch.acos((start * end).sum().clamp(-0.999, 0.999))
        share = (angles * (2 / math.pi))[..., None]
        mixed = torch.sin((1 - share) * apart) * start + torch.sin(share * apart) * end
        return mixed / torch.sin(apart) * math.sqrt(self.ends.shape[1])


def _rotations(places: Tensor, head_width: int) -> tuple[Tensor, Tensor]:
    """Return cos and sin (n, D / 2) of places that need not be whole numbers."""
    exponent = torch.arange(0, head_width, 2, device=places.device) / head_width
    angle = places.float()[:, None] * ROTARY_BASE**-exponent
    return angle.cos(), angle.sin()


class _Attention(nn.Module):
    """Multi-head attention with rotary places of queries and keys."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(
        self, x: Tensor, other: Tensor, places: tuple[Tensor, Tensor], mask: Tensor | None
    ) -> Tensor:
        """Return (B, S, W): ``x`` (B, S, W) attends to ``other`` (B, T, W)."""
        batch, width = x.shape[0], x.shape[2]

        def split(y: Tensor) -> Tensor:
            return y.view(batch, y.shape[1], self.heads, -1).transpose(1, 2)  # (B, H, n, D)

        q, k, v = split(self.query(x)), split(self.key(other)), split(self.value(other))
        depth = width // self.heads
        q = apply_rotary(q, *(part.to(q) for part in _rotations(places[0], depth)))
        k = apply_rotary(k, *(part.to(k) for part in _rotations(places[1], depth)))
        logits = q @ k.transpose(-1, -2) / math.sqrt(depth)
        if mask is not None:
            logits = logits + mask
        mixed = torch.softmax(logits.float(), dim=-1).to(v) @ v
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, -1, width))
        return out


class _RoFormerLayer(nn.Module):
    """Self-attention, cross-attention and a feed-forward network, each behind a norm."""

    def __init__(self, config: DiffusionConfig) -> None:
        super().__init__()
        width = config.width
        self.norms = nn.ModuleList(RMSNorm(width) for _ in range(3))
        self.own, self.cross = _Attention(width, config.heads), _Attention(width, config.heads)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(
        self, x: Tensor, tokens: Tensor, given: Tensor, places: tuple[Tensor, Tensor]
    ) -> Tensor:
        """Return (B, S, W); where ``given`` (B,) is 0 the segments stand in for the tokens."""
        own, cross, last = self.norms
        y = own(x)
        x = x + self.own(y, y, (places[0], places[0]), None)
        y = cross(x)
        both = torch.cat([tokens, y], dim=1)  # (B, T + S, W)
        hidden = torch.cat(
            [
                (1 - given)[:, None].expand(-1, tokens.shape[1]),
                given[:, None].expand(-1, y.shape[1]),
            ],
            dim=1,
        )
        mask = (hidden * _APART)[:, None, None]  # (B, 1, 1, T + S)
        x = x + self.cross(y, both, (places[0], torch.cat([places[1], places[0]])), mask)
        out: Tensor = x + self.down(F.gelu(self.up(last(x))))
        return out


class CoarsePath(nn.Module):
    """The path across segments: each is one vector here."""

    def __init__(self, config: DiffusionConfig) -> None:
        super().__init__()
        self.merge = nn.Parameter(torch.full((config.segment, config.width), 1 / config.segment))
        self.layers = nn.ModuleList(_RoFormerLayer(config) for _ in range(config.coarse_layers))

    def forward(
        self, x: Tensor, tokens: Tensor, given: Tensor, places: tuple[Tensor, Tensor]
    ) -> Tensor:
        """Return (B, S, 1, W) of segments (B, S, K, W): to be repeated over the columns."""
        y = (x * self.merge).sum(dim=2)
        for layer in self.layers:
            y = layer(y, tokens, given, places)
        return y[:, :, None]


class FinePath(nn.Module):
    """The path within segments: a recurrence over K frames, its input modulated (FiLM)."""

    def __init__(self, config: DiffusionConfig) -> None:
        super().__init__()
        self.film = nn.Linear(config.angle_width + config.width, 2 * config.width)
        self.recurrence = _RECURRENCES[config.recurrence](
            config.width, config.hidden or config.width // 2
        )
        nn.init.normal_(self.film.weight, std=0.02)
        nn.init.zeros_(self.film.bias)

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        """Return (B, S, K, W); ``modulation`` is (B, S, K or 1, A + W)."""
        scale, shift = self.film(modulation).chunk(2, dim=-1)
        y = x * (1 + scale) + shift
        batch, count, size, width = y.shape
        out: Tensor = self.recurrence(y.reshape(batch * count, size, width))
        return out.reshape(batch, count, size, width)


class _Block(nn.Module):
    """A coarse path and a fine path, Add and RMSNorm after each."""

    def __init__(self, config: DiffusionConfig) -> None:
        super().__init__()
        self.coarse, self.fine = CoarsePath(config), FinePath(config)
        self.norms = nn.ModuleList(RMSNorm(config.width) for _ in range(2))

    def forward(
        self,
        x: Tensor,
        tokens: Tensor,
        given: Tensor,
        places: tuple[Tensor, Tensor],
        modulation: Tensor,
    ) -> Tensor:
        """Return segments (B, S, K, W)."""
        first, second = self.norms
        x = first(x + self.coarse(x, tokens, given, places))
        out: Tensor = second(x + self.fine(x, modulation))
        return out


class DualPath(nn.Module):
    """The velocity (B, L, C) of noisy latents, as published: FiLM takes a segment's mean token."""

    def __init__(self, config: DiffusionConfig, latent_width: int, vocabulary: int) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.enter = nn.Linear(latent_width, width)
        self.angle = AngleEmbedding(config.angle_width)
        self.enter_angle = nn.Linear(config.angle_width, width, bias=False)
        self.token = nn.Embedding(vocabulary, width)
        self.guide = nn.Linear(config.guide, width, bias=False) if config.guide else None
        self.style = (
            nn.Linear(config.style, config.angle_width, bias=False) if config.style else None
        )
        self.norm_in, self.norm_out = RMSNorm(width), RMSNorm(width)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.blocks))
        self.leave = nn.Linear(width, latent_width)
        with torch.no_grad():
            self.token.weight.mul_(0.5)
            self.leave.weight.mul_(0.1)

    def told(self, tokens: Tensor, guide: Tensor) -> Tensor:
        """Return (B, T, W): the embeddings of tokens and of what each moment is asked to be."""
        out: Tensor = self.token(tokens)
        return out if self.guide is None else out + self.guide(guide)

    def forward(
        self,
        latents: Tensor,
        angles: Tensor,
        tokens: Tensor,
        guide: Tensor,
        style: Tensor,
        given: Tensor,
    ) -> Tensor:
        """Return v (B, L, C).

        Args:
            latents: noisy (B, L, C); K / 2 must divide L.
            angles: of every frame (B, L), 0 to pi / 2.
            tokens: integers (B, T).
            guide: (B, T, G), see ``representations/guides.py``; (B, T, 0) where there is none.
            style: (B, E), the words' or the sound's embedding, likewise.
            given: (B,), 1 where tokens, guide and style lead, 0 where nothing does.
        """
        half, length = self.config.segment // 2, latents.shape[1]
        told = self.told(tokens, guide) * given[:, None, None]
        embedded = self.angle(angles)
        x = self.norm_in(self.enter(latents) + self.enter_angle(embedded))
        if self.style is not None:
            embedded = embedded + (self.style(style) * given[:, None])[:, None]
        x = segments(self.led(x, told), self.config.segment)
        count = 2 * length // self.config.segment + 1
        # Time in half segments: segment s has its middle at s.
        rate = length / half / told.shape[1]
        places = (
            torch.arange(count, device=x.device),
            (torch.arange(told.shape[1], device=x.device) + 0.5) * rate,
        )
        modulation = self.modulation(embedded, told)
        for block in self.blocks:
            x = block(x, told, given, places, modulation)
        out: Tensor = self.leave(self.norm_out(overlap_add(x)))
        return out

    def led(self, x: Tensor, told: Tensor) -> Tensor:
        """Return what enters the blocks: as published, without the tokens."""
        return x

    def modulation(self, angles: Tensor, told: Tensor) -> Tensor:
        """Return (B, S, 1, A + W): the mean angle and the mean token of each segment."""
        half = self.config.segment // 2
        shares = []
        for part in (angles, told):
            # Half segments of frames, or as many tokens as fall into one.
            many = angles.shape[1] // half
            if part.shape[1] % many:
                raise ValueError(
                    f"{part.shape[1]} tokens do not fall evenly into {many} half segments"
                )
            halves = part.reshape(len(part), many, -1, part.shape[2]).mean(dim=2)
            padded = torch.cat([halves[:, :1], halves, halves[:, -1:]], dim=1)
            shares.append((padded[:, :-1] + padded[:, 1:]) * 0.5)
        return torch.cat(shares, dim=-1)[:, :, None]


class AlignedDualPath(DualPath):
    """The sibling for as many tokens as latents: each frame is led by its own token."""

    def led(self, x: Tensor, told: Tensor) -> Tensor:
        """Return the frames, each with what is told of it."""
        return x + told

    def modulation(self, angles: Tensor, told: Tensor) -> Tensor:
        """Return (B, S, K, A + W): the angle and the token of each frame."""
        return segments(torch.cat([angles, told], dim=-1), self.config.segment)


def dual_path(config: DiffusionConfig, latent_width: int, vocabulary: int) -> DualPath:
    """Return the network of a config."""
    kind = AlignedDualPath if config.kind == "aligned" else DualPath
    return kind(config, latent_width, vocabulary)

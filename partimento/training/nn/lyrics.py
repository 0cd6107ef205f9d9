"""Lyrics for a prior: an encoder of characters with a likelihood of its own, and attention to it.

Dhariwal et al. 2020, Section 3.4, Appendix B.3: the encoder is an autoregressive Transformer over
the characters about the place of the window; its loss is added to the prior's with a weight, and
layers of the prior attend to its last states.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from partimento.runtime.audio_tokens.presets import LyricsConfig

__all__ = ["LyricsAttention", "LyricsEncoder"]

_DEVIATION = 0.02


class _Layer(nn.Module):
    """Causal attention, then a feed-forward network."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        # As in the prior: a quarter of the width for attention, the feed-forward as wide as all.
        inner = max(heads, width // 4 // heads * heads)
        self.attend, self.merge = nn.Linear(width, 3 * inner), nn.Linear(inner, width)
        self.up, self.down = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, W)."""
        parts = self.attend(self.norm(x)).chunk(3, dim=-1)
        q, k, v = (each.unflatten(2, (self.heads, -1)).transpose(1, 2) for each in parts)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.merge(seen.transpose(1, 2).flatten(2))
        out: Tensor = x + self.down(F.gelu(self.up(self.norm_2(x))))
        return out


class LyricsEncoder(nn.Module):
    """Characters (B, C), numbers as ``representations.lyric_letters`` has them, to states."""

    def __init__(self, config: LyricsConfig) -> None:
        super().__init__()
        width = config.width
        self.weight = config.loss
        self.embedding = nn.Embedding(config.alphabet, width)
        self.positions = nn.Parameter(_DEVIATION * torch.randn(config.characters, width))
        self.layers = nn.Sequential(*(_Layer(width, config.heads) for _ in range(config.layers)))
        self.norm = nn.LayerNorm(width)
        nn.init.normal_(self.embedding.weight, std=_DEVIATION)

    def states(self, characters: Tensor) -> Tensor:
        """Return (B, C, W)."""
        x = self.embedding(characters) + self.positions[: characters.shape[1]]
        out: Tensor = self.norm(self.layers(x))
        return out

    def loss(self, characters: Tensor) -> Tensor:
        """Return the mean negative log-likelihood of each next character, in nats."""
        logits = F.linear(self.states(characters)[:, :-1], self.embedding.weight)
        return F.cross_entropy(logits.flatten(0, 1).float(), characters[:, 1:].flatten())


class LyricsAttention(nn.Module):
    """x plus what it sees of the states of the lyrics."""

    def __init__(self, width: int, words: int, heads: int, attention_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.ask = nn.Linear(width, attention_width)
        self.answer = nn.Linear(words, 2 * attention_width)
        self.merge = nn.Linear(attention_width, width)

    def keys(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values (B, C, attention_width) of the lyrics' states."""
        k, v = self.answer(memory).chunk(2, dim=-1)
        return k, v

    def attended(self, x: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return (B, S, W) given keys and values."""
        q = self.ask(self.norm(x))
        parts = (each.unflatten(2, (self.heads, -1)).transpose(1, 2) for each in (q, k, v))
        seen = F.scaled_dot_product_attention(*parts)
        out: Tensor = x + self.merge(seen.transpose(1, 2).flatten(2))
        return out

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """Return (B, S, W)."""
        return self.attended(x, *self.keys(memory))

"""Words and sound in one space (the role of MuLan, Huang et al. 2022), quantised by residuals.

Words are a mean of embeddings of hashed n-grams, sound a small network over statistics of its
latents; both end on the unit sphere. `JointEmbedding.codes` are the indices of a residual
quantiser, level by level (12 in MeLoDy and MusicLM), and their sum is what leads a network.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from partimento.representations.words import STATISTICS, WordsConfig

__all__ = ["JointEmbedding", "SoundTower", "WordTower"]


class WordTower(nn.Module):
    """Buckets of n-grams (B, n), 0 after the last, to (B, W), length 1.

    Bucket b is given as b + 1.
    """

    def __init__(self, config: WordsConfig) -> None:
        super().__init__()
        self.grams = nn.Embedding(config.buckets + 1, config.gram_width)
        self.inner = nn.Linear(config.gram_width, 2 * config.width)
        self.leave = nn.Linear(2 * config.width, config.width)
        nn.init.normal_(self.grams.weight, std=0.3)

    def forward(self, grams: Tensor) -> Tensor:
        """Return the embeddings of texts."""
        known = (grams > 0).to(self.grams.weight)[..., None]
        mean = (self.grams(grams) * known).sum(1) / known.sum(1).clamp_min(1)
        return F.normalize(self.leave(F.gelu(self.inner(mean))), dim=-1)


class SoundTower(nn.Module):
    """Statistics (B, 2 C + 25) of clips to (B, W), length 1."""

    def __init__(self, config: WordsConfig, latent_width: int) -> None:
        super().__init__()
        count = 2 * latent_width + STATISTICS
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("deviation", torch.ones(count))
        self.inner = nn.Linear(count, 4 * config.width)
        self.dropout = nn.Dropout(0.2)
        self.leave = nn.Linear(4 * config.width, config.width)

    def forward(self, statistics: Tensor) -> Tensor:
        """Return the embeddings of clips."""
        x = (statistics - self.mean) / self.deviation
        return F.normalize(self.leave(self.dropout(F.gelu(self.inner(x)))), dim=-1)


class JointEmbedding(nn.Module):
    """Both towers and the quantiser; the codebooks are set by `quantise_like`, not by descent."""

    def __init__(self, config: WordsConfig, latent_width: int) -> None:
        super().__init__()
        self.words, self.sound = WordTower(config), SoundTower(config, latent_width)
        self.sharpness = nn.Parameter(torch.tensor(2.5))
        self.codebooks: Tensor
        self.register_buffer("codebooks", torch.zeros(config.levels, config.codes, config.width))

    def contrast(self, grams: Tensor, statistics: Tensor) -> Tensor:
        """Return the symmetric contrastive loss of B texts and the B clips that they are of."""
        logits = self.words(grams) @ self.sound(statistics).T * self.sharpness.exp().clamp(max=50)
        right = torch.arange(len(logits), device=logits.device)
        return 0.5 * (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right))

    def codes(self, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """Return codes (B, levels) and the quantised embeddings (B, W)."""
        rest, found = embeddings, []
        for book in self.codebooks:
            apart = (book**2).sum(-1) - 2 * rest @ book.T
            code = apart.argmin(-1)
            found.append(code)
            rest = rest - book[code]
        return torch.stack(found, dim=-1), embeddings - rest

    @torch.no_grad()
    def quantise_like(self, embeddings: Tensor, rng: np.random.Generator, rounds: int = 10) -> None:
        """Set the codebooks, level after level, by k-means of what the levels before leave."""
        rest = embeddings.detach().float().cpu()
        count = self.codebooks.shape[1]
        for level in range(len(self.codebooks)):
            at = rng.choice(len(rest), size=count, replace=len(rest) < count)
            book = rest[torch.from_numpy(at)].clone()
            for _ in range(rounds):
                which = ((book**2).sum(-1) - 2 * rest @ book.T).argmin(-1)
                sums = torch.zeros_like(book).index_add_(0, which, rest)
                sizes = torch.bincount(which, minlength=count)[:, None]
                book = torch.where(sizes > 0, sums / sizes.clamp_min(1), book)
            which = ((book**2).sum(-1) - 2 * rest @ book.T).argmin(-1)
            self.codebooks[level] = book.to(self.codebooks)
            rest = rest - book[which]

"""A Transformer discriminator of token sequences: how real is the whole, how real is each prefix.

Shapes: B sequences, L tokens, C columns, F features, V the vocabulary, W the width, K codes.

A discriminator has a thousand pieces to learn from where a generator has their million tokens, so
it sees music as it is in any key. Pitches enter as intervals from the last pitch of the same
voice, and so do they leave: the step head gives a value to each interval (and to each token that is
no pitch), which is then the value of the token it leads to. Attention is causal: what is thought of
a prefix depends on nothing after it, and one pass gives the reward of every step (the REGS of Zhang
2020, "Learning Adversarial Transformer for Symbolic Music Generation", from Li et al. 2017, arXiv
1701.06547, section 3.2).

- The step head gives what each token that may come would add to the log-odds of being real. Those
  of a prefix are the sum over its steps, as log p(real) - log p(made) is by the chain rule: so
  every step is taught by all that comes after it, and each has a reward of its own.
- The global head adds what a summary of the whole says.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from partimento.runtime.presets import TransformerConfig
from partimento.training.nn.embedding import ColumnEmbedding, sinusoids
from partimento.training.nn.transformer import Block

__all__ = ["DiscriminatorScores", "Intervals", "SequenceDiscriminator"]

_REACH = 24  # semitones; farther intervals count as this
_LOUDNESS = 0.5


@dataclass(frozen=True)
class Intervals:
    """Which tokens are pitches, ``first`` to ``last``, and how many voices take turns."""

    first: int
    last: int
    voices: int = 1

    def count(self, vocabulary: int) -> int:
        """Return K: the intervals, and the tokens that are no pitch."""
        return 2 * _REACH + 1 + vocabulary - (self.last - self.first + 1)

    def codes(self, tokens: Tensor, reference: Tensor) -> Tensor:
        """Return codes 0..K-1 of tokens, pitches seen from the reference (of the same shape)."""
        is_pitch = (tokens >= self.first) & (tokens <= self.last)
        interval = (tokens - reference).clamp(-_REACH, _REACH) + _REACH
        pitches = self.last - self.first + 1
        other = torch.where(tokens > self.last, tokens - pitches, tokens) + 2 * _REACH + 1
        return torch.where(is_pitch, interval, other)

    def reference(self, recent: Tensor) -> Tensor:
        """Return (B, L): the last pitch of the voice whose turn it is, of recent tokens (B, L, w).

        ``recent`` are the tokens 1, 2, ... places back; the middle of the pitches without any.
        """
        own = recent[..., self.voices - 1 :: self.voices]
        is_pitch = (own >= self.first) & (own <= self.last)
        middle = torch.full_like(recent[..., 0], (self.first + self.last) // 2)
        if not own.shape[-1]:
            return middle
        at = is_pitch.to(torch.uint8).argmax(-1, keepdim=True)
        return torch.where(is_pitch.any(-1), own.gather(-1, at)[..., 0], middle)


@dataclass(frozen=True)
class DiscriminatorScores:
    """Log-odds of being real, in nats.

    - ``whole``: (B,), of each sequence;
    - ``steps``: (B, L), of each prefix, its last token included;
    - ``values``: (B, L, V), what each token that may come adds to its prefix's.
    """

    whole: Tensor
    steps: Tensor
    values: Tensor


class SequenceDiscriminator(nn.Module):
    """Scores of sequences (B, L) from the columns (B, L, C) that are known before each token."""

    def __init__(
        self,
        config: TransformerConfig,
        vocabulary: int,
        feature_sizes: tuple[int, ...],
        intervals: Intervals,
    ) -> None:
        super().__init__()
        self.config, self.intervals, self.vocabulary = config, intervals, vocabulary
        width, back = config.width, config.local_width
        self.codes = intervals.count(vocabulary)
        self.embedding = ColumnEmbedding(vocabulary, feature_sizes, width, back, config.token_width)
        self.heard = nn.Embedding(back * self.codes, width)
        self.up = nn.Linear(width, width)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.step = nn.Linear(width, self.codes)
        self.token = nn.Embedding(vocabulary, width)
        self.summary = nn.Linear(width, width)
        self.whole = nn.Linear(width, 1)
        nn.init.normal_(self.heard.weight, std=_LOUDNESS / back**0.5)
        nn.init.normal_(self.token.weight, std=0.02)
        for head in (self.step, self.whole):  # at first its verdicts are near 0
            nn.init.normal_(head.weight, std=1e-3)
            nn.init.zeros_(head.bias)

    def forward(
        self, columns: Tensor, tokens: Tensor, mask: Tensor | None = None
    ) -> DiscriminatorScores:
        """Return the scores of ``tokens``: integers (B, L), or one-hot vectors (B, L, V).

        One-hot vectors stand in for the columns' recent tokens too, so that a gradient to them
        shows what the discriminator saw in later places; only intervals are as the integers were.
        ``mask`` (B, L) is True where the discriminator scores; everywhere without.
        """
        is_soft = tokens.is_floating_point()
        is_scored = torch.ones_like(columns[..., 0], dtype=torch.bool) if mask is None else mask
        recent = columns[..., : self.config.local_width]
        reference = self.intervals.reference(recent)  # (B, L)
        hidden = self._hidden(columns, recent, reference, tokens if is_soft else None)
        codes = self.step(hidden).float()  # (B, L, K)
        every = torch.arange(self.vocabulary, device=columns.device).expand(*reference.shape, -1)
        values = codes.gather(-1, self.intervals.codes(every, reference[..., None]))  # (B, L, V)
        if is_soft:
            gained = (values * tokens).sum(-1)
            own = tokens.to(hidden) @ self.token.weight.to(hidden)
        else:
            gained = values.gather(-1, tokens[..., None])[..., 0]
            own = self.token(tokens)
        steps = (gained * is_scored).cumsum(1)  # (B, L)
        weight = is_scored.to(hidden)[..., None]
        each = F.gelu(self.summary(hidden + own)) * weight
        summary = self.whole(each.sum(1) / weight.sum(1).clamp(min=1))[:, 0].float()
        return DiscriminatorScores(steps[:, -1] + summary, steps, values)

    def _hidden(
        self, columns: Tensor, recent: Tensor, reference: Tensor, soft: Tensor | None
    ) -> Tensor:
        """Return (B, L, W), what is known of the tokens before each place."""
        batch, length, back = recent.shape
        codes = self.intervals.codes(recent, reference[..., None])
        rows = codes + torch.arange(back, device=codes.device) * self.codes
        heard = F.embedding_bag(rows.view(-1, back), self.heard.weight, mode="sum")
        x = heard.view(batch, length, -1)
        x = x + (self.embedding(columns) if soft is None else self._embedded(columns, soft))
        if self.config.attention == "absolute":
            x = x + sinusoids(x.shape[1], x.shape[2]).to(x)
        x = self.dropout(F.gelu(x))
        x = x + self.dropout(F.gelu(self.up(x)))
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.norm(x)
        return out

    def _embedded(self, columns: Tensor, soft: Tensor) -> Tensor:
        """Return ``embedding(columns)`` with the one-hot tokens (B, L, V) as the recent ones."""
        parts, width = self.embedding, self.config.local_width
        known = parts.token(columns[..., :width])  # (B, L, w, token_width)
        rows = soft.to(known) @ parts.token.weight.to(known)  # (B, L, token_width)
        length = rows.shape[1]
        recent = [
            torch.cat(
                [known[:, : min(back, length), back - 1], rows[:, : max(0, length - back)]], 1
            )
            for back in range(1, width + 1)
        ]
        x: Tensor = parts.local(torch.stack(recent, dim=2).flatten(-2))
        for index, table in enumerate(parts.features):
            x = x + table(columns[..., width + index])
        return x

"""A prior over the codes of one level: an autoregressive Transformer with factored attention.

Dhariwal et al. 2020, Section 3.2, 4 and Appendix B.2::

    start token: artist + the sum of at most five genres               -> CodePrior.start
    timing: total length, time and fraction of it, in bins             -> Timing (the top level)
    upper codes: dilated convolutions, then two-fold transposed ones,
        a layer norm, added to each place                              -> UpperConditioner
    codes seen through factored attention                              -> CodePrior.layers
    lyrics: an encoder with a likelihood of its own, attended to       -> nn/lyrics.py

The codes of a window enter shifted by one; in the first place stands the start token.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from partimento.representations.sound_labels import TIME_BINS
from partimento.runtime.audio_tokens.presets import LyricsConfig, PriorConfig
from partimento.training.nn.factored_attention import PATTERNS, FactoredLayer
from partimento.training.nn.lyrics import LyricsAttention, LyricsEncoder

__all__ = ["CodePrior", "Timing", "UpperConditioner", "dilations"]

_DEVIATION = 0.02


def dilations(depth: int, cycle: int) -> list[int]:
    """Return 3^0, 3^1, .. 3^(cycle - 1) and again, ``depth`` numbers."""
    return [3 ** (at % cycle) for at in range(depth)]


class _Dilated(nn.Module):
    """x + 1x1(relu(dilated 3(relu(x)))) of (B, W, T)."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.near = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.leave = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, W, T)."""
        out: Tensor = x + self.leave(F.relu(self.near(F.relu(x))))
        return out


class UpperConditioner(nn.Module):
    """Codes of the level above (B, n) to what is added at each place (B, n * ratio, W)."""

    def __init__(self, config: PriorConfig, entries: int, ratio: int) -> None:
        super().__init__()
        width = config.conditioner_width
        self.embedding = nn.Embedding(entries, width)
        rates = dilations(config.conditioner_depth, config.conditioner_cycle)
        self.blocks = nn.Sequential(*(_Dilated(width, rate) for rate in rates))
        ups, left = [], ratio
        while left > 1:
            by = 2 if left % 2 == 0 else left
            ups.append(nn.ConvTranspose1d(width, width, 2 * by, by, by // 2, output_padding=by % 2))
            left //= by
        self.ups = nn.ModuleList(ups)
        self.leave = nn.Linear(width, config.width)
        self.norm = nn.LayerNorm(config.width)

    def forward(self, codes: Tensor) -> Tensor:
        """Return (B, n * ratio, W)."""
        x = self.blocks(self.embedding(codes).transpose(1, 2))
        for up in self.ups:
            x = up(x)
        out: Tensor = self.norm(self.leave(x.transpose(1, 2)))
        return out


class Timing(nn.Module):
    """Total length, time, and fraction of the whole as bins (B, L, 3) to (B, L, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(TIME_BINS, width) for _ in range(3))
        for weight in self.tables.parameters():
            nn.init.normal_(weight, std=_DEVIATION)

    def forward(self, bins: Tensor) -> Tensor:
        """Return (B, L, W)."""
        parts = [table(bins[..., at]) for at, table in enumerate(self.tables)]
        return torch.stack(parts).sum(0)


class CodePrior(nn.Module):
    """The odds of each next code of a window, given labels and the codes above."""

    def __init__(
        self,
        config: PriorConfig,
        entries: int,
        upper: tuple[int, int] | None = None,
        labels: tuple[int, int] = (1, 1),
        timing: bool = False,
        lyrics: LyricsConfig | None = None,
        beside: int = 0,
    ) -> None:
        """Initialise.

        Args:
            config: sizes.
            entries: codes of this level.
            upper: codes of the level above, and codes of this level to one of them.
            labels: how many artists and genres there are; number 0 of both is "unknown".
            timing: whether the place in the whole is told.
            lyrics: sizes of their encoder; None without.
            beside: codes of another stem at the same rate that it accompanies; 0 without.
        """
        super().__init__()
        self.config, self.entries = config, entries
        width = config.width
        self.embedding = nn.Embedding(entries, width)
        self.positions = nn.Parameter(_DEVIATION * torch.randn(config.window, width))
        self.artists = nn.Embedding(labels[0], width)
        self.genres = nn.Embedding(labels[1], width, padding_idx=0) if labels[1] > 1 else None
        self.upper = None if upper is None else UpperConditioner(config, *upper)
        self.timing = Timing(width) if timing else None
        self.beside = UpperConditioner(config, beside, 1) if beside else None
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(
            FactoredLayer(
                PATTERNS[at % 3], config.row, width, config.heads, config.attention_width,
                config.feedforward,
            )
            for at in range(config.layers)
        )  # fmt: skip
        for layer in self.layers:
            layer.dropout = self.dropout  # one module: it has no weights
        has_words = lyrics is not None and lyrics.characters > 0
        self.lyrics = LyricsEncoder(lyrics) if lyrics is not None and has_words else None
        self.words = nn.ModuleList(
            LyricsAttention(width, lyrics.width, config.heads, config.attention_width)
            for _ in range(config.layers // 3)
            if lyrics is not None and has_words
        )
        self.norm = nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(entries))
        for table in (self.embedding, self.artists, self.genres):
            if table is not None:
                nn.init.normal_(table.weight, std=_DEVIATION)
        for layer in self.layers:
            assert isinstance(layer, FactoredLayer)
            for out in (layer.merge, layer.down):  # the sum of all layers begins small
                nn.init.normal_(out.weight, std=_DEVIATION / (2 * config.layers) ** 0.5)

    def start(self, artist: Tensor, genres: Tensor) -> Tensor:
        """Return the start token (B, W) of artists (B,) and bags of genres (B, 5), 0 for none."""
        out: Tensor = self.artists(artist)
        if self.genres is None:
            return out
        bag: Tensor = (self.genres(genres) * (genres > 0)[..., None]).sum(1)
        return out + bag

    def conditions(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return what is added at each place (B, L, W): positions and what is known beside codes.

        ``batch`` holds ``length`` through the codes, or ``upper`` (B, L / ratio), ``time`` (B, L,
        3), ``beside`` (B, L), as far as the network has them.
        """
        parts = []
        if self.upper is not None:
            parts.append(self.upper(batch["upper"]))
        if self.timing is not None:
            parts.append(self.timing(batch["time"]))
        if self.beside is not None:
            parts.append(self.beside(batch["beside"]))
        length = parts[0].shape[1] if parts else batch["codes"].shape[1]
        total = self.positions[None, :length].expand(batch["artist"].shape[0], -1, -1)
        for part in parts:
            total = total + part
        return total

    def inputs(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return what the first layer reads (B, L, W)."""
        start = self.start(batch["artist"], batch["genres"])
        said = self.embedding(batch["codes"][:, :-1])
        return torch.cat([start[:, None], said], dim=1) + self.conditions(batch)

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits (B, L, V) of what the last layer says (B, L, W)."""
        return F.linear(self.norm(x), self.embedding.weight, self.bias)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the logits (B, L, V) of every code of windows ``codes`` (B, L), L whole rows."""
        x = self.dropout(self.inputs(batch))
        memory = None if self.lyrics is None else self.lyrics.states(batch["lyrics"])
        for at, layer in enumerate(self.layers):
            x = layer(x)
            if memory is not None and at % 3 == 2:
                x = self.words[at // 3](x, memory)
        return self.logits(x)

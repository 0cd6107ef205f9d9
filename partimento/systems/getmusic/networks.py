"""The network of GETMusic (Lv et al. 2023, arXiv 2305.10841, section 3.2 and figure 3).

Where its parts live::

    embedding of cells, rows joined a column  -> GridTransformer.columns
    condition flags, diffusion time           -> GridTransformer.columns
    RoFormer over the columns                 -> training/nn/transformer_encoder.py  RotaryEncoder
    one classifier a row                      -> GridTransformer.forward

The sequence is as long as the piece has columns, whatever the number of tracks. What differs from
the paper: the columns nearby enter together (a convolution before any attention) and, beside each
voice's cell, what is known to sound in it and its nearest notes before and after. The classifiers
have weights of their own beside those tied to the embeddings of the cells, here too narrow alone.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from partimento.representations.track_grid import LONGEST, UNKNOWN, TrackGrid
from partimento.runtime.presets import GridConfig, GridPreset
from partimento.samplers.unmasking import TIMES
from partimento.training.nn.transformer_encoder import RotaryEncoder

__all__ = ["GridTransformer", "network", "pitch_waves"]

_WHAT = UNKNOWN  # EMPTY and 128 pitches; the number after them stands for MASK, or for unknown
_LENGTH = 1 + LONGEST
_PLACES, _BARS = 64, 128  # sizes of ``Layout.features``
_FLAGS = 3  # slot unused, to be written, given


def network(preset: GridPreset, grid: TrackGrid) -> GridTransformer:
    """Return the network of a preset."""
    return GridTransformer(preset.network, grid)


def pitch_waves(pitches: int) -> Tensor:
    """Return (pitches, 22): waves over pitch, the first twelve with whole periods in an octave.

    Embeddings that start as these need not learn from the music which pitches are near each other,
    or an octave apart.
    """
    at = torch.arange(pitches, dtype=torch.float32)[:, None]
    periods = torch.tensor([12 / k for k in range(1, 7)] + [18.0, 26.0, 40.0, 64.0, 100.0])
    angle = 2 * math.pi * at / periods
    return math.sqrt(2) * torch.stack([angle.cos(), angle.sin()], dim=-1).flatten(1)


class GridTransformer(nn.Module):
    """Logits of every cell from the cells that are known.

    B batch, S slots (the last bears the chords), T columns, E ``cell_width``, D ``width``.
    """

    def __init__(self, config: GridConfig, grid: TrackGrid) -> None:
        super().__init__()
        self.config, self.slots = config, grid.slots
        cell, width = config.cell_width, config.width
        self.what = nn.Embedding(_WHAT + 1, cell)
        self.length = nn.Embedding(_LENGTH + 1, cell)
        self.root = nn.Embedding(_WHAT + 1, cell)
        self.quality = nn.Embedding(_LENGTH + 1, cell)
        for table in (self.what, self.length, self.root, self.quality):
            nn.init.normal_(table.weight, std=1.0)
            # Most cells are EMPTY: they would drown the others in what a column is joined to.
            nn.init.zeros_(table.weight[0])
        with torch.no_grad():
            waves = pitch_waves(_WHAT - 1)[:, :cell]
            self.what.weight[1:_WHAT, : waves.shape[1]] = waves
        joined = (5 * self.slots - 3) * cell
        self.join = nn.Linear(joined, width, bias=False)
        nn.init.normal_(self.join.weight, std=0.1 / math.sqrt(joined))
        self.place, self.bar = nn.Embedding(_PLACES, width), nn.Embedding(_BARS, width)
        self.time, self.ensemble = (
            nn.Embedding(TIMES + 1, width),
            nn.Embedding(len(config.ensembles), width),
        )
        self.flags = nn.Embedding(self.slots * _FLAGS, width)
        for table in (self.place, self.bar, self.time, self.ensemble, self.flags):
            nn.init.normal_(table.weight, std=0.02)
        self.near = nn.Linear(joined, config.near_width, bias=False)
        nn.init.normal_(self.near.weight, std=1 / math.sqrt(joined))
        self.nearby = nn.Conv1d(
            config.near_width, width, 2 * config.reach + 1, padding=config.reach, bias=False
        )
        fan = config.near_width * (2 * config.reach + 1)
        nn.init.normal_(self.nearby.weight, std=0.1 / math.sqrt(fan))
        self.encoder = RotaryEncoder(config)
        self.cells = nn.Linear(width, 2 * self.slots * config.head_width)
        self.cell_norm = nn.LayerNorm(config.head_width)
        self.say_what = nn.Linear(config.head_width, _WHAT, bias=False)
        self.say_length = nn.Linear(config.head_width, _LENGTH, bias=False)
        self.alike = nn.Linear(config.head_width, cell, bias=False)
        for head in (self.say_what, self.say_length, self.alike):
            nn.init.normal_(head.weight, std=0.02)
        self.what_bias = nn.Parameter(torch.zeros(self.slots, _WHAT))
        self.length_bias = nn.Parameter(torch.zeros(self.slots, _LENGTH))

    def columns(
        self, cells: Tensor, sounding: Tensor, features: Tensor, given: Tensor, context: Tensor
    ) -> Tensor:
        """Return (B, T, D): what is known of each column and of those around it."""
        tracks, chords = cells[:, :-1], cells[:, -1:]
        what = torch.cat([self.what(tracks[..., 0]), self.root(chords[..., 0])], dim=1)
        length = torch.cat([self.length(tracks[..., 1]), self.quality(chords[..., 1])], dim=1)
        every = torch.cat([what, length, self.what(sounding)], dim=1)  # (B, 5S - 3, T, E)
        joined = every.transpose(1, 2).flatten(2)  # (B, T, (5S - 3) E)
        x = self.join(joined) + self.nearby(self.near(joined).transpose(1, 2)).transpose(1, 2)
        x = x + self.place(features[..., 0]) + self.bar(features[..., 1])
        slot = torch.arange(self.slots, device=given.device) * _FLAGS
        whole = self.flags(given + slot).sum(dim=1)  # (B, D)
        whole = whole + self.time(context[:, 0]) + self.ensemble(context[:, 1])
        out: Tensor = x + whole[:, None]
        return out

    def described(
        self, cells: Tensor, sounding: Tensor, features: Tensor, given: Tensor, context: Tensor
    ) -> Tensor:
        """Return (2, B, S, T, head_width): what is known of each half of each cell."""
        x = self.encoder(self.columns(cells, sounding, features, given, context))
        batch, columns, _ = x.shape
        split = self.cells(x).view(batch, columns, 2, self.slots, -1)
        out: Tensor = self.cell_norm(split).permute(2, 0, 3, 1, 4)
        return out

    def what_at(self, described: Tensor, slots: Tensor) -> Tensor:
        """Return logits (n, 129) of what starts in cells of slots (n,).

        ``described`` (n, head_width) is what ``described`` returns for them.
        """
        alike = self.alike(described) @ self.what.weight[:_WHAT].T
        logits: Tensor = self.say_what(described) + alike + self.what_bias[slots]
        return logits

    def length_at(self, described: Tensor, slots: Tensor) -> Tensor:
        """Return logits (n, 65) of how long what starts lasts; see ``what_at``."""
        logits: Tensor = self.say_length(described) + self.length_bias[slots]
        return logits

    def forward(
        self, cells: Tensor, sounding: Tensor, features: Tensor, given: Tensor, context: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return logits of what starts, (B, S, T, 129), and how long it lasts, (B, S, T, 65).

        Args:
            cells: (B, S, T, 2), MASK being 129 and 65.
            sounding: (B, 3 (S - 1), T), as of ``track_grid.sounding``.
            features: (B, T, 2), as of ``Layout.features``.
            given: (B, S): 0 unused, 1 to be written, 2 given.
            context: (B, 2): time 1..100, ensemble.
        """
        what, length = self.described(cells, sounding, features, given, context)
        slots = torch.arange(self.slots, device=cells.device)[:, None].expand(-1, cells.shape[2])
        return self.what_at(what, slots), self.length_at(length, slots)

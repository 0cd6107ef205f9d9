"""The network of Coconet: residual convolutions over a masked roll (torch).

Huang, Cooijmans, Roberts, Courville, Eck (2017): "Counterpoint by Convolution", ISMIR, section 3.

====================================  ===============================
section 3.1, masked roll and its mask  ``Coconet.planes``
section 3.1, pitch distribution        ``Coconet.forward``
====================================  ===============================
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from partimento.representations.track_grid import TrackGrid
from partimento.runtime.grids.rolls import HIDDEN
from partimento.runtime.presets import RollConfig, RollPreset

__all__ = ["Coconet", "network"]


class _Block(nn.Module):
    """Two convolutions with a skip connection, batch norm after each."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        pad, along = (1, dilation), (1, dilation)  # pitch, time
        self.first = nn.Conv2d(width, width, 3, padding=pad, dilation=along, bias=False)
        self.second = nn.Conv2d(width, width, 3, padding=pad, dilation=along, bias=False)
        self.first_norm, self.second_norm = nn.BatchNorm2d(width), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.first_norm(self.first(x)))
        out: Tensor = functional.relu(x + self.second_norm(self.second(inner)))
        return out


class Coconet(nn.Module):
    """Says for every voice and column what pitch sounds there, given those that are shown."""

    def __init__(self, config: RollConfig, voices: int) -> None:
        super().__init__()
        self.lowest, self.pitches = config.lowest, config.highest - config.lowest + 1
        self.enter = nn.Conv2d(2 * voices, config.width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(config.width)
        turns = len(config.dilations)
        self.blocks = nn.ModuleList(
            _Block(config.width, config.dilations[index % turns])
            for index in range(config.layers // 2)
        )
        self.leave = nn.Conv2d(config.width, voices, 3, padding=1)

    def planes(self, pitches: Tensor) -> Tensor:
        """Return (B, 2 V, P, T): the roll with its hidden cells zero, and where they are.

        Args:
            pitches: (B, V, T): a MIDI pitch, ``SILENT``, or ``HIDDEN``.
        """
        rows = torch.arange(self.pitches, device=pitches.device) + self.lowest
        roll = pitches[:, :, None] == rows[:, None]  # (B, V, P, T)
        hidden = (pitches == HIDDEN)[:, :, None].expand_as(roll)
        return torch.cat([roll, hidden], dim=1).float()

    def forward(self, pitches: Tensor) -> Tensor:
        """Return logits (B, V, T, P) of the pitch that sounds in each cell."""
        x = functional.relu(self.norm(self.enter(self.planes(pitches))))
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.leave(x).transpose(2, 3)
        return logits


def network(preset: RollPreset, grid: TrackGrid) -> Coconet:
    """Return the network of a preset, one channel for each voice of the grid."""
    return Coconet(preset.network, grid.slots - 1)

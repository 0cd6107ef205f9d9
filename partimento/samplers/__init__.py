"""Loops over a callable: tokens one after another, cells of a grid, or states of a diffusion."""

from partimento.samplers.autoregressive import Decoder, sample, sample_batch
from partimento.samplers.picks import Pick

__all__ = ["Decoder", "Pick", "sample", "sample_batch"]

"""Pitches as intervals: from the last note of the same voice, and from the notes around.

What is learnt of an interval holds in every key. The layers here see and score intervals alone, so
transposing all pitches by k semitones leaves the inputs as they are and moves the logits by k.
Huang et al. 2018 (arXiv 1809.04281, section 4.1.1) put relative pitch into the attention of their
JSB models; here it stands in the first and the last layer, where a note meets its neighbours.

Shapes: B batch, L length, w ``local_width``, V vocabulary, P pitches, R references.

Interval row of a token seen from a reference: ``token - reference + P``, which is 1..2P-1, where
both are pitches, else 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from partimento.errors import ConfigError
from partimento.representations.base import TokenRepresentation
from partimento.runtime.presets import TransformerConfig

__all__ = ["IntervalEmbedding", "RelativeHead", "VoicePitches", "voice_pitches"]


@dataclass(frozen=True)
class VoicePitches:
    """Which tokens are pitches, a semitone apart, and how many voices take turns."""

    first: int
    count: int
    voices: int

    @property
    def rows(self) -> int:
        """How many interval rows there are: 2P."""
        return 2 * self.count

    def intervals(self, vocabulary: int) -> npt.NDArray[np.int64]:
        """Return (V, V): the interval row of a token (column) seen from a reference (row)."""
        token = np.arange(vocabulary)
        is_pitch = (token >= self.first) & (token < self.first + self.count)
        interval = token[None, :] - token[:, None] + self.count
        return np.where(is_pitch[None, :] & is_pitch[:, None], interval, 0)

    def references(self, count: int) -> tuple[int, ...]:
        """Return the columns of references: the voice's own last token, then the newest others."""
        return (self.voices - 1, *range(self.voices - 1))[:count]

    def check(self, config: TransformerConfig) -> None:
        """Hold a network's options against the voices.

        Raises:
            ConfigError: if the references are not among the input columns.
        """
        if config.local_width < self.voices:
            problem = f"relative pitch needs the last {self.voices} tokens or more"
            raise ConfigError("network.local_width", f"{problem}, not {config.local_width}")
        if config.relative_outputs > self.voices:
            problem = f"is at most the {self.voices} voices, not {config.relative_outputs}"
            raise ConfigError("network.relative_outputs", problem)


def voice_pitches(
    representation: TokenRepresentation, config: TransformerConfig
) -> VoicePitches | None:
    """Return what a network of relative pitch must know of its tokens; None if it has none.

    Raises:
        ConfigError: if the representation has no pitches at even distances, or too few columns.
    """
    if not (config.relative_inputs or config.relative_outputs):
        return None
    span = representation.pitch_span
    if span is None:
        name = "relative_inputs" if config.relative_inputs else "relative_outputs"
        raise ConfigError(
            f"network.{name}",
            "needs a representation with one token a voice in turn, such as four_voice_grid; "
            "leave relative_inputs and relative_outputs out",
        )
    found = VoicePitches(span.start, span.stop - span.start, representation.tokens_per_step)
    found.check(config)
    return found


class IntervalEmbedding(nn.Module):
    """Embeds recent tokens (B, L, w) as intervals from the last token of the same voice.

    A table for each place back; the embeddings are joined and projected to (B, L, width), as
    ``ColumnEmbedding`` does with the tokens themselves.
    """

    rows: Tensor

    def __init__(
        self, pitches: VoicePitches, vocabulary: int, width: int, local_width: int, token_width: int
    ) -> None:
        super().__init__()
        self.pitches = pitches
        self.table = nn.Embedding(local_width * pitches.rows, token_width)
        self.local = nn.Linear(local_width * token_width, width, bias=False)
        nn.init.normal_(self.table.weight, std=1.0)
        nn.init.normal_(self.local.weight, std=0.1 / math.sqrt(local_width * token_width))
        rows = torch.from_numpy(pitches.intervals(vocabulary))
        self.register_buffer("rows", rows, persistent=False)

    def forward(self, recent: Tensor) -> Tensor:
        """Return (B, L, width); the last axis of ``recent`` is 1, 2, ... places back."""
        voices, back = self.pitches.voices, recent.shape[-1]
        own = recent[..., voices - 1 : voices]
        rows = self.rows[own, recent]  # (B, L, w)
        rows = rows + torch.arange(back, device=rows.device) * self.pitches.rows
        out: Tensor = self.local(self.table(rows).flatten(-2))
        return out


class RelativeHead(nn.Module):
    """Logits (B, L, V) as a sum over R references of what the interval from each is worth."""

    rows: Tensor

    def __init__(self, pitches: VoicePitches, vocabulary: int, width: int, references: int) -> None:
        super().__init__()
        self.pitches, self.references = pitches, list(pitches.references(references))
        self.linear = nn.Linear(width, references * pitches.rows)
        rows = torch.from_numpy(pitches.intervals(vocabulary))
        self.register_buffer("rows", rows, persistent=False)

    def forward(self, x: Tensor, recent: Tensor) -> Tensor:
        """Return logits of x (B, L, width) and recent tokens (B, L, w)."""
        scores = self.linear(x).unflatten(-1, (len(self.references), -1))  # (B, L, R, 2P)
        rows = self.rows[recent[..., self.references]]  # (B, L, R, V)
        return torch.gather(scores, -1, rows).sum(-2)

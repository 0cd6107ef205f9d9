"""The two networks of the game: a causal generator and a causal critic.

Where they live::

    the generator, relative attention -> training/nn/transformer.py      CausalTransformer
    the critic: global and local head -> training/nn/discriminators/sequence.py  SequenceCritic
"""

from __future__ import annotations

from partimento.runtime.presets import TokenPreset, TransformerConfig
from partimento.training.nn.discriminators.sequence import Intervals, SequenceCritic
from partimento.training.nn.transformer import CausalTransformer

__all__ = ["critic", "network"]


def network(
    preset: TokenPreset, vocabulary: int, feature_sizes: tuple[int, ...]
) -> CausalTransformer:
    """Return the generator of a preset: columns (B, L, C) -> logits (B, L, V)."""
    assert isinstance(preset.network, TransformerConfig)
    return CausalTransformer(preset.network, vocabulary, feature_sizes)


def critic(
    config: TransformerConfig,
    local_width: int,
    vocabulary: int,
    feature_sizes: tuple[int, ...],
    intervals: Intervals,
) -> SequenceCritic:
    """Return a critic of the generator's columns (B, L, C), so many tokens each, and tokens."""
    columns = {"local_width": local_width}
    return SequenceCritic(config.model_copy(update=columns), vocabulary, feature_sizes, intervals)

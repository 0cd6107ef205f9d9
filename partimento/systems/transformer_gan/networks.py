"""The two networks of the game: a causal generator and a causal discriminator.

Where they live::

    the generator, relative attention -> training/nn/transformer.py      CausalTransformer
    D: global and local head -> training/nn/discriminators/sequence.py  SequenceDiscriminator
"""

from __future__ import annotations

from partimento.representations import token_representation
from partimento.runtime.presets import TokenPreset, TransformerConfig
from partimento.training.nn.discriminators.sequence import Intervals, SequenceDiscriminator
from partimento.training.nn.relative_pitch import voice_pitches
from partimento.training.nn.transformer import CausalTransformer

__all__ = ["discriminator", "network"]


def network(
    preset: TokenPreset, vocabulary: int, feature_sizes: tuple[int, ...]
) -> CausalTransformer:
    """Return the generator of a preset: columns (B, L, C) -> logits (B, L, V)."""
    assert isinstance(preset.network, TransformerConfig)
    representation = token_representation(preset.representation)
    pitches = voice_pitches(representation, preset.network)
    return CausalTransformer(preset.network, vocabulary, feature_sizes, pitches)


def discriminator(
    config: TransformerConfig,
    local_width: int,
    vocabulary: int,
    feature_sizes: tuple[int, ...],
    intervals: Intervals,
) -> SequenceDiscriminator:
    """Return a discriminator of columns (B, L, C), ``tokens`` of them at a time, and tokens."""
    columns = {"local_width": local_width}
    return SequenceDiscriminator(
        config.model_copy(update=columns), vocabulary, feature_sizes, intervals
    )

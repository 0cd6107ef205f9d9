"""The network of Music Transformer (Huang et al. 2018, arXiv 1809.04281).

Equations and where they live::

    Eq. 1, scaled dot-product attention -> training/nn/attention.py  PlainAttention.mix
    Eq. 3, relative attention           -> training/nn/attention.py  RelativeAttention.mix
    section 3.4.1, skewing              -> training/nn/attention.py  relative_logits_skew
    section 4.1.1, relative pitch       -> training/nn/relative_pitch.py  IntervalEmbedding

What differs from the paper in the presets that ship: the last sixteen tokens enter together
(training/nn/embedding.py), norms stand before the layers, voice and place in the bar are embedded.
"""

from __future__ import annotations

from partimento.representations import token_representation
from partimento.runtime.presets import TokenPreset, TransformerConfig
from partimento.training.nn.relative_pitch import voice_pitches
from partimento.training.nn.transformer import CausalTransformer

__all__ = ["network"]


def network(
    preset: TokenPreset, vocabulary: int, feature_sizes: tuple[int, ...]
) -> CausalTransformer:
    """Return the network of a preset: columns (B, L, C) -> logits (B, L, V)."""
    assert isinstance(preset.network, TransformerConfig)
    representation = token_representation(preset.representation)
    pitches = voice_pitches(representation, preset.network)
    return CausalTransformer(preset.network, vocabulary, feature_sizes, pitches)

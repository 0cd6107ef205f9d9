"""Music Transformer: the sizes of the paper.

Huang et al. 2018 give the networks of section 4; the counts below are derived from their sizes.
Theirs are: L layers, each with four W x W projections without bias, a feed-forward network of
width F with biases, two norms, and H tables of M distances by W / H; a last norm, an output layer
with bias, and an embedding of V tokens.

Ours on top, in every preset: the projection of the joined token embeddings (``local``, W x W where
one token is seen), and a table for each known feature (voice, place in the bar).
"""

from __future__ import annotations

import pytest
import torch

from partimento.config import validate_config
from partimento.errors import ConfigError
from partimento.representations import token_representation
from partimento.runtime.presets import TransformerConfig
from partimento.systems.music_transformer import PRESETS
from partimento.systems.music_transformer.networks import network
from partimento.training.nn.attention import PlainAttention, RelativeAttention


def paper_count(
    layers: int, width: int, feedforward: int, heads: int, distances: int, vocabulary: int
) -> int:
    """Return the weights of the paper's network."""
    projections = 4 * width * width
    feed = 2 * width * feedforward + feedforward + width
    norms = 2 * 2 * width
    tables = heads * distances * (width // heads)
    embedding, last_norm, output = vocabulary * width, 2 * width, vocabulary * width + vocabulary
    return layers * (projections + feed + norms + tables) + embedding + last_norm + output


def our_count(width: int, features: tuple[int, ...]) -> int:
    """Return the weights of the input projection and the side features."""
    return width * width + sum(features) * width


def built(preset: str) -> tuple[int, int, tuple[int, ...]]:
    """Return the parameter count of a preset on the meta device, vocabulary and features."""
    chosen = PRESETS[preset]
    representation = token_representation(chosen.representation)
    vocabulary, features = representation.vocabulary.size, representation.feature_sizes
    with torch.device("meta"):
        made = network(chosen, vocabulary, features)
    assert all(weight.is_meta for weight in made.parameters())
    return made.parameter_count(), vocabulary, features


def test_paper_jsb_has_the_size_of_the_paper() -> None:
    """Five layers of 512, feed-forward 512, 8 heads; the grid of 46 pitches, rest and start."""
    count, vocabulary, features = built("paper_jsb")
    assert (vocabulary, features) == (48, (4, 16))
    theirs = paper_count(5, 512, 512, 8, distances=1024, vocabulary=48)
    assert count == theirs + our_count(512, features)
    assert count == 10_823_728  # the same, said once as a number


def test_paper_piano_has_the_size_of_the_published_code() -> None:
    """Magenta's piano model: 8 layers of 384, feed-forward 1024, 8 heads; 388 events and two."""
    count, vocabulary, features = built("paper_piano")
    assert (vocabulary, features) == (388 + 2, ())  # ours: the start and the end
    theirs = paper_count(8, 384, 1024, 8, distances=1024, vocabulary=390)
    assert count == theirs + our_count(384, features)


def test_relative_attention_costs_its_tables_alone() -> None:
    """Against absolute positions at equal size, as the benchmark compares them."""
    relative, absolute = (built(name)[0] for name in ("chorales", "chorales_absolute"))
    config = PRESETS["chorales"].network
    assert isinstance(config, TransformerConfig)
    assert relative - absolute == config.layers * config.max_distance * config.width


@pytest.mark.parametrize("name", list(PRESETS))
def test_every_preset_can_be_built(name: str) -> None:
    count, _, _ = built(name)
    assert count > 10_000


def test_kinds_of_attention_are_sibling_classes() -> None:
    for name, kind in (("chorales", RelativeAttention), ("chorales_absolute", PlainAttention)):
        preset = PRESETS[name]
        with torch.device("meta"):
            made = network(preset, 48, (4, 16))
        assert {type(block.attention) for block in made.blocks} == {kind}


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"width": 30, "heads": 4}, "heads must divide the width"),
        ({"heads": 8, "kv_heads": 3}, "kv_heads the heads"),
        ({"attention": "rotary", "width": 64, "heads": 8}, "a multiple of 16"),
        ({"attention": "linear"}, "config.attention"),
        ({"width_": 3}, "config.width_: unknown option"),
    ],
)
def test_sizes_that_cannot_be(values: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        validate_config(TransformerConfig, values)

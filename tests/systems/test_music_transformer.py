"""Music Transformer: the sizes of the paper.

The sizes below are those of Huang et al. 2018, arXiv 1809.04281v3, written as the tables of
section 4 write them (L layers, hs hidden size, att attention width, ff feed-forward, r relative
distances, h heads); the counts are derived from them here, not read from the code. A network has L
layers, each with projections hs x att (three) and att x hs without bias, a feed-forward network
with biases, two norms, and h tables of r distances by att / h; a last norm, an output layer with
bias, and an embedding of V tokens.

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
from partimento.training.loop.optimizer import learning_rate_at
from partimento.training.nn.attention import PlainAttention, RelativeAttention

# Table of section 4.1 (JSB), "Transformer with efficient relative attention".
PAPER_JSB = {"layers": 5, "hs": 512, "att": 512, "ff": 512, "r": 256, "heads": 8}
# Table of section 4.2 (piano performances), the Transformer with relative attention.
PAPER_PIANO = {"layers": 6, "hs": 256, "att": 512, "ff": 2048, "r": 1024, "heads": 8}
# The hyperparameters of Magenta's published piano checkpoints.
PUBLISHED_PIANO = {"layers": 8, "hs": 384, "att": 512, "ff": 1024, "r": 1024, "heads": 8}


def paper_count(
    vocabulary: int, *, layers: int, hs: int, att: int, ff: int, r: int, heads: int
) -> int:
    """Return the weights of the paper's network."""
    projections = 4 * hs * att
    feed = 2 * hs * ff + ff + hs
    norms = 2 * 2 * hs
    tables = heads * r * (att // heads)
    embedding, last_norm, output = vocabulary * hs, 2 * hs, vocabulary * hs + vocabulary
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
    """The grid of 46 pitches, rest and start."""
    count, vocabulary, features = built("paper_jsb")
    assert (vocabulary, features) == (48, (4, 16))
    assert count == paper_count(48, **PAPER_JSB) + our_count(512, features)


@pytest.mark.parametrize(
    ("preset", "sizes"), [("paper_piano", PAPER_PIANO), ("published_piano", PUBLISHED_PIANO)]
)
def test_piano_presets_have_the_published_sizes(preset: str, sizes: dict[str, int]) -> None:
    """Section 4.2: 128 on, 128 off, 100 shifts, 32 velocities; ours on top: start and end."""
    count, vocabulary, features = built(preset)
    assert (vocabulary, features) == (128 + 128 + 100 + 32 + 2, ())
    assert count == paper_count(390, **sizes) + our_count(sizes["hs"], features)


@pytest.mark.parametrize(
    ("preset", "hidden"), [("paper_jsb", 512), ("paper_piano", 256), ("published_piano", 384)]
)
def test_published_presets_learn_at_the_published_rate(preset: str, hidden: int) -> None:
    """Tensor2Tensor's transformer_base: 2.0 hidden^-.5 min(step / 8000, 1) max(step, 8000)^-.5."""
    training = PRESETS[preset].training
    for step in (1, 4000, 8000, 100_000):
        published = 2.0 * hidden**-0.5 * min(step / 8000, 1) * max(step, 8000) ** -0.5
        assert learning_rate_at(training, step - 1, 10**6) == pytest.approx(published)
    assert (training.beta1, training.beta2, training.weight_decay) == (0.9, 0.997, 0.0)


def test_augmentation_is_the_published_one() -> None:
    """Section 4.2: up to a minor third either way, and five tempi; the chorales have none."""
    assert PRESETS["paper_jsb"].transpose == 0
    for name in ("paper_piano", "published_piano"):
        assert PRESETS[name].transpose == 3
        assert PRESETS[name].stretches == (0.95, 0.975, 1.0, 1.025, 1.05)


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
        ({"attention_width": 30, "heads": 4}, "heads must divide the attention_width"),
        ({"heads": 8, "kv_heads": 3}, "kv_heads the heads"),
        ({"attention": "rotary", "width": 64, "heads": 8}, "a multiple of 16"),
        ({"attention": "linear"}, "config.attention"),
        ({"width_": 3}, "config.width_: unknown option"),
    ],
)
def test_sizes_that_cannot_be(values: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        validate_config(TransformerConfig, values)

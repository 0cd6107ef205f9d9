"""Performance RNN: the size of the paper.

Oore et al. 2018: three LSTM layers of 512 over 388 events. A layer of width W over an input of
width I has four gates of (I + W + 1) x W weights. Ours on top: torch keeps a second bias for each
gate; two more tokens (start and end); and the events enter through an embedding of 512 and a
projection of 512 x 512, where the paper has one-hot events.
"""

from __future__ import annotations

import pytest
import torch

from partimento.representations import token_representation
from partimento.systems.performance_rnn import PRESETS
from partimento.systems.performance_rnn.networks import network


def built(preset: str) -> tuple[int, int]:
    """Return the parameter count of a preset on the meta device, and its vocabulary."""
    chosen = PRESETS[preset]
    representation = token_representation(chosen.representation)
    vocabulary = representation.vocabulary.size
    with torch.device("meta"):
        made = network(chosen, vocabulary, representation.feature_sizes)
    assert all(weight.is_meta for weight in made.parameters())
    return sum(weight.numel() for weight in made.parameters()), vocabulary


def test_paper_has_the_size_of_the_paper() -> None:
    count, vocabulary = built("paper")
    width, layers = 512, 3
    assert vocabulary == 388 + 2
    lstm = layers * 4 * (width + width + 1) * width
    output = vocabulary * width + vocabulary
    second_biases = layers * 4 * width
    embedding, projection = vocabulary * width, width * width
    assert count == lstm + output + second_biases + embedding + projection


@pytest.mark.parametrize("name", list(PRESETS))
def test_every_preset_can_be_built(name: str) -> None:
    assert built(name)[0] > 5_000

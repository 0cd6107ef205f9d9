"""Causality by gradient, and what the parts of the networks hand on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from partimento.representations.base import input_columns
from partimento.runtime.presets import RecurrentConfig, TransformerConfig
from partimento.training.nn.embedding import ColumnEmbedding, sinusoids
from partimento.training.tokens.task import TokenTask

from support.tiny_models import (
    ATTENTIONS,
    chorale,
    grid_preset,
    lstm,
    relative_pitch,
    roughen,
    training_task_of,
    transformer,
)

LENGTH = 12
NETWORKS: list[TransformerConfig | RecurrentConfig] = [
    *(transformer(kind) for kind in ATTENTIONS),
    transformer("relative", max_distance=5),  # places beyond the longest distance
    relative_pitch(),
    lstm(),
]


def piece_columns(training_task: TokenTask, length: int = LENGTH) -> Tensor:
    tokens = training_task.representation.encode(chorale(0))[:length]
    features = training_task.representation.features(tokens)
    start = training_task.representation.start_token
    return torch.from_numpy(input_columns(tokens, features, start, training_task.local_width))[None]


@pytest.mark.parametrize("config", NETWORKS)
def test_the_gradient_to_the_future_is_exactly_zero(
    config: TransformerConfig | RecurrentConfig,
) -> None:
    training_task = training_task_of(grid_preset(config))
    roughen(training_task.network)
    kept: list[Tensor] = []

    def keep(_module: torch.nn.Module, _given: object, made: Tensor) -> None:
        made.retain_grad()
        kept.append(made)

    training_task.network.embedding.register_forward_hook(keep)
    columns = piece_columns(training_task)
    for at in (0, 5, LENGTH - 1):
        kept.clear()
        weight = torch.randn(training_task.vocabulary, generator=torch.Generator().manual_seed(at))
        (training_task.network(columns)[0, at] @ weight).backward()
        reach = kept[0].grad
        assert reach is not None
        by_place = reach[0].abs().sum(-1)
        assert (by_place[at + 1 :] == 0).all()
        assert (by_place[: at + 1] > 0).all()


def test_no_column_holds_its_own_token_or_a_later_one() -> None:
    tokens = np.arange(20)
    columns = input_columns(tokens, np.zeros((20, 0), dtype=np.int64), -1, 4)
    for at in range(20):
        assert columns[at].tolist() == [at - back if at >= back else -1 for back in range(1, 5)]


def test_the_embedding_is_a_sum_over_recent_tokens_and_features() -> None:
    layer = ColumnEmbedding(7, (4, 5), width=6, local_width=3, token_width=2)
    columns = torch.tensor([[[1, 2, 3, 0, 4], [6, 0, 1, 3, 2]]])
    made = layer(columns)
    for place in range(2):
        *recent, first, second = columns[0, place].tolist()
        wanted = layer.features[0].weight[first] + layer.features[1].weight[second]
        for back, token in enumerate(recent):
            part = layer.local.weight[:, 2 * back : 2 * back + 2]
            wanted = wanted + part @ layer.token.weight[token]
        torch.testing.assert_close(made[0, place], wanted)


def test_sinusoids_are_those_of_the_paper() -> None:
    table = sinusoids(9, 8)
    for place in range(9):
        for pair in range(4):
            angle = torch.tensor(place / 10000 ** (2 * pair / 8))
            torch.testing.assert_close(table[place, 2 * pair], angle.sin())
            torch.testing.assert_close(table[place, 2 * pair + 1], angle.cos())


def test_dropout_sleeps_in_evaluation_and_wakes_in_training() -> None:
    for config in (transformer(dropout=0.5), lstm(dropout=0.5)):
        training_task = training_task_of(grid_preset(config))
        columns = piece_columns(training_task)
        network = training_task.network.eval()
        assert torch.equal(network(columns), network(columns))
        network.train()
        assert not torch.equal(network(columns), network(columns))

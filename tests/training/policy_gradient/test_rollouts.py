"""Sampling from cached states, and rollouts of all prefixes in one batch."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import torch

from partimento.representations import (
    BarEvents,
    Countdown,
    FourVoiceGrid,
    PerformanceEvents,
    TokenRepresentation,
)
from partimento.representations.base import input_columns
from partimento.runtime.presets import RecurrentConfig, TransformerConfig
from partimento.training.nn.recurrent import CausalLSTM
from partimento.training.nn.relative_pitch import voice_pitches
from partimento.training.nn.transformer import CausalTransformer
from partimento.training.policy_gradient import rollouts
from partimento.training.policy_gradient.rollouts import (
    TokenPolicy,
    cached,
    naive_rollouts,
    pick,
    policy_of,
    walks_of,
)

from support.tiny_models import lstm, relative_pitch, roughen, song, transformer

GRID = FourVoiceGrid(60, 66)
FORMS: dict[str, TokenRepresentation] = {
    "grid": GRID,
    "grid in 3/4": FourVoiceGrid(60, 66, 12),
    "bars": BarEvents(),
    "countdown": Countdown(GRID, 4),
    "events": PerformanceEvents(),
}
NETWORKS: dict[str, TransformerConfig | RecurrentConfig] = {
    "lstm": lstm(),
    "relative": transformer("relative", max_distance=6),
    "sliding": transformer("sliding", max_distance=6),
    "narrow": transformer("relative", max_distance=6, attention_width=32),
    "rotary": transformer("rotary"),
    "absolute": transformer("absolute"),
    "relative pitch": relative_pitch(),
}
every_network = pytest.mark.parametrize("kind", list(NETWORKS))


@lru_cache
def policy(kind: str, form: str = "grid") -> TokenPolicy:
    config, representation = NETWORKS[kind], FORMS[form]
    size, features = representation.vocabulary.size, representation.feature_sizes
    torch.manual_seed(0)
    if isinstance(config, RecurrentConfig):
        network: CausalLSTM | CausalTransformer = CausalLSTM(config, size, features)
    else:
        pitches = voice_pitches(representation, config)
        network = CausalTransformer(config, size, features, pitches)
    roughen(network)
    return policy_of(network.double(), representation, config.local_width)


@every_network
def test_steps_from_cached_states_are_the_whole_pass(kind: str) -> None:
    own = policy(kind)
    tokens = torch.randint(0, 8, (3, 10))
    columns = own.columns(tokens)
    whole = own.network(columns)
    memory = own.steps.begin(5, 10)
    with torch.no_grad():
        steps = [own.steps.step(memory, columns[:, at], at) for at in range(10)]
    torch.testing.assert_close(torch.stack(steps, dim=1), whole, atol=1e-9, rtol=0)


@every_network
def test_rollouts_in_one_batch_are_the_naive_ones(kind: str) -> None:
    own = policy(kind)
    tokens = own.sample(3, 7)
    uniforms = torch.rand(6, 3, 2, 7)
    fast = own.rollouts(tokens, 2, uniforms)
    assert fast.shape == (6, 3, 2, 7)
    assert torch.equal(fast, naive_rollouts(own, tokens, uniforms))
    for start in range(6):
        assert (fast[start, :, :, : start + 1] == tokens[:, None, : start + 1]).all()
    assert len({tuple(row) for row in fast.flatten(0, 2).tolist()}) > 15


def test_rollouts_of_features_that_the_tokens_make() -> None:
    own = policy("relative", "bars")
    tokens = torch.from_numpy(BarEvents().encode(song(0))[:7])[None]
    uniforms = torch.rand(6, 1, 3, 7)
    assert torch.equal(own.rollouts(tokens, 3, uniforms), naive_rollouts(own, tokens, uniforms))


def test_some_prefixes_alone_and_rows_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    own = policy("lstm")
    tokens, uniforms = own.sample(4, 8), torch.rand(7, 4, 2, 8)
    whole = own.rollouts(tokens, 2, uniforms)
    starts = [2, 5]
    some = own.rollouts(tokens, 2, uniforms[[1, 4]], starts)
    assert torch.equal(some, whole[[1, 4]])
    monkeypatch.setattr(rollouts, "_MOST_ROWS", 16)
    assert torch.equal(own.rollouts(tokens, 2, uniforms), whole)


@pytest.mark.parametrize("starts", [[0], [3, 2], [8], [2, 2]])
def test_prefixes_that_cannot_be(starts: list[int]) -> None:
    own = policy("lstm")
    with pytest.raises(ValueError, match=r"rise from 1|is shorter"):
        own.rollouts(torch.zeros(1, 8, dtype=torch.long), 1, starts=starts)


@pytest.mark.parametrize("form", list(FORMS))
def test_columns_are_those_of_training(form: str) -> None:
    representation = FORMS[form]
    own = policy("relative", form) if form != "events" else policy("lstm", form)
    draw = np.random.default_rng(0)
    tokens = draw.integers(0, representation.vocabulary.size, (2, 60))
    made = own.columns(torch.from_numpy(tokens)).numpy()
    for row in range(2):
        features = representation.features(tokens[row])
        if isinstance(representation, Countdown):
            features[:, -1] = 0  # the end is not known before it is there
        wanted = input_columns(tokens[row], features, representation.start_token, own.local_width)
        np.testing.assert_array_equal(made[row], wanted)


def test_the_start_token_is_never_drawn_and_a_prompt_stands() -> None:
    own = policy("lstm")
    prompt = torch.tensor([[1, 2, 3]]).expand(50, 3)
    tokens = own.sample(50, 20, prompt=prompt, temperature=5.0)
    assert (tokens[:, :3] == prompt).all()
    assert not (tokens == GRID.start_token).any()
    assert own.log_probabilities(tokens)[..., GRID.start_token].isinf().all()


def test_tokens_are_picked_in_proportion() -> None:
    logits = torch.tensor([0.5, 0.0, 0.25, 0.25]).log()
    even = (torch.arange(4000) + 0.5) / 4000
    counts = pick(logits.expand(4000, 4), even).bincount(minlength=4)
    assert counts.tolist() == [2000, 0, 1000, 1000]
    assert pick(logits[None], torch.tensor([1 - 2.0**-24])).item() == 3
    first = torch.tensor([[float("-inf"), 0.0]])
    assert pick(first, torch.zeros(1)).item() == 1


def test_what_has_no_stepwise_form_is_refused() -> None:
    with pytest.raises(ValueError, match="no stepwise form of Linear"):
        cached(torch.nn.Linear(1, 1))
    odd = FourVoiceGrid()
    assert walks_of(odd).features(walks_of(odd).begin(2, torch.device("cpu"))).tolist() == [
        [0, 0],
        [0, 0],
    ]

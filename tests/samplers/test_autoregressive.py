from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from partimento.music import Promises, parse_key
from partimento.representations.bar_events import BarEventConstraint, BarEvents
from partimento.representations.four_voice_grid import FourVoiceGrid, GridConstraint
from partimento.samplers import Pick, sample, sample_batch

GRID = FourVoiceGrid()


class Bigrams:
    """A decoder whose logits hang on the last two tokens; its state is these."""

    def __init__(self, vocabulary_size: int) -> None:
        self.vocabulary_size = vocabulary_size
        self.calls: list[tuple[int, ...]] = []
        rng = np.random.default_rng(0)
        self._table = rng.normal(size=(7, 11, vocabulary_size)).astype(np.float32)

    def begin(self, batch: int) -> np.ndarray:
        return np.full((batch, 2), self.vocabulary_size - 1, dtype=np.int64)

    def append(self, state: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert tokens.dtype == np.int64
        self.calls.append(tokens.shape)
        state = np.concatenate([state, tokens], axis=1)[:, -2:]
        return self._table[state[:, 0] % 7, state[:, 1] % 11], state


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_stream_repeats_by_its_seed_and_asks_no_more_than_it_yields() -> None:
    decoder = Bigrams(GRID.vocabulary.size)
    constraint = GridConstraint(GRID, Promises(bars=2))
    tokens = list(sample(decoder, Pick(), constraint, rng(3)))
    assert len(tokens) == 2 * 64
    assert decoder.calls == [(1, 0)] + [(1, 1)] * 127
    assert tokens == list(sample(decoder, Pick(), constraint, rng(3)))
    assert tokens != list(sample(decoder, Pick(), constraint, rng(4)))
    decoder.calls.clear()
    first = next(sample(decoder, Pick(), constraint, rng(3)))
    assert first == tokens[0]
    assert decoder.calls == [(1, 0)]


def test_a_stream_without_constraint_goes_on_for_ever() -> None:
    tokens = list(islice(sample(Bigrams(5), Pick(), None, rng(0)), 300))
    assert len(tokens) == 300
    assert set(tokens) == set(range(5))


def test_a_prompt_is_heard_and_not_repeated() -> None:
    decoder = Bigrams(GRID.vocabulary.size)
    constraint = GridConstraint(GRID, Promises(bars=1, key=parse_key("C")))
    prompt = [1] * 64
    tokens = list(sample(decoder, Pick(), constraint, rng(0), prompt))
    assert decoder.calls[0] == (1, 64)
    assert len(tokens) == 64
    assert all(GRID.rest_token == t or (36 + t) % 12 in (0, 2, 4, 5, 7, 9, 11) for t in tokens)


def test_streams_in_lockstep_are_the_streams_alone() -> None:
    bars = BarEvents()
    decoder = Bigrams(bars.vocabulary.size)
    constraints = [
        BarEventConstraint(bars, Promises(bars=count), tempo_bin=9, instruments=(0,))
        for count in (3, 1, 2)
    ]
    picks = [Pick(), Pick(top_p=0.9), Pick(temperature=0.7)]
    prompt = [bars.vocabulary.first("bar")]
    alone = [
        list(sample(decoder, pick, constraint, rng(i), prompt))
        for i, (pick, constraint) in enumerate(zip(picks, constraints, strict=True))
    ]
    assert len({len(tokens) for tokens in alone}) == 3
    rngs = [rng(i) for i in range(3)]
    assert sample_batch(decoder, picks, constraints, rngs, prompt) == alone
    backwards = sample_batch(
        decoder, picks[::-1], constraints[::-1], [rng(i) for i in (2, 1, 0)], prompt
    )
    assert backwards == alone[::-1]
    short = sample_batch(
        decoder, picks, constraints, [rng(i) for i in range(3)], prompt, max_tokens=20
    )
    assert short == [tokens[:20] for tokens in alone]


def test_a_batch_needs_an_end_and_equal_lengths() -> None:
    with pytest.raises(ValueError, match="max_tokens"):
        sample_batch(Bigrams(5), Pick(), [None], [rng(0)])
    with pytest.raises(ValueError, match="1 generators"):
        sample_batch(Bigrams(5), Pick(), [], [rng(0)])
    both = sample_batch(Bigrams(5), Pick(), [None, None], [rng(0), rng(0)], max_tokens=7)
    assert both[0] == both[1]
    assert len(both[0]) == 7

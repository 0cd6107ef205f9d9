"""The countdown: one token at a time, all at once, and where the end is unknown."""

from __future__ import annotations

import numpy as np
import pytest

from partimento.errors import ConfigError
from partimento.music import Score
from partimento.representations import BarEvents, Countdown, FourVoiceGrid, token_representation

from support.tiny_models import chorale, song

GRID, EVENTS = FourVoiceGrid(60, 66), BarEvents()
CASES = [(GRID, chorale(0, bars=5)), (EVENTS, song(0, bars=5))]


@pytest.mark.parametrize(("base", "score"), CASES)
@pytest.mark.parametrize("bars", [1, 3, 8])
def test_the_walk_gives_the_features_one_by_one(
    base: FourVoiceGrid | BarEvents, score: Score, bars: int
) -> None:
    countdown = Countdown(base, bars)
    tokens = countdown.encode(score)
    wanted = countdown.features(tokens)
    assert wanted.shape == (len(tokens), len(countdown.feature_sizes))
    assert (wanted < np.array(countdown.feature_sizes)).all()
    walk = countdown.on(base, 5).walk()
    for token, row in zip(tokens.tolist(), wanted.tolist(), strict=True):
        assert list(walk.features()) == row
        walk.push(token)


@pytest.mark.parametrize(("base", "score"), CASES)
def test_a_prompt_counts_towards_the_end_of_the_whole(
    base: FourVoiceGrid | BarEvents, score: Score
) -> None:
    """Two bars of prompt and three to come give the features of a piece of five."""
    countdown = Countdown(base, 4)
    tokens = countdown.encode(score)
    begun = base.bars_begun(tokens)
    first = int(np.argmax(begun == 3)) - (isinstance(base, BarEvents))
    walk = countdown.on(base, 2 + 3).walk()
    for token in tokens[:first].tolist():
        walk.push(token)
    for token, row in zip(tokens[first:].tolist(), countdown.features(tokens)[first:].tolist(),
                          strict=True):  # fmt: skip
        assert list(walk.features()) == row
        walk.push(token)


def test_it_counts_the_bars_still_to_begin() -> None:
    tokens = GRID.encode(chorale(0, bars=5))
    left = Countdown(GRID, 3).features(tokens)[:, -1].reshape(5, -1)
    assert (left == left[:, :1]).all()
    assert left[:, 0].tolist() == [0, 0, 3, 2, 1]  # bars 1 and 2 are too far from the end


def test_bar_events_count_down_at_each_bar_token() -> None:
    tokens = EVENTS.encode(song(0, bars=3))
    left = Countdown(EVENTS, 8).features(tokens)[:, -1]
    at = np.flatnonzero(tokens == EVENTS.vocabulary.first("bar"))
    assert left[at].tolist() == [4, 3, 2]  # before a BAR it is still to begin
    assert left[at + 1].tolist() == [3, 2, 1]
    assert left[-1] == 1  # the END comes in the last bar


@pytest.mark.parametrize(("base", "score"), CASES)
def test_an_unknown_end_is_zero(base: FourVoiceGrid | BarEvents, score: Score) -> None:
    countdown = Countdown(base, 8)
    walk = countdown.walk()
    for token in countdown.encode(score).tolist():
        assert walk.features()[-1] == 0
        walk.push(token)


def test_past_the_end_it_is_zero() -> None:
    walk = Countdown(GRID, 4).on(GRID, 1).walk()
    seen = []
    for _ in range(3):
        seen.append(walk.features()[-1])
        for _ in range(64):
            walk.push(0)
    assert seen == [1, 0, 0]


def test_it_is_the_base_in_all_else() -> None:
    for base, score in CASES:
        countdown = Countdown(base, 4)
        tokens = countdown.encode(score)
        np.testing.assert_array_equal(tokens, base.encode(score))
        np.testing.assert_array_equal(countdown.features(tokens)[:, :-1], base.features(tokens))
        assert countdown.decode(tokens) == base.decode(tokens)
        assert countdown.quantize(score) == base.quantize(score)
        assert (countdown.start_token, countdown.end_token) == (base.start_token, base.end_token)
        moved, wanted = countdown.transposed(tokens, 0), base.transposed(tokens, 0)
        assert moved is not None
        assert wanted is not None
        np.testing.assert_array_equal(moved, wanted)


def test_its_spec_makes_it_again() -> None:
    again = token_representation(Countdown(GRID, 5).spec())
    assert isinstance(again, Countdown)
    assert (again.bars, again.base.spec(), again.total) == (5, GRID.spec(), None)
    with pytest.raises(ConfigError, match="only bar events and grids"):
        token_representation({"name": "countdown", "base": {"name": "performance_events"}})

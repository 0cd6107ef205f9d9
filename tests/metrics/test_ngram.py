from __future__ import annotations

import numpy as np
import pytest

from partimento.errors import MusicError
from partimento.metrics.ngram import NGramModel


def sequences(count: int = 20, length: int = 60) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [np.cumsum(rng.integers(0, 3, length)) % 7 for _ in range(count)]


@pytest.mark.parametrize("smoothing", ["discount", "witten-bell"])
def test_probabilities_sum_to_one_and_agree_with_nll(smoothing: str) -> None:
    model = NGramModel(7, (1, 2, 5), (4,), smoothing).fit(sequences())  # type: ignore[arg-type]
    tokens = np.array([0, 1, 1, 2, 6, 3, 0, 0, 5, 2, 2, 4])
    nll = model.nll(tokens)
    for at in range(len(tokens)):
        probabilities = model.probabilities(tokens[:at])
        assert probabilities.sum() == pytest.approx(1)
        assert (probabilities > 0).all()
        assert -model.logits(tokens[:at])[tokens[at]] == pytest.approx(nll[at])


def test_witten_bell_by_hand() -> None:
    model = NGramModel(2, (1,), (), "witten-bell").fit([[0, 0, 1, 0]])
    unigram = (1 + 2 * 0.5) / (4 + 2)  # of token 1: one count, two kinds, even below
    assert model.probabilities([0])[1] == pytest.approx((1 + 2 * unigram) / (2 + 2))
    assert model.probabilities([1])[1] == pytest.approx((0 + 1 * unigram) / (1 + 1))


def test_longer_contexts_help_and_periods_count() -> None:
    data = sequences()
    short = np.mean([NGramModel(7, ()).fit(data).nll(x).mean() for x in data[:3]])
    long = np.mean([NGramModel(7, (1,)).fit(data).nll(x).mean() for x in data[:3]])
    assert long < short - 0.5
    beat = [np.tile([0, 1, 2, 3], 10)]
    assert NGramModel(4, (), (4,)).fit(beat).nll(beat[0]).mean() < 0.2


def test_unseen_tokens_and_contexts_keep_some_weight() -> None:
    model = NGramModel(50, (1, 2)).fit([[1, 2, 3, 1, 2, 3]])
    assert np.isfinite(model.nll([40, 41, 1, 2])).all()


def test_sampling_repeats_and_follows_the_counts() -> None:
    model = NGramModel(7, (1,)).fit(sequences(100))
    first = model.sample(400, np.random.default_rng(1))
    assert np.array_equal(first, model.sample(400, np.random.default_rng(1)))
    assert (np.isin(np.diff(first) % 7, [0, 1, 2])).mean() > 0.97
    colder = model.sample(50, np.random.default_rng(2), prompt=[1, 2], temperature=0.1)
    assert colder.shape == (50,)
    # What is sampled one by one is what the whole context predicts.
    stream = model.stream(np.random.default_rng(1))
    assert [next(stream) for _ in range(5)] == first[:5].tolist()


def test_bad_requests() -> None:
    with pytest.raises(MusicError, match="fit first"):
        NGramModel(4).nll([1])
    with pytest.raises(MusicError, match=r"0\.\.3"):
        NGramModel(4).fit([[4]])
    with pytest.raises(MusicError, match="at least one token"):
        NGramModel(4).fit([[], []])
    with pytest.raises(MusicError, match="differ"):
        NGramModel(4, (1, 1))
    with pytest.raises(MusicError, match="1 or more"):
        NGramModel(4, (0,))
    with pytest.raises(MusicError, match="temperature"):
        NGramModel(4).fit([[1]]).sample(1, np.random.default_rng(0), temperature=0)
    assert NGramModel(4).fit([[1]]).nll([]).shape == (0,)

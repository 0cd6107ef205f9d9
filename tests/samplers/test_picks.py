from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from partimento.errors import ConfigError, ModelError
from partimento.samplers.picks import GREEDY_BELOW, Pick

SIZE = 9
PICKS = st.builds(
    Pick,
    temperature=st.floats(0, 5),
    top_k=st.integers(0, SIZE + 2),
    top_p=st.floats(0.01, 1),
    min_p=st.floats(0, 0.99),
)


def plain(pick: Pick, logits: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """The plain form: the probability of each token, by sorting all of them."""
    probability = np.zeros(len(logits))
    scaled = logits[allowed].astype(np.float64) / pick.temperature
    probability[allowed] = np.exp(scaled - scaled.max())
    probability /= probability.sum()
    order = np.argsort(-probability, kind="stable")
    kept = order[: pick.top_k] if pick.top_k else order
    mass = np.cumsum(probability[kept]) / probability[kept].sum()
    kept = kept[: int(np.argmax(mass >= pick.top_p - 1e-12)) + 1] if pick.top_p < 1 else kept
    kept = [token for token in kept if probability[token] >= pick.min_p * probability.max()]
    out = np.zeros(len(logits))
    out[kept] = probability[kept]
    return out / out.sum()


@pytest.mark.parametrize(
    "pick",
    [
        Pick(),
        Pick(temperature=0.5),
        Pick(temperature=2.0, top_k=4),
        Pick(top_p=0.8),
        Pick(min_p=0.1),
        Pick(temperature=1.5, top_k=6, top_p=0.9, min_p=0.05),
    ],
)
def test_frequencies_are_those_of_the_plain_form(pick: Pick) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=1.5, size=12).astype(np.float32)
    allowed = rng.random(12) < 0.75
    expected = plain(pick, logits, allowed)
    count = 4000
    tokens = [pick(logits, allowed, rng) for _ in range(count)]
    found = np.bincount(tokens, minlength=12) / count
    assert (found[expected == 0] == 0).all()
    assert np.abs(found - expected).max() < 0.03


@settings(max_examples=150, deadline=None)
@given(
    pick=PICKS,
    logits=hnp.arrays(np.float32, SIZE, elements=st.floats(width=32, allow_nan=False)),
    allowed=hnp.arrays(np.bool_, SIZE).filter(lambda mask: mask.any()),
    seed=st.integers(0, 99),
)
def test_any_logits_give_an_allowed_token(
    pick: Pick, logits: np.ndarray, allowed: np.ndarray, seed: int
) -> None:
    token = pick(logits, allowed, np.random.default_rng(seed))
    assert allowed[token]
    assert token == pick(logits, allowed, np.random.default_rng(seed))
    assert isinstance(token, int)


def test_low_temperatures_take_the_likeliest() -> None:
    logits = np.array([0.0, 2.0, 1.999, 5.0], dtype=np.float32)
    allowed = np.array([True, True, True, False])
    rng = np.random.default_rng(0)
    for temperature in (0.0, GREEDY_BELOW / 2, GREEDY_BELOW):
        pick = Pick(temperature=temperature)
        assert {pick(logits, allowed, rng) for _ in range(50)} == {1}
        assert pick(logits, None, rng) == 3


def test_allowed_tokens_that_the_model_excludes_are_equally_likely() -> None:
    logits = np.array([9.0, -np.inf, -np.inf, 9.0], dtype=np.float32)
    allowed = np.array([False, True, True, False])
    rng = np.random.default_rng(0)
    assert {Pick(top_p=0.5)(logits, allowed, rng) for _ in range(50)} == {1, 2}


def test_batch_gives_what_each_row_gives_alone() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(5, 40)).astype(np.float32)
    masks = [rng.random(40) < 0.5, None, rng.random(40) < 0.5, None, None]
    pick = Pick(top_p=0.9)
    together = pick.batch(logits, masks, [np.random.default_rng(i) for i in range(5)])
    alone = [pick(logits[i], masks[i], np.random.default_rng(i)) for i in range(5)]
    assert together.dtype == np.int64
    assert together.tolist() == alone


def test_nan_and_dead_ends_are_told() -> None:
    rng = np.random.default_rng(0)
    logits = np.array([0.0, np.nan, 1.0], dtype=np.float32)
    with pytest.raises(ModelError, match="NaN"):
        Pick()(logits, np.array([True, False, True]), rng)
    with pytest.raises(ModelError, match="no token is allowed"):
        Pick()(np.zeros(3, dtype=np.float32), np.zeros(3, dtype=bool), rng)


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.5},
        {"min_p": 1.0},
        {"min_p": -0.5},
    ],
)
def test_values_outside_their_range_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(values))):
        Pick(**values)  # type: ignore[arg-type]

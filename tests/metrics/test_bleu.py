"""BLEU by counting all at once, against its definition."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from partimento.metrics.bleu import bleu, distinct, novelty, self_bleu


def grams(sequence: list[int], n: int) -> Counter[tuple[int, ...]]:
    return Counter(tuple(sequence[i : i + n]) for i in range(len(sequence) - n + 1))


def plain(candidate: list[int], references: list[list[int]]) -> float:
    """Return BLEU-4 by its definition."""
    logs = []
    for n in range(1, 5):
        own = grams(candidate, n)
        most: Counter[tuple[int, ...]] = Counter()
        for reference in references:
            most |= grams(reference, n)
        matched = sum(min(count, most[gram]) for gram, count in own.items())
        logs.append(math.log((matched or 0.1) / sum(own.values())))
    return math.exp(sum(logs) / 4)


@pytest.mark.parametrize("vocabulary", [2, 5, 10**9])
def test_all_at_once_is_one_by_one(vocabulary: int) -> None:
    draw = np.random.default_rng(0)
    made, kept = draw.integers(0, vocabulary, (2, 12, 9))
    made[0] = kept[3]
    made[1] = made[2]
    whole, own = bleu(made, kept), self_bleu(made)
    for row in range(12):
        assert whole[row] == pytest.approx(plain(made[row].tolist(), kept.tolist()))
        others = np.delete(made, row, 0).tolist()
        assert own[row] == pytest.approx(plain(made[row].tolist(), others))
    assert whole[0] == 1
    assert own[1] == own[2] == 1


def test_distinct_and_novel_grams() -> None:
    same = np.tile(np.arange(6), (4, 1))
    assert distinct(same) == pytest.approx(3 / 12)
    assert novelty(same, same) == 0
    assert novelty(same, same + 6) == 1
    assert novelty(np.arange(12).reshape(2, 6), same) == 0.5


@pytest.mark.parametrize("order", [3, 4])
def test_what_cannot_be_compared(order: int) -> None:
    short = np.zeros((2, order - 1), dtype=np.int64)
    with pytest.raises(ValueError, match="have no"):
        bleu(short, short, order)
    with pytest.raises(ValueError, match="one length"):
        bleu(short, short[:0])
    with pytest.raises(ValueError, match="one length"):
        novelty(short, short[:, 1:])
    with pytest.raises(ValueError, match="two sequences"):
        self_bleu(short[:1])

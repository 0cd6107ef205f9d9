from __future__ import annotations

import numpy as np
import pytest

from partimento.errors import MusicError
from partimento.metrics.notes import note_table
from partimento.metrics.similarity import similarity_curve, similarity_error
from partimento.music import Score
from partimento.music.transform import concatenate

from support.tiny_music import drums, solo, two_part


def plain(score: Score, lag: int) -> float:
    """The definition, read aloud."""
    table = note_table(score)
    bars: list[set[tuple[int, ...]]] = [set() for _ in range(table.bars)]
    for row in range(len(table)):
        note = (table.pitch[row], table.in_bar[row], table.duration[row], table.is_drum[row])
        bars[int(table.bar[row])].add(tuple(int(x) for x in note))
    values = [len(a & b) / len(a | b) for a, b in zip(bars, bars[lag:], strict=False) if a | b]
    return float(np.mean(values))


def test_curve_equals_the_definition() -> None:
    score = two_part(np.random.default_rng(3), bars=12)
    curve = similarity_curve([score])
    for lag in (1, 2, 5, 11):
        assert curve.similarity[lag - 1] == pytest.approx(plain(score, lag))
        assert curve.pairs[lag - 1] == 12 - lag
    assert np.isnan(curve.similarity[11:]).all()


def test_repetition_shows_at_its_lag() -> None:
    a, b = [60, 62, 64, 65], [67, 69, 71, 72]
    curve = similarity_curve([solo((a + b) * 3)])
    assert curve.similarity[:4].tolist() == [0, 1, 0, 1]


def test_error_and_degenerate_sets() -> None:
    curve = similarity_curve([two_part(np.random.default_rng(0))])
    assert similarity_error(curve, curve) == 0.0
    for none in (similarity_curve([]), similarity_curve([Score()]), similarity_curve([solo([60])])):
        assert similarity_error(curve, none) is None
    assert similarity_curve([drums(4)]).similarity[0] == 1.0
    with pytest.raises(MusicError, match="lag"):
        similarity_curve([], 0)
    with pytest.raises(MusicError, match="same number of lags"):
        similarity_error(curve, similarity_curve([], 3))


def test_empty_bars_do_not_count_as_equal() -> None:
    gap = concatenate(solo([60]), solo([60]), 3 * 1920)
    curve = similarity_curve([gap])
    assert curve.pairs[:3].tolist() == [2, 2, 1]
    assert curve.similarity[:3].tolist() == [0, 0, 1]

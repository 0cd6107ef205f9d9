from __future__ import annotations

import numpy as np
import pytest

from partimento.errors import MusicError
from partimento.metrics.judge import auc, judge
from partimento.metrics.windows import HASHED_WIDTH, window_vectors
from partimento.music import Score
from partimento.music.transform import transpose

from support.tiny_music import drums, some


def test_it_tells_bad_from_good_and_not_like_from_like() -> None:
    real = some(24, 0)
    bad = judge(some(24, 1, chromatic=True), real, np.random.default_rng(0))
    assert bad.accuracy > 0.9
    assert bad.auc > 0.95
    alike = judge(some(24, 2), real, np.random.default_rng(0))
    assert abs(alike.accuracy - 0.5) < 4 * alike.standard_error
    assert 0 < alike.standard_error < 0.1
    assert alike.windows == (48, 48)
    assert alike.pieces == (24, 24)


def test_same_generator_same_verdict() -> None:
    made, real = some(8, 1), some(6, 0)
    first = judge(made, real, np.random.default_rng(5))
    assert first == judge(made, real, np.random.default_rng(5))


def test_identical_sets_are_not_told_apart() -> None:
    real = some(8, 0)
    found = judge(real, real, np.random.default_rng(0))
    assert found.accuracy == pytest.approx(0.5)
    assert found.auc == pytest.approx(0.5)


def test_key_and_order_of_tracks_tell_nothing() -> None:
    score = next(iter(some(1, 0).values()))
    moved = transpose(score, 2)
    moved = moved.with_tracks(moved.tracks[::-1])
    first, second = window_vectors(score, 4), window_vectors(moved, 4)
    assert np.array_equal(first.hashed, second.hashed)
    assert first.values == pytest.approx(second.values)
    assert first.hashed.shape == (2, HASHED_WIDTH)


def test_degenerate_pieces() -> None:
    assert len(window_vectors(Score(), 4).hashed) == 0
    assert len(window_vectors(drums(2), 4).hashed) == 1
    beats = {str(k): drums(4 + k) for k in range(4)}
    assert judge(beats, some(4, 0), np.random.default_rng(0)).accuracy > 0.9
    with pytest.raises(MusicError, match="2 bars"):
        window_vectors(drums(), 1)
    with pytest.raises(MusicError, match="4 pieces"):
        judge(some(3, 0), some(9, 1), np.random.default_rng(0))
    with pytest.raises(MusicError, match="nothing to judge"):
        judge({}, {"x": Score()}, np.random.default_rng(0))
    with pytest.raises(MusicError, match="folds"):
        judge(some(4, 0), some(4, 1), np.random.default_rng(0), folds=1)


def test_auc() -> None:
    labels = np.array([False, False, True, True])
    assert auc(np.array([0.1, 0.4, 0.35, 0.8]), labels) == pytest.approx(0.75)
    assert auc(np.zeros(4), labels) == pytest.approx(0.5)
    with pytest.raises(MusicError, match="both classes"):
        auc(np.zeros(2), np.array([True, True]))

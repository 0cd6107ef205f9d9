"""Corpora as tokens: crops are parts of the whole piece, and the cache is told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from partimento.errors import TrainingError
from partimento.music import Note, Score, Track
from partimento.representations import Countdown, FourVoiceGrid, token_representation
from partimento.representations.base import input_columns
from partimento.training.tokens.data import (
    TokenPiece,
    TokenSet,
    encode_pieces,
    load_sets,
    save_sets,
)

from support.tiny_models import GRID, chorale, song

BARS = {"name": "countdown", "base": {"name": "bar_events"}, "bars": 2}


def token_set(spec: dict[str, object], scores: list[Score], reach: int = 0) -> TokenSet:
    representation = token_representation(spec)
    pieces, skipped = encode_pieces(representation, scores, reach, (1.0,))
    assert skipped == 0
    return TokenSet(representation, pieces)


@pytest.mark.parametrize("spec", [GRID, BARS, {"name": "performance_events"}])
def test_crops_are_rows_of_the_whole(spec: dict[str, object]) -> None:
    tokens = token_set(spec, [chorale(1)] if spec is GRID else [song(1)])
    whole, features = tokens.piece(0)
    columns = input_columns(whole, features, tokens.representation.start_token, 5)
    for start, length in ((0, 9), (3, 10), (len(whole) - 4, 50)):
        inputs, targets = tokens.crop(0, 0, start, length, 5)
        np.testing.assert_array_equal(inputs, columns[start : start + length])
        np.testing.assert_array_equal(targets, whole[start : start + length])


def test_batches_come_from_the_generator_alone() -> None:
    tokens = token_set(GRID, [chorale(seed) for seed in range(3)], reach=2)
    first, second, other = (
        tokens.batch(np.random.default_rng(seed), 4, 24, 2, 4) for seed in (1, 1, 2)
    )
    assert first["columns"].shape == (4, 24, 4)
    assert first["columns"].equal(second["columns"])
    assert not first["columns"].equal(other["columns"])
    assert first["mask"].all()
    assert (first["columns"][:, 0, 2] == 0).all()  # crops start at the soprano


def test_short_pieces_are_padded_and_masked() -> None:
    tokens = token_set(GRID, [chorale(0, bars=1)])
    batch = tokens.batch(np.random.default_rng(0), 2, 100, 2, 4)
    assert batch["mask"].sum(1).tolist() == [64, 64]
    assert (batch["targets"][:, 64:] == 0).all()


def test_transpositions_stay_inside_the_range_of_the_corpus() -> None:
    low, high = (Score((Track("Piano", tuple(Note(240 * i, pitch, 240) for i in range(8))),))
                 for pitch in (60, 64))  # fmt: skip
    pieces, _ = encode_pieces(token_representation({"name": "bar_events"}), [low, high], 6, (1.0,))
    assert [piece.shifts for piece in pieces] == [(0, 1, 2, 3, 4), (-4, -3, -2, -1, 0)]


def test_stretched_copies_and_pieces_that_do_not_fit() -> None:
    representation = token_representation({"name": "performance_events"})
    pieces, skipped = encode_pieces(representation, [song(0)], 0, (0.5, 1.0))
    assert (len(pieces), skipped) == (2, 0)
    shifts = [int((p.tokens[(p.tokens >= 256) & (p.tokens < 356)] - 255).sum()) for p in pieces]
    assert shifts[0] * 2 == shifts[1]
    five = Score(tuple(Track(str(i), song(i).tracks[0].notes) for i in range(5)))
    assert encode_pieces(FourVoiceGrid(), [five], 0, (1.0,)) == ([], 1)


def test_the_countdown_is_hidden_in_half_of_the_crops() -> None:
    tokens = token_set(BARS, [song(0, bars=2)])
    batch = tokens.batch(np.random.default_rng(0), 200, 16, 2, 1)
    seen = (batch["columns"][:, :, -1] > 0).any(1).float().mean()
    assert 0.35 < float(seen) < 0.65
    assert isinstance(tokens.representation, Countdown)


def test_the_cache_gives_back_what_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "tokens.npz"
    sets = {
        "train": [TokenPiece(np.arange(9, dtype=np.int16), (-1, 0, 1)),
                  TokenPiece(np.arange(3, dtype=np.int16))],
        "valid": [TokenPiece(np.ones(4, dtype=np.int16))],
        "test": [],
    }  # fmt: skip
    assert load_sets(path, {"a": 1}) is None
    save_sets(path, sets, {"a": 1})
    found = load_sets(path, {"a": 1})
    assert found is not None
    assert [len(found[split]) for split in ("train", "valid", "test")] == [2, 1, 0]
    for split, pieces in sets.items():
        for mine, wanted in zip(found[split], pieces, strict=True):
            np.testing.assert_array_equal(mine.tokens, wanted.tokens)
            assert (mine.tokens.dtype, mine.shifts) == (np.int16, wanted.shifts)
    assert load_sets(path, {"a": 2}) is None
    with np.load(path, allow_pickle=False) as arrays:  # older runs hold these names
        assert sorted(arrays) == sorted(
            ["made_from", *(f"{s}_{p}" for s in sets for p in ("tokens", "lengths", "shifts"))]
        )


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", b"noise" * 50])
def test_a_damaged_cache(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "tokens.npz"
    path.write_bytes(damage)
    with pytest.raises(TrainingError, match=r"tokens\.npz is damaged"):
        load_sets(path, {})


def test_a_cache_cut_in_its_middle(tmp_path: Path) -> None:
    path = tmp_path / "tokens.npz"
    save_sets(
        path, {"train": [TokenPiece(np.arange(99, dtype=np.int16))], "valid": [], "test": []}, 0
    )
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TrainingError, match="is damaged"):
        load_sets(path, 0)

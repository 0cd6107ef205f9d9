from __future__ import annotations

import numpy as np
import pytest

from partimento.representations.track_grid import EMPTY, LONGEST, MASK
from partimento.runtime.grids.rolls import HIDDEN, SILENT, joined, pitches_of


def everywhere(shape: tuple[int, ...]) -> np.ndarray:
    return np.ones(shape, dtype=bool)


def test_a_held_note_sounds_until_the_next_starts_or_it_ends() -> None:
    cells = np.zeros((1, 8, 2), dtype=np.int64)
    cells[0, 1], cells[0, 3], cells[0, 6] = (61, 4), (63, 2), (MASK, MASK)
    wanted = [SILENT, 60, 60, 62, 62, SILENT, HIDDEN, SILENT]
    assert pitches_of(cells)[0].tolist() == wanted


def test_a_hidden_cell_ends_a_note() -> None:
    cells = np.zeros((1, 4, 2), dtype=np.int64)
    cells[0, 0], cells[0, 1] = (61, 4), (MASK, MASK)
    assert pitches_of(cells)[0].tolist() == [60, HIDDEN, SILENT, SILENT]


@pytest.mark.parametrize("seed", range(20))
def test_what_sounds_comes_back(seed: int) -> None:
    draw = np.random.default_rng(seed)
    pitches = np.repeat(draw.integers(58, 61, (3, 20)), draw.integers(1, 5), axis=1)
    pitches[draw.random(pitches.shape) < 0.2] = SILENT
    struck = draw.random(pitches.shape) < 0.2
    room = np.full(pitches.shape, LONGEST)
    cells = joined(pitches, everywhere(pitches.shape), struck, room)
    np.testing.assert_array_equal(pitches_of(cells), pitches)
    assert (cells[struck & (pitches >= 0), 0] > EMPTY).all()


def test_notes_end_where_nothing_is_written_and_where_there_is_no_room() -> None:
    pitches = np.full((1, 6), 60)
    targets = np.array([[True, True, False, True, True, True]])
    room = np.array([[2, 1, 0, 2, 1, 1]])
    cells = joined(pitches, targets, np.zeros_like(targets), room)
    assert cells[0].tolist() == [[61, 2], [0, 0], [0, 0], [61, 2], [0, 0], [61, 1]]


def test_a_note_longer_than_the_grid_can_hold_starts_again() -> None:
    pitches = np.full((1, LONGEST + 3), 60)
    room = np.full(pitches.shape, LONGEST)
    cells = joined(pitches, everywhere(pitches.shape), ~everywhere(pitches.shape), room)
    assert cells[0, [0, LONGEST]].tolist() == [[61, LONGEST], [61, 3]]

"""Faults of voice leading on the grid: found as the evaluation finds them, and asked for again."""

from __future__ import annotations

import numpy as np

from partimento.analysis.voice_leading import faults
from partimento.music import TimeSignature
from partimento.representations.track_grid import EMPTY, Grid, GridTrack, Layout, TrackGrid
from partimento.samplers.voice_care import find_violations, repair

GRID = TrackGrid([GridTrack("Soprano"), GridTrack("Alto"), GridTrack("Bass")])
VOICES = (0, 1, 2)


def drawn(seed: int, metre: TimeSignature) -> Grid:
    """Return four bars of three voices in quarters, eighths and rests, at random."""
    draw = np.random.default_rng(seed)
    layout = Layout((metre,) * 4)
    cells = np.zeros((GRID.slots, layout.columns, 2), dtype=np.int64)
    for slot in VOICES:
        at = 0
        while at < len(layout.sounding):
            length = int(draw.choice([2, 4]))
            if draw.random() < 0.9:
                left = len(layout.sounding) - at
                pitch = int(60 - 8 * slot + draw.integers(12))
                cells[slot, layout.sounding[at]] = (pitch + 1, min(length, left))
            at += length
    return Grid(cells, layout)


def test_faults_are_those_that_the_evaluation_finds() -> None:
    seen = 0
    for seed in range(60):
        grid = drawn(seed, TimeSignature(0, 3 + seed % 2, 4))
        found = find_violations(grid.cells, VOICES, grid.layout.is_padding)
        assert len(found) == faults(GRID.decode(grid)).total
        for fault in found:
            assert all(grid.cells[at][0] > EMPTY for at in fault)
        seen += len(found)
    assert seen > 100


def test_care_mends_what_it_may_and_touches_nothing_else() -> None:
    def rewrite(cells: np.ndarray, asked: np.ndarray, may: np.ndarray) -> np.ndarray:
        out = cells.copy()
        for slot, column, half in zip(*asked.nonzero(), strict=True):
            assert half == 0
            assert not may[slot, column, cells[slot, column, 0]]
            out[slot, column, 0] = draw.choice(np.flatnonzero(may[slot, column])[1:])
        return out

    before = after = 0
    for seed in range(10):
        draw = np.random.default_rng(seed)
        grid = drawn(seed, TimeSignature(0, 3, 4))
        padding = grid.layout.is_padding
        targets = np.zeros(grid.cells.shape[:2], dtype=bool)
        targets[1] = True
        allowed = np.zeros((*targets.shape, GRID.what_size), dtype=bool)
        allowed[..., [EMPTY, *range(50, 66)]] = True
        made = repair(grid.cells, targets, VOICES, padding, allowed, rewrite, 20, draw)
        assert (made[~targets] == grid.cells[~targets]).all()
        assert (made[..., 1] == grid.cells[..., 1]).all()
        before += len(find_violations(grid.cells, VOICES, padding))
        left = find_violations(made, VOICES, padding)
        after += len(left)
    assert after < before


def test_faults_of_what_is_given_are_left() -> None:
    grid = drawn(0, TimeSignature(0, 4, 4))
    none = np.zeros(grid.cells.shape[:2], dtype=bool)
    allowed = np.ones((*none.shape, GRID.what_size), dtype=bool)

    def never(cells: np.ndarray, asked: np.ndarray, may: np.ndarray) -> np.ndarray:
        raise AssertionError("nothing may be asked")

    padding = grid.layout.is_padding
    draw = np.random.default_rng(0)
    made = repair(grid.cells, none, VOICES, padding, allowed, never, 5, draw)
    assert made is grid.cells

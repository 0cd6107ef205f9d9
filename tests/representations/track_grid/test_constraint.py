"""Promises on cells: what the masks forbid, and what is put right after the draw."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from partimento.music import PitchRange, Promises, TimeSignature, parse_chords, parse_key
from partimento.representations.track_grid import (
    LONGEST,
    CellConstraint,
    Cells,
    Layout,
    Scope,
    new_notes,
)

NAMES = ("Soprano", "Alto", "Bass")


def scope(bars: int = 2, metre: str = "4/4", **changes: Any) -> Scope:
    """Return a scope of three voices in which everything is open."""
    layout = Layout((TimeSignature(0, *map(int, metre.split("/"))),) * bars)
    count = int(layout.used.sum())
    values: dict[str, Any] = {
        "layout": layout,
        "first_bar": 0,
        "begin": 0,
        "end": count,
        "is_open": np.ones((3, count), dtype=bool),
        "sounding_most": np.zeros(count, dtype=np.int64),
        "sounding_least": np.zeros(count, dtype=np.int64),
    }
    return Scope(**{**values, **changes})


def cells_of(where: Scope, *notes: tuple[int, int, int, int]) -> Cells:
    """Return cells of notes (voice, column, pitch, length)."""
    cells = np.zeros((*where.is_open.shape, 2), dtype=np.int64)
    for voice, column, pitch, length in notes:
        cells[voice, column] = pitch + 1, length
    return cells


def as_tuples(cells: Cells, where: Scope) -> list[tuple[int, int, int, int]]:
    """Return the notes (voice, column, pitch, length) of cells."""
    return [(n.slot, n.start, n.pitch, n.stop - n.start) for n in new_notes(cells, where, -1)]


def no_odds(cells: Cells) -> npt.NDArray[np.float32]:
    raise AssertionError("the model is not to be asked")


def flat(cells: Cells) -> npt.NDArray[np.float32]:
    return np.zeros((*cells.shape[:2], 129), dtype=np.float32)


# --- masks ---


def test_nothing_promised_masks_no_pitch() -> None:
    first, second = CellConstraint(Promises(), NAMES).allowed(scope())
    assert first is None
    assert second.shape == (3, 32, 65)


def test_key_and_ranges_rule_everywhere() -> None:
    promises = Promises(key=parse_key("C major"), ranges={"Alto": PitchRange(60, 62)})
    first, _ = CellConstraint(promises, NAMES).allowed(scope())
    assert first is not None
    assert (np.flatnonzero(first[1, 5]) - 1).tolist() == [-1, 60, 62]
    assert first[:, :, 0].all()
    assert not first[0, 5, 62]  # C sharp


def test_chords_rule_strong_beats_alone_and_may_be_free() -> None:
    promises = Promises(chords=(*parse_chords("C"), None))
    first, _ = CellConstraint(promises, NAMES).allowed(scope(4))
    assert first is not None
    ruled = np.flatnonzero(~first[0, :, 62 + 1])
    assert ruled.tolist() == [0, 8, 32, 40]


@pytest.mark.parametrize(
    ("metre", "columns"), [("4/4", [0, 8]), ("3/4", [0]), ("12/8", [0, 12]), ("12/64", [0, 1])]
)
def test_strong_beats_stand_where_the_music_has_them(metre: str, columns: list[int]) -> None:
    assert scope(1, metre).strong[0].tolist() == columns


def test_bars_before_the_first_are_free() -> None:
    promises = Promises(chords=parse_chords("C"))
    first, _ = CellConstraint(promises, NAMES).allowed(scope(2, first_bar=-1))
    assert first is not None
    assert first[0, 0].all()
    assert not first[0, 16, 63]


def test_lengths_reach_no_cell_that_is_closed() -> None:
    is_open = np.ones((3, 32), dtype=bool)
    is_open[1, 20:24] = False
    where = scope(is_open=is_open)
    _, second = CellConstraint(Promises(), NAMES).allowed(where)
    assert np.flatnonzero(second[1, 17]).tolist() == [0, 1, 2, 3]
    assert np.flatnonzero(second[0, 30]).tolist() == [0, 1, 2]
    assert where.room[1, 24] == 8
    assert scope(9).room.max() == LONGEST


def test_a_kept_pitch_is_not_struck_again() -> None:
    taken = np.array([[1, 3, 60]])
    first, _ = CellConstraint(Promises(), NAMES).allowed(scope(taken=taken))
    assert first is not None
    assert np.argwhere(~first).tolist() == [[1, 3, 61]]


# --- what is put right ---


def test_held_notes_are_cut_where_the_chord_turns_against_them() -> None:
    where = scope(3)
    constraint = CellConstraint(Promises(chords=parse_chords("C F")), NAMES)
    cells = cells_of(where, (0, 0, 64, 24), (1, 0, 60, 40), (2, 6, 62, 4))
    repaired = as_tuples(constraint.repair(cells, where, no_odds), where)
    # E is no tone of F, C is of both, D may stand before the strong beat but not on it.
    assert repaired == [(0, 0, 64, 16), (1, 0, 60, 40), (2, 6, 62, 2)]


def test_outer_voices_stay_where_too_many_sound() -> None:
    where = scope()
    cells = cells_of(where, (0, 4, 72, 4), (1, 0, 65, 8), (2, 4, 48, 4))
    two = CellConstraint(Promises(max_polyphony=2), NAMES)
    assert as_tuples(two.repair(cells, where, no_odds), where) == [
        (1, 0, 65, 4), (0, 4, 72, 4), (2, 4, 48, 4),
    ]  # fmt: skip
    one = CellConstraint(Promises(max_polyphony=1), NAMES)
    assert as_tuples(one.repair(cells, where, no_odds), where) == [(1, 0, 65, 4), (0, 4, 72, 4)]
    assert as_tuples(one.repair(cells, where, no_odds, [(2, 4)]), where) == [
        (1, 0, 65, 4),
        (2, 4, 48, 4),
    ]
    assert as_tuples(one.repair(cells, where, no_odds, [(1, 0)]), where) == [(1, 0, 65, 8)]


def test_voices_that_are_not_used_and_second_voices_are_no_outer_ones() -> None:
    where = scope()
    constraint = CellConstraint(Promises(max_polyphony=1), (None, "Violin", "Violin"))
    cells = cells_of(where, (1, 0, 65, 8), (2, 0, 48, 4))
    assert as_tuples(constraint.repair(cells, where, no_odds), where) == [(1, 0, 65, 8)]


def test_kept_notes_count_and_are_not_cut() -> None:
    most = np.zeros(32, dtype=np.int64)
    most[6:10] = 1
    where = scope(sounding_most=most)
    constraint = CellConstraint(Promises(max_polyphony=1), NAMES)
    cells = cells_of(where, (0, 4, 72, 8), (1, 8, 60, 1), (1, 10, 60, 2))
    assert as_tuples(constraint.repair(cells, where, no_odds), where) == [
        (0, 4, 72, 2),
        (1, 10, 60, 2),
    ]


def test_a_note_from_before_that_was_cut_stays_cut() -> None:
    where = scope(begin=16)
    constraint = CellConstraint(Promises(max_polyphony=1), NAMES)
    cells = cells_of(where, (1, 12, 60, 12), (1, 16, 62, 4), (0, 16, 72, 4))
    assert as_tuples(constraint.repair(cells, where, no_odds), where) == [
        (1, 12, 60, 4),
        (0, 16, 72, 4),
    ]


def test_long_silences_are_filled_on_a_beat_with_what_is_likeliest() -> None:
    def likes_d_in_the_alto(cells: Cells) -> npt.NDArray[np.float32]:
        logits = flat(cells)
        logits[1, :, 63] = 2.0
        logits[0, :, 64] = 5.0  # but E flat is not of the key
        return logits

    where = scope()
    promises = Promises(max_silence_quarters=1.5, key=parse_key("C major"))
    cells = cells_of(where, (0, 0, 72, 6), (2, 24, 48, 8))
    repaired = CellConstraint(promises, NAMES).repair(cells, where, likes_d_in_the_alto)
    assert as_tuples(repaired, where) == [(0, 0, 72, 6), (1, 8, 62, 16), (2, 24, 48, 8)]


def test_a_silence_goes_on_from_the_window_before() -> None:
    where = scope(silent=6, end=16)
    constraint = CellConstraint(Promises(max_silence_quarters=2.0), NAMES)
    repaired = as_tuples(constraint.repair(cells_of(where), where, flat), where)
    assert repaired[0][1] <= 2
    calm = CellConstraint(Promises(max_silence_quarters=99.0), NAMES)
    assert as_tuples(calm.repair(cells_of(where), where, no_odds), where) == []


def test_filled_notes_keep_the_other_promises() -> None:
    where = scope(4)
    promises = Promises(
        max_silence_quarters=0.0,
        chords=parse_chords("C F#"),
        ranges={"*": PitchRange(60, 71)},
        max_polyphony=1,
    )
    repaired = as_tuples(
        CellConstraint(promises, NAMES).repair(cells_of(where), where, flat), where
    )
    assert sum(length for *_, length in repaired) == 64
    for _, column, pitch, length in repaired:
        for strong in range(0, 64, 8):
            if column <= strong < column + length:
                tones = {0, 4, 7} if strong // 16 % 2 == 0 else {6, 10, 1}
                assert pitch % 12 in tones


# --- voices that must not stay empty ---


def test_a_strong_cell_is_forced_where_there_is_one() -> None:
    is_open = np.ones((3, 32), dtype=bool)
    is_open[0, :6] = False
    is_open[1] = False
    constraint = CellConstraint(Promises(), NAMES)
    where = scope(is_open=is_open)
    assert constraint.cell_to_force(where, 0, 0, 32) == 8
    assert constraint.cell_to_force(where, 0, 0, 8) == 6
    assert constraint.cell_to_force(where, 1, 0, 32) is None


def test_a_note_is_placed_where_promises_leave_room() -> None:
    where = scope()
    constraint = CellConstraint(Promises(max_polyphony=1, chords=parse_chords("C")), NAMES)
    cells = cells_of(where, (0, 0, 72, 10), (0, 13, 72, 19))
    placed = constraint.place(cells, where, 1, 0, 32, flat)
    assert as_tuples(placed, where)[1] == (1, 10, 0, 3)
    full = cells_of(where, (0, 0, 72, 32))
    assert (constraint.place(full, where, 1, 0, 32, flat) == full).all()

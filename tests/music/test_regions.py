from __future__ import annotations

import pytest

from partimento.errors import CannotBeMet, MusicError
from partimento.music import Note, Score, TimeSignature, Track
from partimento.music.regions import (
    Region,
    open_cells,
    parse_bars,
    parse_lock,
    require_open,
    track_indices,
)


def quartet(bars: int = 4) -> Score:
    """Return four tracks in 3/4, each with a quarter note a beat."""
    names = ("Violin 1", "Violin 2", "Viola", "Cello")
    tracks = tuple(
        Track(name, tuple(Note(480 * i, 72 - 5 * at, 480) for i in range(3 * bars)))
        for at, name in enumerate(names)
    )
    return Score(tracks, time_signatures=(TimeSignature(0, 3, 4),))


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("9:12,20:24", ((8, 12), (19, 24))),
        ("9", ((8, 9),)),
        (" 1 : 2 , 4-5 ,", ((0, 2), (3, 5))),
    ],
)
def test_bars_are_read_as_a_musician_writes_them(text, spans):
    assert parse_bars(text, 24) == spans


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no bars are named"),
        ("nine", "'nine' are no bars; write 9:12"),
        ("0:2", "count from 1"),
        ("4:3", "run forwards"),
        ("20:25", "there is no bar 25; this piece has 24 bars"),
    ],
)
def test_bars_that_are_not_there_are_refused(text, message):
    with pytest.raises(MusicError, match=message):
        parse_bars(text, 24)


def test_a_region_runs_forwards():
    with pytest.raises(MusicError, match="runs forwards"):
        Region(3, 3)
    assert Region(1, 3).holds(2, 7)
    assert not Region(1, 3, frozenset({0})).holds(2, 7)
    assert not Region(1, 3).holds(3, 0)


def test_tracks_are_found_by_name_then_by_any_capitals_then_by_number():
    score = quartet()
    assert track_indices(score, ["Viola", "violin 1", "4", "VIOLA"]) == (2, 0, 3)
    named = Score((Track("2"), Track("b"), Track("B"), Track("B")))
    assert track_indices(named, ["2", "B"]) == (0, 2, 3)
    with pytest.raises(
        MusicError,
        match="no track is called 'Oboe'; this score has: Violin 1, Violin 2, Viola, Cello",
    ):
        track_indices(score, ["Viola", "Oboe"])
    with pytest.raises(MusicError, match="no track is called '5'"):
        track_indices(score, ["5"])


@pytest.mark.parametrize(
    ("text", "lock"),
    [
        ("Viola", Region(0, 4, frozenset({2}))),
        ("violin 2", Region(0, 4, frozenset({1}))),
        ("2:3", Region(1, 3)),
        ("2", Region(1, 2)),
        ("Viola:2:3", Region(1, 3, frozenset({2}))),
        ("Viola 2:3", Region(1, 3, frozenset({2}))),
        ("violin 1 : 4", Region(3, 4, frozenset({0}))),
        ("Viola 2.3 D4", (2, Note(480 * 5, 62, 480))),
        ("viola 2.3.5 D4", (2, Note(480 * 5, 62, 480))),
    ],
)
def test_a_lock_is_a_track_bars_both_or_a_note(text, lock):
    assert parse_lock(text, quartet()) == lock


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "an empty lock"),
        ("Oboe", "no track is called 'Oboe'; this score has"),
        ("Oboe:1:2", "no track is called 'Oboe'"),
        ("Oboe 1.1 C4", "no track is called 'Oboe'"),
        ("3:5", "there is no bar 5; this piece has 4 bars"),
        ("Viola:5", "there is no bar 5"),
        ("Viola 5.1 D4", "there is no bar 5"),
        ("Viola 1.4 D4", "bar 1 is of 3/4: it has no beat 4"),
        ("Viola 1.1 C4", "Viola plays no C4 at beat 1 of bar 1, but D4"),
        ("Viola 1.1 H4", "is no pitch"),
    ],
)
def test_a_lock_on_nothing_is_refused(text, message):
    with pytest.raises(MusicError, match=message):
        parse_lock(text, quartet())


def test_locks_win_over_targets():
    regions = (Region(0, 2, frozenset({1})), Region(2, 3))
    cells = open_cells(4, 2, regions, (Region(1, 3, frozenset({1})),))
    assert cells.tolist() == [[False, True], [False, False], [True, False], [False, False]]


def test_locks_that_leave_nothing_are_refused():
    score = quartet()
    target = (Region(1, 3, frozenset({2})),)
    require_open(score, target, (Region(1, 2),))
    for locks in ((Region(0, 4),), (Region(1, 2), Region(2, 3, frozenset({2})))):
        with pytest.raises(CannotBeMet, match="the locks cover all"):
            require_open(score, target, locks)

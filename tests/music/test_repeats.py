from __future__ import annotations

import pytest

from partimento.errors import MusicError
from partimento.music import Note, RepeatMark, Score, TimeSignature, Track
from partimento.music.repeats import play_order, unfolded

BAR = 1920


def score(bars: int, *marks: RepeatMark) -> Score:
    """Return a score of which bar n has the pitch 60 + n."""
    notes = tuple(Note(n * BAR, 60 + n, BAR) for n in range(bars))
    return Score(
        (Track("a", notes), Track("a", ())),
        time_signatures=(TimeSignature(0, 4, 4),),
        written_length_ticks=bars * BAR,
        repeats=marks,
    )


def played(bars: int, *marks: RepeatMark) -> str:
    """Return the bars of a score as they are played, by letters."""
    notes = unfolded(score(bars, *marks)).tracks[0].notes
    assert [n.onset_ticks for n in notes] == [n * BAR for n in range(len(notes))]
    return "".join("abcdefgh"[n.pitch - 60] for n in notes)


def at(bar: int, kind: str, **more: int) -> RepeatMark:
    """Return a mark where a bar (from 0) starts."""
    return RepeatMark(bar * BAR, kind, **more)  # type: ignore[arg-type]


def ending(first: int, end: int, *passes: int) -> RepeatMark:
    return RepeatMark(first * BAR, "ending", passes, end * BAR)


@pytest.mark.parametrize(
    ("bars", "marks", "order"),
    [
        (2, (), "ab"),
        (3, (at(2, "backward"),), "ababc"),
        (4, (at(1, "forward"), at(3, "backward")), "abcbcd"),
        (2, (at(2, "backward", times=4),), "abababab"),
        (3, (ending(1, 2, 1), at(2, "backward"), ending(2, 3, 2)), "abac"),
        (4, (ending(1, 2, 1, 2), at(2, "backward"), ending(2, 3, 3)), "ababacd"),
        (
            5,
            (ending(1, 2, 1), at(2, "backward"), ending(2, 3, 2), at(4, "backward")),
            "abacdde",
        ),
        (3, (at(1, "fine"), at(3, "dacapo")), "abca"),
        (4, (at(1, "segno"), at(2, "fine"), at(4, "dalsegno")), "abcdb"),
        (4, (at(1, "tocoda"), at(3, "dacapo"), at(3, "coda")), "abcad"),
        (3, (at(1, "backward"), at(3, "dacapo"), at(2, "fine")), "aabcab"),
        (3, (ending(1, 2, 1), at(2, "backward"), ending(2, 3, 2), at(3, "dacapo")), "abacac"),
        (2, (at(2, "tocoda"), at(2, "dalsegno")), "ab"),
    ],
)
def test_order(bars: int, marks: tuple[RepeatMark, ...], order: str) -> None:
    assert played(bars, *marks) == order


def test_a_score_without_marks_is_itself_and_one_unfolded_has_none() -> None:
    plain = score(3)
    assert unfolded(plain) is plain
    again = unfolded(score(2, at(2, "backward")))
    assert again.repeats == ()
    assert again.length_ticks == 4 * BAR
    assert [track.name for track in again.tracks] == ["a", "a"]
    assert play_order(score(2, at(2, "backward"))) == [(0, 2 * BAR), (0, 2 * BAR)]


def test_what_would_never_end_is_refused() -> None:
    marks = tuple(RepeatMark(n * 100 * BAR, "backward", times=99) for n in range(1, 300))
    with pytest.raises(MusicError, match="too long"):
        unfolded(Score(written_length_ticks=300 * 100 * BAR, repeats=marks))
    with pytest.raises(MusicError, match="repeat mark"):
        RepeatMark(0, "again")
    with pytest.raises(MusicError, match=r"1\.\.99"):
        RepeatMark(0, "backward", times=100)

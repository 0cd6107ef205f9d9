from __future__ import annotations

from dataclasses import replace

import pytest

from partimento.metrics.adherence import adherence
from partimento.music import (
    Note,
    PitchRange,
    Promises,
    Score,
    TimeSignature,
    Track,
    parse_chords,
    parse_key,
)

from support.tiny_music import drums, line, solo

THREE_FOUR = TimeSignature(0, 3, 4)
ALL = Promises(
    bars=2,
    time_signature=TimeSignature(0, 4, 4),
    key=parse_key("C"),
    ranges={"Melody": PitchRange(60, 72), "*": PitchRange(36, 84)},
    max_polyphony=1,
    chords=parse_chords("C G"),
    max_silence_quarters=0,
)
GOOD = solo([60, 62, 64, 65, 67, 69, 71, 72])


def broken(score: Score, promises: Promises) -> str:
    found = adherence(score, promises)
    (violation,) = found.violations
    assert not found.kept
    return violation.text


def test_all_kept_and_none_asked() -> None:
    score = solo([60, 62, 64, 65, 67, 69, 71, 72])
    promises = replace(ALL, chords=parse_chords("C G"))
    found = adherence(score, promises)
    assert found.kept, found.violations
    assert [v.promise for v in found.verdicts] == [
        "bars",
        "time_signature",
        "key",
        "ranges",
        "max_polyphony",
        "chords",
        "max_silence_quarters",
    ]
    assert adherence(score, Promises()).verdicts == ()
    assert adherence(score, Promises()).kept


def test_bars() -> None:
    assert adherence(GOOD, Promises(bars=2)).kept
    assert "2 bars, not 3" in broken(GOOD, Promises(bars=3))
    late = solo([60, 62, 64, 65, 67], [1, 1, 1, 1, 0.01])
    (verdict,) = adherence(late, Promises(bars=1)).verdicts
    assert verdict.violation is not None
    assert verdict.violation.note == late.tracks[0].notes[-1]
    padded = replace(solo([60]), written_length_ticks=2 * 1920)
    assert adherence(padded, Promises(bars=2)).kept
    waltz = replace(GOOD, time_signatures=(THREE_FOUR,))
    assert adherence(waltz, Promises(bars=3, time_signature=THREE_FOUR)).kept
    assert "the metre is 3/4, not 4/4" in broken(
        waltz, Promises(bars=3, time_signature=TimeSignature(0, 4, 4))
    )


def test_a_bar_cut_by_a_change_of_metre_is_not_whole() -> None:
    cut = replace(GOOD, time_signatures=(TimeSignature(0, 4, 4), TimeSignature(960, 4, 4)))
    assert "cut short" in broken(cut, Promises(bars=len_bars(cut)))


def len_bars(score: Score) -> int:
    from partimento.music import Timeline

    return len(Timeline(score).bars)


def test_key_speaks_of_pitched_notes_alone() -> None:
    text = broken(solo([60, 62, 66, 61]), Promises(key=parse_key("C")))
    assert text == "bar 1, beat 3, Melody: F#4 is not in C major"
    assert adherence(drums(), Promises(key=parse_key("F#"))).kept
    assert adherence(solo([69, 68, 66, 67, 65]), Promises(key=parse_key("Am"))).kept


def test_ranges_by_track() -> None:
    low, high = Track("Low", line([40], [1])), Track("High", line([80], [1]))
    score = Score((low, high))
    assert adherence(score, Promises(ranges={"Low": PitchRange(40, 50)})).kept
    assert "High: G#5 lies outside" in broken(
        score, Promises(ranges={"Low": PitchRange(36, 50), "*": PitchRange(0, 79)})
    )
    assert adherence(drums(), Promises(ranges={"*": PitchRange(60, 72)})).kept


def test_polyphony_and_touching_notes() -> None:
    assert adherence(GOOD, Promises(max_polyphony=1)).kept
    overlapping = Score((Track("x", (Note(0, 60, 481), Note(480, 62, 480))),))
    assert "2 notes sound at once, not at most 1" in broken(overlapping, Promises(max_polyphony=1))
    with_drums = Score((*GOOD.tracks, *drums().tracks))
    assert broken(with_drums, Promises(max_polyphony=1)).startswith("bar 1, beat 1")
    assert adherence(with_drums, Promises(max_polyphony=2)).kept


def test_chords_rule_held_notes_on_strong_beats() -> None:
    chords = parse_chords("C G")
    assert adherence(GOOD, Promises(chords=chords)).kept
    held = solo([60, 65, 67], [1, 3, 4])  # F4 sounds into the third beat
    text = broken(held, Promises(chords=chords))
    assert text == "bar 1, beat 3, Melody: F4 is no tone of C"
    into = solo([64, 65, 67], [2.0, 0.5, 1.0])
    assert "beat 3" in broken(into, Promises(chords=chords))
    waltz = replace(solo([60, 65, 65, 67]), time_signatures=(THREE_FOUR,))
    assert adherence(waltz, Promises(chords=chords)).kept


def test_the_chord_line_repeats() -> None:
    score = solo([60, 67, 60, 67], [4.0] * 4)
    assert adherence(score, Promises(chords=parse_chords("C G"))).kept
    assert "bar 4" in broken(score, Promises(chords=parse_chords("C G C F")))


@pytest.mark.parametrize(
    ("start", "middle", "end", "where"),
    [(2, 0, 0, "bar 1, beat 1"), (0, 2, 0, "bar 1, beat 2"), (0, 0, 2, "bar 1, beat 3")],
)
def test_silence_anywhere(start: float, middle: float, end: float, where: str) -> None:
    notes = (*line([60], [1], start), *line([62], [1], start + 1 + middle))
    length = round((start + middle + end + 2) * 480)
    score = Score((Track("x", notes),), written_length_ticks=length)
    assert adherence(score, Promises(max_silence_quarters=2)).kept
    text = broken(score, Promises(max_silence_quarters=1.5))
    assert text == f"{where}: silence of 2 quarters, not at most 1.5"


def test_silence_of_empty_scores_and_unwritten_ends() -> None:
    assert adherence(Score(), Promises(max_silence_quarters=0)).kept
    empty = Score(written_length_ticks=1920)
    assert "silence of 4" in broken(empty, Promises(max_silence_quarters=3))
    # Two bars were promised, and the score stops in the middle of the second.
    short = solo([60] * 6)
    assert adherence(short, Promises(max_silence_quarters=1)).kept
    assert "silence of 2" in broken(short, Promises(bars=2, max_silence_quarters=1))
    long = Score((Track("a", (Note(0, 60, 1920),)), Track("b", (Note(0, 64, 10),))))
    assert adherence(long, Promises(max_silence_quarters=0)).kept

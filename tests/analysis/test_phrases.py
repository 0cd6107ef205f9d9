from __future__ import annotations

from hypothesis import given

from partimento.analysis.phrases import phrase_starts, structure_of
from partimento.music import Note, Score, Track

from support.random_scores import scores

BAR = 1920


def phrase(first_bar: int, bars: int, pitch: int = 67) -> list[Note]:
    """Return quarters that end in a half note."""
    start, count = first_bar * BAR, 4 * bars - 2
    notes = [Note(start + 480 * i, pitch, 480) for i in range(count)]
    return [*notes, Note(start + 480 * count, pitch, 960)]


def test_phrases_start_after_long_notes():
    notes = phrase(0, 2) + phrase(2, 4) + phrase(6, 2)
    assert phrase_starts(Score((Track("T", tuple(notes)),))) == (0, 2 * BAR, 6 * BAR)


def test_the_melody_decides():
    accompaniment = [Note(240 * i, 48, 240) for i in range(64)]
    score = Score(
        (Track("M", tuple(phrase(0, 4) + phrase(4, 4))), Track("A", tuple(accompaniment)))
    )
    assert phrase_starts(score) == (0, 4 * BAR)


def test_drums_alone_have_no_phrases_and_no_last_chord():
    drums = Track("D", tuple(Note(480 * i, 42, 240) for i in range(16)), is_drum=True)
    structure = structure_of(Score((drums,)))
    assert structure.phrase_starts == ()
    assert structure.last_chord_ticks is None


@given(scores)
def test_phrases_divide_any_score(score):
    starts = phrase_starts(score)
    onsets = {n.onset_ticks for t in score.tracks if not t.is_drum for n in t.notes}
    assert list(starts) == sorted(set(starts))
    assert set(starts) <= onsets
    assert bool(starts) == bool(onsets)
    assert not onsets or starts[0] == min(onsets)

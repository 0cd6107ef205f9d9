from __future__ import annotations

import numpy as np
import pytest

from partimento.analysis.chords import (
    FOUND_QUALITIES,
    beat_onsets,
    recognise,
    recognise_bars,
    recognise_beats,
    recognise_spans,
)
from partimento.errors import MusicError
from partimento.music import Note, Score, TimeSignature, Track
from partimento.music.chords import QUALITIES, Chord, parse_chord

Q = 480


def block(*chords: str, each: int = Q, inversion: int = 0) -> Track:
    """Chords one after another, close over the bass note."""
    notes = []
    for place, name in enumerate(chords):
        if name == "-":
            continue
        chord = parse_chord(name)
        steps = list(QUALITIES[chord.quality])
        steps = steps[inversion:] + [step + 12 for step in steps[:inversion]]
        notes += [Note(place * each, 48 + chord.root + step, each) for step in steps]
    return Track("Keys", tuple(notes))


def names(found):
    return [None if chord is None else chord.name for chord in found]


@pytest.mark.parametrize("quality", FOUND_QUALITIES)
def test_every_chord_is_found_in_root_position(quality):
    chords = [Chord(root, quality).name for root in range(12)]
    found = recognise_beats(Score((block(*chords),)))
    roots = 4 if quality == "aug" else 12  # an augmented triad has no root of its own
    assert names(found)[:roots] == chords[:roots]


@pytest.mark.parametrize("inversion", [1, 2])
@pytest.mark.parametrize("name", ["C", "F#m", "Bb", "G7", "Bdim", "Am"])
def test_an_inversion_is_its_chord(name, inversion):
    assert names(recognise_beats(Score((block(name, inversion=inversion),))))[0] == name


def test_the_bass_decides_between_chords_of_the_same_tones():
    over_a, over_c = block("Am7"), block("Am7", inversion=1)
    assert names(recognise_beats(Score((over_a,))))[0] == "Am7"
    assert names(recognise_beats(Score((over_c,))))[0] == "Am7"
    sus = Score((Track("Keys", tuple(Note(0, p, Q) for p in (43, 60, 62))),))
    assert names(recognise_beats(sus))[0] == "Gsus4"


def test_a_passing_note_changes_nothing():
    held = block("C", "F", "G", "C")
    tune = (76, 77, 77, 79, 74, 76, 72, 74)
    eighths = Track("Tune", tuple(Note(i * Q // 2, p, Q // 2) for i, p in enumerate(tune)))
    assert names(recognise_beats(Score((eighths, held)))) == ["C", "F", "G", "C"]


def test_bars_beats_and_silence():
    score = Score(
        (block("C", "C", "G", "C", *"----", "Dm", "-", "-", "-"), Track("Empty")),
        time_signatures=(TimeSignature(0, 4, 4),),
        written_length_ticks=16 * Q,
    )
    assert names(recognise_bars(score)) == ["C", None, "Dm", None]
    beats = names(recognise_beats(score))
    assert len(beats) == 16
    assert beats[:5] == ["C", "C", "G", "C", None]
    assert beats[8:10] == ["Dm", None]


def test_drums_and_nothing_have_no_chord():
    drums = Track("Drums", (Note(0, 37, 4 * Q),), is_drum=True)
    assert recognise_bars(Score((drums,))) == (None,)
    assert recognise_bars(Score()) == (None,)
    assert set(recognise_beats(Score())) == {None}
    assert recognise(Score((drums,))) == ()
    with_drums = Score((drums, block("A")))
    assert names(recognise_beats(with_drums))[0] == "A"


def test_symbols_stand_where_the_chord_changes():
    score = Score((block("C", "C", "F", "-", "F", "G7", "C", "C"),))
    found = [(s.onset_ticks // Q, s.chord.name) for s in recognise(score)]
    assert found == [(0, "C"), (2, "F"), (5, "G7"), (6, "C")]
    halves = [(s.onset_ticks // Q, s.chord.name) for s in recognise(score, 2.0)]
    assert halves[:2] == [(0, "C"), (2, "F")]
    with pytest.raises(MusicError, match="longer than nothing"):
        recognise(score, 0.0)


def test_beats_follow_the_metre():
    def beats(numerator, denominator, quarters):
        metre = (TimeSignature(0, numerator, denominator),)
        score = Score(time_signatures=metre, written_length_ticks=quarters * Q)
        return (beat_onsets(score) // (Q // 2)).tolist()

    assert beats(4, 4, 4) == [0, 2, 4, 6]
    assert beats(2, 2, 4) == [0, 4]
    assert beats(6, 8, 3) == [0, 3]
    assert beats(3, 8, 3) == [0, 1, 2, 3, 4, 5]


def test_spans_cut_where_they_are_told():
    score = Score((block("C", "Am", "F", "G"),))
    assert names(recognise_spans(score, [0, Q, 3 * Q])) == ["C", "Fmaj7"]  # ACE and FAC
    assert names(recognise_spans(score, np.array([Q, 2 * Q]))) == ["Am"]
    assert recognise_spans(score, [8 * Q, 9 * Q]) == (None,)
    for wrong in ([], [0], [0, 0], [Q, 0]):
        with pytest.raises(MusicError, match="borders"):
            recognise_spans(score, wrong)


def test_transposed_music_has_transposed_chords():
    rng = np.random.default_rng(3)
    onsets = (np.arange(40) // 4 * Q // 2).tolist()
    pitches = rng.integers(40, 76, 40).tolist()
    notes = [Note(t, p, Q // 2) for t, p in zip(onsets, pitches, strict=True)]
    low = recognise_beats(Score((Track("A", tuple(notes)),)))
    up = [Note(n.onset_ticks, n.pitch + 5, n.duration_ticks) for n in notes]
    high = recognise_beats(Score((Track("A", tuple(up)),)))
    symmetric = [c is not None and c.quality == "aug" for c in low]
    for chord, moved, skip in zip(low, high, symmetric, strict=True):
        assert skip or moved == (None if chord is None else chord.transposed(5))

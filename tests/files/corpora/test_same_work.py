from __future__ import annotations

from dataclasses import replace

import numpy as np

from partimento.files.corpora.same_work import same_works, shingles_of
from partimento.music import Note, Score, Track
from partimento.seeds import generator

from support.works import changed, tune


def test_key_tempo_parts_and_length_change_nothing() -> None:
    one = tune(1)
    shingles = shingles_of(one)
    assert len(shingles) > 50
    assert np.array_equal(shingles, shingles_of(changed(one, 5, 1.0)))
    assert np.array_equal(shingles, shingles_of(changed(one, -7, 1.5)))
    pieces = [shingles, shingles_of(tune(2)), shingles_of(changed(one, 2, 0.5, 8 * 1920))]
    (pair,) = same_works(pieces)  # a third of the piece is the same work, the other tune is not
    assert (pair.first, pair.second) == (0, 2)
    assert pair.share > 0.9


def test_editions_that_differ_in_some_notes_are_one_work() -> None:
    one, draw = tune(3), generator(0)
    kept = tuple(note for note in one.notes if draw.random() < 0.95)
    other = Score((Track("All", kept),))
    assert [p.second for p in same_works([shingles_of(one), shingles_of(other)])] == [1]


def test_formulas_drums_and_short_pieces_tell_nothing() -> None:
    scale = Score((Track("A", tuple(Note(i * 240, 60 + i % 12, 240) for i in range(300))),))
    assert not len(shingles_of(scale))
    drums = tune(4).with_tracks([replace(t, is_drum=True) for t in tune(4).tracks])
    assert not len(shingles_of(drums))
    assert not len(shingles_of(Score()))
    assert same_works([shingles_of(scale), shingles_of(Score())]) == []
    assert same_works([]) == []

from __future__ import annotations

import numpy as np
import pytest

from partimento.analysis.keys import estimate_key, key_of_weights
from partimento.music import Key, Note, Score, Track, parse_key

# A tune that closes on its tonic, C, with long notes on the triad: (semitones over C, sixteenths).
MAJOR = ((0, 8), (4, 4), (7, 4), (9, 2), (7, 6), (5, 2), (4, 2), (2, 2), (11, 2), (0, 8))
MINOR = ((0, 8), (3, 4), (7, 4), (8, 2), (7, 6), (5, 2), (3, 2), (2, 2), (11, 2), (0, 8))


def tune(steps: tuple[tuple[int, int], ...], tonic: int) -> Score:
    notes, at = [], 0
    for step, length in steps:
        notes.append(Note(at, 48 + tonic + step, 120 * length))
        at += 120 * length
    return Score((Track("Tune", tuple(notes)),))


@pytest.mark.parametrize("tonic", range(12))
def test_a_tune_is_in_its_key(tonic):
    major, minor = estimate_key(tune(MAJOR, tonic)), estimate_key(tune(MINOR, tonic))
    assert (major.tonic, major.is_minor) == (tonic, False)
    assert (minor.tonic, minor.is_minor) == (tonic, True)
    assert -5 <= major.fifths <= 6
    assert -5 <= minor.fifths <= 6


def test_names_drums_and_nothing():
    assert estimate_key(tune(MAJOR, 3)) == parse_key("Eb")
    assert estimate_key(tune(MINOR, 9)) == Key(0, True)
    drums = Track("Drums", (Note(0, 37, 99_999),), is_drum=True)
    with_drums = tune(MAJOR, 0).with_tracks((drums, *tune(MAJOR, 0).tracks))
    assert estimate_key(with_drums) == parse_key("C")
    assert estimate_key(Score((drums,))) is None
    assert estimate_key(Score()) is None
    assert key_of_weights(np.ones(12)) is None

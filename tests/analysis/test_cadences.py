from __future__ import annotations

import pytest

from partimento.analysis.cadences import closing_of
from partimento.analysis.keys import estimate_key
from partimento.errors import MusicError
from partimento.music import Note, Score, TimeSignature, Track, parse_key
from partimento.music.cadences import cadence_in, parse_ending

C_MAJOR, A_MINOR = parse_key("C"), parse_key("A minor")
TONIC, DOMINANT, SUBDOMINANT = (48, 64, 67, 72), (43, 65, 71, 74), (41, 65, 69, 72)


def piece(*chords: tuple[tuple[int, ...], float]) -> Score:
    """Return chords one after another, each (pitches, quarters)."""
    notes, at = [], 0
    for pitches, quarters in chords:
        notes += [Note(at, pitch, int(480 * quarters)) for pitch in pitches]
        at += int(480 * quarters)
    track = Track("Piano", tuple(sorted(notes)))
    return Score((track,), time_signatures=(TimeSignature(0, 4, 4),))


@pytest.mark.parametrize(
    ("chords", "kind"),
    [
        ([(TONIC, 3), (DOMINANT, 1), (TONIC, 4)], "authentic"),
        ([(SUBDOMINANT, 2), (TONIC, 2)], "plagal"),
        ([(TONIC, 4), ((43, 62, 67, 71), 4)], "half"),
        ([(DOMINANT, 1), (TONIC, 1), (TONIC, 1), (TONIC, 1)], "authentic"),  # struck again
        ([(DOMINANT, 3), (TONIC, 1)], None),  # too short
        ([(DOMINANT, 2), ((52, 60, 67), 2)], None),  # over its third
        ([(DOMINANT, 2), ((48, 67, 72), 2)], None),  # no third
        ([((47, 65, 67, 74), 2), (TONIC, 2)], None),  # the dominant over its third
        ([((45, 60, 64), 2), (TONIC, 2)], None),
    ],
)
def test_closings_are_recognised(chords, kind):
    found = closing_of(piece(*chords), C_MAJOR)
    assert found.kind == kind
    assert found.final_quarters > 0


def test_a_minor_piece_may_close_in_major():
    dominant = (40, 62, 68, 71)
    for third in (60, 61):
        made = piece((dominant, 2), ((45, 64, third + 12), 2))
        assert closing_of(made, A_MINOR).kind == "authentic"
    both = piece((dominant, 2), ((45, 60, 61, 64), 2))
    assert closing_of(both, A_MINOR).kind is None


def test_nothing_closes_nothing():
    assert closing_of(Score(), C_MAJOR).kind is None
    assert closing_of(piece((TONIC, 4)), C_MAJOR).kind is None


def test_the_last_chord_decides_between_near_keys():
    """Notes of C major and A minor alike: the last chord tells."""
    both = [((60, 64, 69), 2), ((57, 60, 64, 67), 2)] * 3
    assert estimate_key(piece(*both, ((45, 57, 60, 64), 4))) == A_MINOR
    assert estimate_key(piece(*both, ((48, 60, 64, 67), 4))) == C_MAJOR


def test_endings_are_named():
    assert parse_ending(" Plagal ") == "plagal"
    with pytest.raises(MusicError, match="authentic, plagal, half, open, fade"):
        parse_ending("loud")
    with pytest.raises(MusicError, match="no cadence"):
        cadence_in(C_MAJOR, "fade")

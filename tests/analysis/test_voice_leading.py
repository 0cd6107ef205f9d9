from __future__ import annotations

import pytest

from partimento.analysis.voice_leading import CHORAL_RANGES, Faults, faults, total_faults
from partimento.music import Note, PitchRange, Score, Track

Q = 480
NAMES = ("Soprano", "Alto", "Tenor", "Bass")


def voices(*lines: str, names: tuple[str, ...] = NAMES) -> Score:
    """Lines such as ``"60 62 - 62"``, a quarter a word, "-" a rest, "." goes on."""
    tracks = []
    for name, line in zip(names, lines, strict=False):
        notes: list[Note] = []
        for place, word in enumerate(line.split()):
            if word == ".":
                last = notes.pop()
                notes.append(Note(last.onset_ticks, last.pitch, last.duration_ticks + Q))
            elif word != "-":
                notes.append(Note(place * Q, int(word), Q))
        tracks.append(Track(name, tuple(notes)))
    return Score(tuple(tracks), written_length_ticks=len(lines[0].split()) * Q)


def counts(score: Score, ranges=None) -> tuple[int, int, int, int]:
    found = faults(score, ranges)
    return found.fifths, found.octaves, found.crossings, found.out_of_range


@pytest.mark.parametrize(
    ("high", "low", "expected"),
    [
        ("67 69", "60 62", (1, 0, 0, 0)),  # fifth to fifth
        ("67 69 71", "60 62 64", (2, 0, 0, 0)),
        ("79 81", "60 62", (1, 0, 0, 0)),  # twelfths
        ("79 69", "60 62", (0, 0, 0, 0)),  # contrary motion
        ("79 81", "60 50", (0, 0, 0, 0)),  # likewise
        ("79 74", "72 55", (1, 0, 0, 0)),  # fifth to twelfth, both falling
        ("72 74", "60 62", (0, 1, 0, 0)),  # octaves
        ("60 62", "60 62", (0, 1, 0, 0)),  # unisons
        ("72 72", "60 60", (0, 0, 0, 0)),  # nobody moves
        ("67 67", "60 55", (0, 0, 0, 0)),  # one moves
        ("67 - 69", "60 - 62", (0, 0, 0, 0)),  # a rest between
        ("67 68", "60 62", (0, 0, 0, 0)),  # to a diminished fifth
        ("67 69", "60 64", (0, 0, 0, 0)),  # to a fourth
        ("67 . 69", "60 62 .", (0, 0, 0, 0)),  # never together
    ],
)
def test_parallels(high, low, expected):
    assert counts(voices(high, low)) == expected


def test_all_pairs_are_heard():
    # S-B octaves, A-B fifths, S-T octaves of unisons: tenor doubles the bass an octave higher.
    score = voices("72 74", "67 69", "60 62", "48 50")
    assert counts(score) == (2, 3, 0, 0)


def test_crossings_count_anew_as_a_voice_moves():
    assert counts(voices("67 60 60 67", "60 64 64 60")) == (0, 0, 1, 0)
    assert counts(voices("67 60 62 67", "60 64 64 60")) == (0, 0, 2, 0)
    assert counts(voices("60 60", "60 60")) == (0, 0, 0, 0)
    # Only neighbours: the bass over the soprano is not named where the two between rest.
    assert counts(voices("60", "-", "-", "64")) == (0, 0, 1, 0)


def test_ranges_go_by_name():
    score = voices("82 60 59", "51 52 74", "47 48 69", "37 38 65")
    assert counts(score)[3] == 0
    assert counts(score, CHORAL_RANGES)[3] == 2 + 1 + 1 + 2
    assert counts(score, {"Alto": PitchRange(60, 70)})[3] == 3


def test_a_track_of_chords_counts_by_its_top_line_and_drums_not_at_all():
    upper = Track("Upper", tuple(Note(t * Q, p + 2 * t, Q) for t in (0, 1) for p in (64, 67)))
    lower = Track("Lower", (Note(0, 60, Q), Note(Q, 62, Q)))
    drums = Track("Drums", (Note(0, 67, Q), Note(Q, 69, Q)), is_drum=True)
    assert counts(Score((upper, drums, lower))) == (1, 0, 0, 0)


def test_rates_and_sums():
    one, two = faults(voices("67 69", "60 62")), faults(voices("72 74 72 72", "60 62 60 60"))
    both = total_faults([one, two])
    assert both == Faults(1, 2, 0, 0, 6.0)
    assert both.total == 3
    assert both.per_100_beats["total"] == pytest.approx(50.0)
    assert both.per_100_beats["fifths"] == pytest.approx(100 / 6)
    assert faults(Score()) == Faults(0, 0, 0, 0, 0.0)
    assert faults(Score()).per_100_beats["total"] == 0.0
    assert total_faults([]).total == 0

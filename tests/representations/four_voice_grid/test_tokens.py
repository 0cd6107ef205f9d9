from __future__ import annotations

import numpy as np
import pytest

from partimento.errors import ConfigError, NotSupported
from partimento.music import Note, Score, TimeSignature, Track
from partimento.representations.four_voice_grid import VOICES, FourVoiceGrid

REP = FourVoiceGrid()


def chorale(*voices: tuple[Note, ...], names: tuple[str, ...] = VOICES) -> Score:
    return Score(tuple(Track(n, notes) for n, notes in zip(names, voices, strict=False)))


def test_one_step_in_words() -> None:
    score = chorale((Note(0, 72, 120),), (Note(0, 67, 240),), (), (Note(120, 48, 120),))
    assert REP.text(REP.encode(score)) == (
        "PITCH_72 PITCH_67 REST REST REST PITCH_67 REST PITCH_48"
    )
    assert REP.vocabulary.size == 48


def test_notes_are_struck_anew_at_bar_lines_only() -> None:
    held = chorale((Note(0, 72, 960), Note(960, 72, 1920)))
    soprano = REP.quantize(held).track("Soprano")
    assert [(n.onset_ticks, n.duration_ticks) for n in soprano.notes] == [(0, 1920), (1920, 960)]


@pytest.mark.parametrize(
    ("metre", "steps"),
    [((4, 4), 16), ((2, 2), 16), ((3, 4), 12), ((6, 8), 12), ((5, 16), 5), ((3, 8), 6)],
)
def test_the_metre_asked_for_is_the_metre_of_the_score(metre: tuple[int, int], steps: int) -> None:
    grid = REP.with_metre(TimeSignature(0, *metre))
    assert grid.steps_per_bar == steps
    score = grid.decode(np.zeros(4 * steps, dtype=np.int64))
    assert score.time_signatures == (TimeSignature(0, *metre),)
    assert grid.features(np.zeros(8 * steps, dtype=np.int64))[-1].tolist() == [3, steps - 1]


@pytest.mark.parametrize("metre", [(12, 8), (5, 4), (1, 32)])
def test_other_metres_are_refused(metre: tuple[int, int]) -> None:
    with pytest.raises(NotSupported, match="it can serve"):
        REP.with_metre(TimeSignature(0, *metre))


def test_the_simplest_metre_is_the_default() -> None:
    metres = [FourVoiceGrid(steps_per_bar=n).decode([]).time_signatures[0] for n in (16, 12, 6, 5)]
    assert [str(m) for m in metres] == ["4/4", "3/4", "3/8", "5/16"]
    with pytest.raises(ConfigError, match="no metre over 2"):
        FourVoiceGrid(steps_per_bar=12, denominator=2)


def test_a_late_last_note_does_not_vanish() -> None:
    score = Score((Track("Soprano", (Note(200, 72, 10),)),))
    assert [n.onset_ticks for n in REP.quantize(score).notes] == [120]


def test_halves_round_up() -> None:
    score = Score((Track("Soprano", (Note(60, 72, 120), Note(420, 74, 120))),))
    assert [n.onset_ticks for n in REP.quantize(score).notes] == [120, 480]


def test_voices_by_name_or_by_order() -> None:
    by_name = chorale((Note(0, 48, 120),), (Note(0, 72, 120),), names=("Bass", "Soprano"))
    assert REP.grid(by_name).tolist() == [[72, -1, -1, 48]]
    by_order = chorale((Note(0, 72, 120),), (Note(0, 48, 120),), names=("Flute", "Bass"))
    assert REP.grid(by_order).tolist() == [[72, 48, -1, -1]]
    five = Score(tuple(Track(f"part {i}", (Note(0, 60, 120),)) for i in range(5)))
    with pytest.raises(NotSupported, match="part 4"):
        REP.encode(five)


def test_chords_give_their_outer_notes_and_foreign_pitches_rests() -> None:
    chord = (Note(0, 60, 120), Note(0, 64, 120), Note(0, 50, 120))
    assert REP.grid(chorale(chord, (), (), chord)).tolist() == [[64, -1, -1, 50]]
    assert REP.text(REP.encode(chorale((Note(0, 90, 120),)))) == "REST REST REST REST"


def test_transposition_stays_in_the_range() -> None:
    tokens = REP.encode(chorale((Note(0, 80, 120),)))
    moved = REP.transposed(tokens, 1)
    assert moved is not None
    assert REP.text(moved) == "PITCH_81 REST REST REST"
    assert REP.transposed(tokens, 2) is None

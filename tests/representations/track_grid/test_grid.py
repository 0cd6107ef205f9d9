"""The grid of tracks: its laws, and where notes, voices, chords and odd metres go."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.errors import ConfigError, NotSupported
from partimento.music import (
    Chord,
    ChordSymbol,
    Note,
    Score,
    Tempo,
    TimeSignature,
    Track,
    parse_chords,
)
from partimento.music.chords import QUALITIES
from partimento.music.transform import transpose
from partimento.representations.track_grid import (
    BLOCK,
    CHORD_QUALITIES,
    EMPTY,
    LONGEST,
    MASK,
    UNKNOWN,
    Grid,
    GridTrack,
    Layout,
    TrackGrid,
    sounding,
)

from support.random_scores import scores

VOICES = TrackGrid([GridTrack(name, 52) for name in ("Soprano", "Alto", "Tenor", "Bass")])
DOUBLE = TrackGrid([GridTrack(name, 40, 2) for name in ("Soprano", "x", "Tenor", "Bass")])
PIANO = TrackGrid([GridTrack(f"P{i}", 0, 8) for i in range(4)])
every = pytest.mark.parametrize("grid", [VOICES, DOUBLE, PIANO], ids=["one", "two", "eight"])
few = settings(max_examples=20, deadline=None)

FOUR_FOUR = TimeSignature(0, 4, 4)


def one_track(notes: list[Note], metre: TimeSignature = FOUR_FOUR, **rest: Any) -> Score:
    """Return a score of one soprano."""
    return Score((Track("Soprano", tuple(notes)),), time_signatures=(metre,), **rest)


def random_grid(grid: TrackGrid, seed: int) -> Grid:
    """Draw any valid grid: notes over notes, half-filled cells, MASK, cells in the padding."""
    rng = np.random.default_rng(seed)
    shapes = [(4, 4), (3, 4), (5, 8), (17, 16), (1, 64), (9, 4), (3, 32)]
    metres = [TimeSignature(0, *shapes[k]) for k in rng.integers(0, len(shapes), 4)]
    layout = Layout(tuple(metres))
    shape = (grid.slots, layout.columns)
    what = rng.integers(-1, grid.what_size, shape)
    length = rng.integers(-1, grid.length_size, shape)
    is_note = rng.random(shape) < rng.choice([0.05, 0.5, 1.0])
    cells = np.stack([np.where(is_note, what, EMPTY), np.where(is_note, length, EMPTY)], axis=2)
    return Grid(cells.astype(np.int64), layout, 90.0)


# --- the three laws ---


@every
@few
@given(score=scores)
def test_decoding_what_was_encoded_is_quantizing(grid: TrackGrid, score: Score) -> None:
    encoded = grid.encode(score)
    assert encoded.cells.shape == (grid.slots, encoded.layout.columns, 2)
    assert encoded.cells.dtype == np.int64
    assert (encoded.cells >= EMPTY).all()
    assert ((encoded.cells[..., 0] == EMPTY) == (encoded.cells[..., 1] == EMPTY)).all()
    assert not encoded.cells[:, encoded.layout.is_padding].any()
    quantized = grid.quantize(score)
    assert grid.decode(encoded) == quantized
    assert grid.quantize(quantized) == quantized


@every
@few
@given(seed=st.integers(0, 2**32 - 1))
def test_every_grid_decodes(grid: TrackGrid, seed: int) -> None:
    score = grid.decode(random_grid(grid, seed))
    assert [track.name for track in score.tracks] == [track.name for track in grid.tracks]
    for track, like in zip(score.tracks, grid.tracks, strict=True):
        keys = [(note.onset_ticks, note.pitch) for note in track.notes]
        assert len(keys) == len(set(keys))
        assert track.end_ticks <= score.written_length_ticks
        for at in {note.onset_ticks for note in track.notes}:
            together = [n for n in track.notes if n.onset_ticks <= at < n.end_ticks]
            assert len(together) <= like.voices
    grid.encode(score)


@few
@given(score=scores)
def test_no_note_moves_further_than_said(score: Score) -> None:
    """Onsets and ends of a track's notes move by at most an eighth of a quarter inside a bar."""
    score = Score(
        score.tracks,
        score.ticks_per_quarter,
        time_signatures=(TimeSignature(0, 3, 4),),
    )
    quantized = PIANO.quantize(score)
    quarter = score.ticks_per_quarter
    pitched = [track for track in score.tracks if track.notes and not track.is_drum]
    for mine, track in zip(quantized.tracks, pitched, strict=False):
        onsets = {(Fraction(n.onset_ticks, quarter), n.pitch) for n in track.notes}
        for note in mine.notes:
            at = Fraction(note.onset_ticks, quantized.ticks_per_quarter)
            near = [abs(at - onset) for onset, pitch in onsets if pitch == note.pitch]
            assert min(near) <= Fraction(1, 8) + Fraction(1, 4) * (
                at + Fraction(1, 4) >= _end(score)
            )


def _end(score: Score) -> Fraction:
    return Fraction(score.length_ticks, score.ticks_per_quarter)


# --- time ---


@pytest.mark.parametrize(
    ("metre", "used", "width"),
    [
        ((4, 4), 16, 16),
        ((3, 4), 12, 16),
        ((6, 8), 12, 16),
        ((5, 8), 10, 16),
        ((17, 16), 17, 32),
        ((9, 4), 36, 48),
        ((1, 64), 1, 16),
        ((17, 32), 9, 16),
    ],
)
def test_bars_fill_whole_blocks(metre: tuple[int, int], used: int, width: int) -> None:
    layout = Layout((TimeSignature(0, *metre), FOUR_FOUR))
    assert layout.used.tolist() == [used, 16]
    assert layout.starts.tolist() == [0, width, width + BLOCK]
    assert layout.sounding.tolist() == [*range(used), *range(width, width + 16)]
    assert layout.features[:, 0].max() < 64
    assert layout.is_padding.sum() == width - used


def test_bar_lines_of_odd_metres_are_exact() -> None:
    for numerator, denominator in ((17, 16), (5, 8), (7, 8)):
        metre = TimeSignature(0, numerator, denominator)
        bar = int(metre.quarters_per_bar * 480)
        notes = [Note(bar * i + 120, 60 + i, 120, 80) for i in range(5)]
        score = one_track(notes, metre, written_length_ticks=5 * bar)
        encoded = VOICES.encode(score)
        found = np.flatnonzero(encoded.cells[0, :, 0])
        assert found.tolist() == [start + 1 for start in encoded.layout.starts[:-1]]
        assert VOICES.decode(encoded).tracks[0].notes == tuple(notes)


def test_a_note_over_a_bar_line_does_not_count_the_padding() -> None:
    score = one_track([Note(480, 60, 1440, 80)], TimeSignature(0, 3, 4))
    encoded = VOICES.encode(score)
    assert encoded.cells[0, 4].tolist() == [61, 12]
    assert VOICES.decode(encoded).tracks[0].notes == (Note(480, 60, 1440, 80),)


def test_triplets_are_off_by_a_twelfth_at_most() -> None:
    triplets = [Note(160 * i, 60 + i, 160, 80) for i in range(6)]
    found = VOICES.quantize(one_track(triplets)).tracks[0].notes
    assert [note.pitch for note in found] == [60, 61, 62, 63, 64, 65]
    late = [abs(a.onset_ticks - b.onset_ticks) for a, b in zip(triplets, found, strict=True)]
    assert max(late) == 40  # a twelfth of a quarter
    assert [note.onset_ticks for note in found] == [0, 120, 360, 480, 600, 840]


def test_the_worst_error_is_an_eighth_of_a_quarter() -> None:
    found = VOICES.quantize(one_track([Note(60, 60, 240, 80), Note(959, 62, 240, 80)]))
    assert [note.onset_ticks for note in found.tracks[0].notes] == [120, 960]


def test_graces_in_one_column_leave_the_longest() -> None:
    grace = [Note(0, 62, 30, 80), Note(30, 60, 450, 80)]
    assert [n.pitch for n in VOICES.quantize(one_track(grace)).tracks[0].notes] == [60]
    both = DOUBLE.quantize(one_track(grace)).tracks[0].notes
    assert [(n.onset_ticks, n.pitch) for n in both] == [(0, 60), (0, 62)]


def test_long_notes_are_cut_at_the_longest() -> None:
    found = VOICES.quantize(one_track([Note(0, 60, 480 * 40, 80)]))
    assert found.tracks[0].notes[0].duration_ticks == LONGEST * 120


# --- places and voices ---


def test_tracks_go_by_name_else_in_order() -> None:
    def score(*names: str) -> Score:
        return Score(tuple(Track(n, (Note(0, 60 + i, 480, 80),)) for i, n in enumerate(names)))

    assert VOICES.places(score("Bass", "Soprano")) == [1, None, None, 0]
    assert VOICES.places(score("Bass", "Tuba")) == [0, 1, None, None]
    assert VOICES.places(score("Bass", "Bass")) == [0, 1, None, None]
    drums = Track("Drums", (Note(0, 36, 10, 80),), is_drum=True)
    assert VOICES.places(Score((drums, Track("x"), *score("Alto").tracks))) == [None, 2, None, None]


def test_too_many_tracks_are_refused_by_name() -> None:
    tracks = tuple(Track(f"part {i}", (Note(0, 60, 480, 80),)) for i in range(5))
    with pytest.raises(NotSupported, match=r"holds 4 tracks, not 5 .*part 4"):
        VOICES.encode(Score(tracks))


def test_notes_together_stand_in_voices_the_highest_first() -> None:
    chord = [Note(0, p, 480, 80) for p in (60, 67, 64)]
    encoded = DOUBLE.encode(one_track([*chord[:2], Note(480, 72, 480, 80)]))
    assert encoded.cells[0, [0, 4], 0].tolist() == [68, 73]
    assert encoded.cells[1, [0, 4], 0].tolist() == [61, 0]
    assert len(DOUBLE.quantize(one_track(chord)).tracks[0].notes) == 2
    assert len(PIANO.quantize(one_track(chord)).tracks[0].notes) == 3


def test_a_second_voice_keeps_a_held_note() -> None:
    held = [Note(0, 48, 1920, 80), Note(480, 72, 480, 80), Note(960, 74, 480, 80)]
    assert DOUBLE.quantize(one_track(held)).tracks[0].notes == tuple(held)
    alone = VOICES.quantize(one_track(held)).tracks[0].notes
    assert [(n.pitch, n.duration_ticks) for n in alone] == [(48, 480), (72, 480), (74, 480)]


# --- what is known along a voice ---


def voices() -> tuple[np.ndarray, np.ndarray]:
    """Return cells of two voices, some of them masked, and four columns of padding."""
    cells = np.zeros((2, 16, 2), dtype=np.int64)
    cells[0, 2] = 61, 3
    cells[1, 1] = MASK
    cells[1, 4] = 50, MASK
    cells[1, 8] = 52, 20
    return cells, np.arange(16) >= 12


def test_what_sounds_is_told_as_far_as_it_is_known() -> None:
    found = sounding(*voices())
    assert found.shape == (6, 16)
    assert found[0].tolist() == [0, 0, 61, 61, 61] + [0] * 11
    first = [0, UNKNOWN, UNKNOWN, UNKNOWN, 50, UNKNOWN, UNKNOWN, UNKNOWN]
    assert found[1].tolist() == [*first, 52, 52, 52, 52, 0, 0, 0, 0]


def test_the_nearest_notes_before_and_after_are_told() -> None:
    found = sounding(*voices())
    assert found[2].tolist() == [0, 0, 0] + [61] * 13
    assert found[3].tolist() == [0] * 5 + [50] * 4 + [52] * 7
    assert found[4].tolist() == [61, 61] + [0] * 14
    assert found[5].tolist() == [50] * 4 + [52] * 4 + [0] * 8


def test_batches_are_told_like_one() -> None:
    cells, is_padding = voices()
    both = sounding(np.stack([cells, cells[::-1]]), np.stack([is_padding, is_padding]))
    assert (both[0] == sounding(cells, is_padding)).all()
    assert (both[1] == sounding(cells[::-1], is_padding)).all()


# --- chords ---


def test_chords_come_back_at_their_quarters() -> None:
    line = parse_chords("Am F C G7 Bm7b5 Caug Dsus4 Ebmaj7 Fdim")
    symbols = tuple(ChordSymbol(480 * i, chord) for i, chord in enumerate(line))
    score = one_track([Note(0, 60, 480 * 9, 80)], chords=symbols)
    assert VOICES.quantize(score).chords == symbols


def test_every_quality_has_a_simpler_one_that_is_held() -> None:
    assert {*CHORD_QUALITIES} <= {*QUALITIES}
    for quality in QUALITIES:
        root, kind = VOICES.chord_cell(Chord(5, quality))
        assert root == 6
        held = Chord(5, CHORD_QUALITIES[kind - 1]).pitch_classes
        assert len(held & Chord(5, quality).pitch_classes) >= 2


def test_a_chord_between_quarters_rules_from_the_next() -> None:
    symbols = (ChordSymbol(240, parse_chords("Am")[0]),)
    found = VOICES.quantize(one_track([Note(0, 60, 1920, 80)], chords=symbols)).chords
    assert found == (ChordSymbol(480, symbols[0].chord),)


# --- the rest ---


@every
@few
@given(score=scores, semitones=st.integers(-12, 12))
def test_transposing_cells_is_transposing_the_score(
    grid: TrackGrid, score: Score, semitones: int
) -> None:
    encoded = grid.encode(score)
    encoded.cells[grid.chord_slot, 0] = 12, 2
    decoded = grid.decode(encoded)
    moved = grid.transposed(encoded.cells, semitones)
    wanted = [n.pitch + semitones for t in decoded.tracks for n in t.notes]
    if not all(0 <= pitch <= 127 for pitch in wanted):
        assert moved is None
        return
    assert moved is not None
    again = grid.decode(Grid(moved, encoded.layout, encoded.tempo))
    assert again.tracks == transpose(decoded, semitones).tracks
    assert again.chords[0].chord == Chord((11 + semitones) % 12, "m")


def test_masks_stay_masks_when_transposed() -> None:
    cells = np.full((VOICES.slots, 16, 2), MASK, dtype=np.int64)
    moved = VOICES.transposed(cells, 5)
    assert moved is not None
    assert (moved == MASK).all()


@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_bars_can_be_cut_out(seed: int) -> None:
    whole = random_grid(DOUBLE, seed)
    part = whole.bars(1, 3)
    assert part.layout.metres == whole.layout.metres[1:3]
    assert part.cells.shape[1] == part.layout.columns


def test_tempo_and_length_are_kept() -> None:
    score = one_track([], tempos=(Tempo(0, 71.0),), written_length_ticks=1920 * 3)
    found = VOICES.quantize(score)
    assert found.tempos == score.tempos
    assert found.written_length_ticks == 1920 * 3


def test_a_grid_is_made_again_from_its_spec() -> None:
    spec = DOUBLE.spec()
    again = TrackGrid.from_spec(spec["tracks"])
    assert again.spec() == spec
    assert again.slots == DOUBLE.slots == 9


@pytest.mark.parametrize(
    "tracks",
    [
        [],
        "Soprano",
        [{"name": "a"}, {"name": "a"}],
        [{"name": "a", "voices": 9}],
        [{"name": "a", "colour": 1}],
        [{"name": 3}],
        [{"name": "a", "voices": "two"}],
        ["a"],
    ],
)
def test_a_wrong_spec_is_refused_with_its_path(tracks: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        TrackGrid.from_spec(tracks)
    assert refused.value.where == "representation.tracks"

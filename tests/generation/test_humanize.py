"""Humanizing: what every result keeps, with a model that knows nothing and one that is wild."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento import api, catalog, files
from partimento.errors import FileError, ModelError, MusicError, NotSupported
from partimento.music import (
    KeySignature,
    Lyric,
    Note,
    Pedal,
    Score,
    Tempo,
    TimeSignature,
    Track,
    parse_key,
)
from partimento.music.performance import perform, struck
from partimento.runtime.contract import Controls, Request, Task


def song(bars: int = 4) -> Score:
    """Return a melody, a bass and drums with all that a score can bear."""
    melody = tuple(Note(240 * at, 60 + at % 7, 240, 70) for at in range(bars * 8))
    bass = tuple(Note(960 * at, 36, 960, 90) for at in range(bars * 2))
    hats = tuple(Note(120 * at, 42, 60, 80) for at in range(bars * 16))
    kicks = tuple(Note(480 * at, 36, 60, 80) for at in range(bars * 4))
    words = tuple(Lyric(480 * at, "la") for at in range(bars * 4))
    return Score(
        (
            Track("Voice", melody, 52, pedals=(Pedal(0, 480),), lyrics=words, volume=90, pan=20),
            Track("Bass", bass, 33),
            Track("Drums", tuple(sorted((*hats, *kicks))), is_drum=True),
        ),
        tempos=(Tempo(0, 96.0), Tempo(960, 101.5)),
        time_signatures=(TimeSignature(0, 4, 4),),
        key_signatures=(KeySignature(0, parse_key("D minor")),),
        title="Song",
    )


def check_kept(before: Score, after: Score) -> None:
    """Check all that humanizing promises."""
    assert after.length_ticks == before.length_ticks
    for name in ("tempos", "time_signatures", "key_signatures", "chords", "title"):
        assert getattr(after, name) == getattr(before, name)
    for old, new in zip(before.tracks, after.tracks, strict=True):
        same = {"notes": (), "lyrics": ()}
        assert replace(new, **same) == replace(old, **same)
        assert [lyric.text for lyric in new.lyrics] == [lyric.text for lyric in old.lyrics]
        assert sorted(n.pitch for n in new.notes) == sorted(n.pitch for n in old.notes)
        _check_order(old, new)


def _check_order(old: Track, new: Track) -> None:
    """Check that chords follow each other as before, and that nothing new overlaps."""
    moved = iter(new.notes)
    last = -1
    pairs: list[tuple[Note, Note]] = []
    onsets = sorted({note.onset_ticks for note in old.notes})
    for onset in onsets:
        chord = [note for note in old.notes if note.onset_ticks == onset]
        played = sorted((next(moved) for _ in chord), key=lambda note: note.pitch)
        assert [note.pitch for note in played] == [note.pitch for note in chord]
        assert min(note.onset_ticks for note in played) > last
        last = max(note.onset_ticks for note in played)
        pairs.extend(zip(chord, played, strict=True))
    for (a, c), (b, d) in itertools.permutations(pairs, 2):
        if a.end_ticks <= b.onset_ticks:
            assert c.end_ticks <= d.onset_ticks


notes = st.builds(
    Note,
    st.integers(0, 600),
    st.integers(58, 62),
    st.integers(1, 300),
    st.integers(1, 127),
)


@given(
    melody=st.lists(notes, max_size=25),
    extra=st.lists(notes, max_size=5),
    seed=st.integers(0, 5),
    reach=st.sampled_from([0, 1, 40, 900]),
)
@settings(max_examples=80, deadline=None)
def test_no_shift_breaks_a_score(
    melody: list[Note], extra: list[Note], seed: int, reach: int
) -> None:
    unique = {(note.onset_ticks, note.pitch): note for note in melody}
    score = Score((Track("One", tuple(unique.values())), Track("Two", tuple(extra[:1]))))
    draw = np.random.default_rng(seed)
    count = len(score.notes)
    velocities = draw.integers(1, 128, count)
    after = perform(score, velocities, draw.integers(-reach, reach + 1, count))
    check_kept(score, after)
    if not reach:
        assert [n.onset_ticks for n in after.notes] == [n.onset_ticks for n in score.notes]


def test_legato_stays_legato_and_syllables_follow_their_notes() -> None:
    line = tuple(Note(480 * at, 60, 480) for at in range(3))
    score = Score((Track("Voice", line, lyrics=(Lyric(480, "la"), Lyric(500, "x"))),))
    after = perform(score, np.array([1, 2, 3]), np.array([5, -20, 30]))
    (track,) = after.tracks
    assert [(n.onset_ticks, n.end_ticks) for n in track.notes] == [
        (5, 460),
        (460, 990),
        (990, 1440),
    ]
    assert [lyric.onset_ticks for lyric in track.lyrics] == [460, 500]
    assert [n.velocity for n in track.notes] == [1, 2, 3]


def test_a_held_note_ends_before_what_began_after_it() -> None:
    bass = [Note(0, 40, 960), Note(960, 43, 900)]
    upper = [Note(240 * at, 72, 240) for at in range(8)]
    score = Score((Track("Piano", tuple(sorted([*bass, *upper]))),))
    shifts = np.zeros(len(score.notes), dtype=np.int64)
    shifts[0] = 30  # the first bass note is late; what begins at its end is not
    after = perform(score, np.full(len(shifts), 70), shifts)
    check_kept(score, after)
    held = [(n.onset_ticks, n.end_ticks) for n in after.tracks[0].notes if n.pitch < 50]
    assert held == [(30, 960), (960, 1860)]


def test_written_dynamics_stay_and_have_room() -> None:
    written = np.array([0.55, 0.1, 1.0, 0.1, 1.0], dtype=np.float32)
    played = np.array([0.9, 1.0, 1.0, 0.0, 0.0], dtype=np.float32)
    out = struck(written, played, 0.55, 1.0)
    assert out[0] == round(0.9 * 127)  # at the level: what is played
    assert out[1] < out[2] == 127
    assert 1 <= out[3] < 13
    assert out[4] == round(0.45 * 127)
    np.testing.assert_array_equal(struck(written, played, 0.55, 0.0), np.rint(written * 127))


@pytest.fixture(scope="module")
def hand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a model whose weights are those of seed 0."""
    torch = pytest.importorskip("torch")
    from partimento.systems.tts_gan import PRESETS
    from partimento.systems.tts_gan.training import training_task

    torch.manual_seed(0)
    return training_task(PRESETS["tiny"]).export(tmp_path_factory.mktemp("hand") / "hand", {}).path


def test_a_score_is_played_and_all_else_kept(hand: Path) -> None:
    score = song()
    result = api.humanize(score, 1.0, 7, hand)
    check_kept(score, result.score)
    assert result.score.notes != score.notes
    assert len({n.velocity for n in result.score.tracks[2].notes}) > 10
    assert api.humanize(score, 1.0, 7, hand).score == result.score
    assert api.humanize(score, 1.0, 8, hand).score != result.score
    assert json.loads(result.score.recipe)["task"] == "humanize"
    assert result.seed == 7


def test_the_amount_is_how_far_notes_move(hand: Path) -> None:
    score = song()
    assert api.humanize(score, 0.0, 7, hand).score == score

    def moved(amount: float) -> tuple[float, float]:
        after = api.humanize(score, amount, 7, hand).score.tracks[2].notes
        before = score.tracks[2].notes
        pairs = list(zip(sorted(after), sorted(before), strict=True))
        late = np.mean([abs(a.onset_ticks - b.onset_ticks) for a, b in pairs])
        loud = np.std([a.velocity for a in after])
        return float(late), float(loud)

    small, large = moved(0.3), moved(1.0)
    assert 0 < small[0] < 0.6 * large[0]
    assert 0 < small[1] < 0.6 * large[1]


@pytest.mark.parametrize("quarter", [1, 7, 480])
def test_coarse_ticks_are_refined(hand: Path, quarter: int) -> None:
    line = tuple(Note(at * quarter, 60 + at % 5, quarter) for at in range(40))
    score = Score((Track("Line", line),), quarter, (Tempo(0, 90.0),))
    after = api.humanize(score, 1.0, 1, hand).score
    factor = after.ticks_per_quarter // quarter
    assert after.ticks_per_quarter == quarter * factor >= 240
    assert after.length_ticks == score.length_ticks * factor
    assert len({note.onset_ticks % after.ticks_per_quarter for note in after.notes}) > 5


def test_windows_far_apart_cost_no_more_than_near_ones(hand: Path) -> None:
    far = Score((Track("Far", tuple(Note(10**7 * at, 60, 100) for at in range(50))),))
    after = api.humanize(far, 1.0, 1, hand).score
    check_kept(far, after)
    assert after != far


def test_a_hundred_thousand_notes(hand: Path) -> None:
    line = tuple(Note(60 * at, 42 if at % 2 else 38, 30, 80) for at in range(100_000))
    score = Score((Track("Drums", line, is_drum=True),))
    after = api.humanize(score, 1.0, 1, hand).score
    assert len(after.tracks[0].notes) == 100_000
    assert after.length_ticks == score.length_ticks


def test_replay_makes_the_same_bytes(hand: Path, tmp_path: Path) -> None:
    files.write(song(), tmp_path / "in.mid")
    made = api.humanize(tmp_path / "in.mid", 0.8, 5, hand)
    made.save(tmp_path / "out.mid")
    again = api.replay(tmp_path / "out.mid")
    assert again.is_same()
    again.save(tmp_path / "again.mid")
    assert (tmp_path / "again.mid").read_bytes() == (tmp_path / "out.mid").read_bytes()
    files.write(song(3), tmp_path / "in.mid")
    with pytest.raises(FileError, match="the prompt has changed"):
        api.replay(tmp_path / "out.mid")


def test_what_cannot_be_humanized_is_refused(hand: Path, hum: object) -> None:
    with pytest.raises(MusicError, match="no notes to humanize"):
        api.humanize(Score((Track("none"),)), 1.0, 1, hand)
    for amount in (-0.1, 1.1, float("nan")):
        with pytest.raises(MusicError, match=r"amount must be in 0\.\.1"):
            api.humanize(song(), amount, 1, hand)
    with pytest.raises(MusicError, match="seed"):
        api.humanize(song(), 1.0, -1, hand)
    with pytest.raises(NotSupported, match="hum cannot humanize"):
        api.humanize(song(), 1.0, 1, "humming")
    with pytest.raises(ModelError, match="no model that humanizes is installed"):
        api.humanize(song())
    performer = catalog.find_card("tts_gan").load(catalog.open_model(hand))
    with pytest.raises(NotSupported, match="it can humanize"):
        list(performer.stream(Request(Task.GENERATE), Controls(), np.random.default_rng(0)))


def test_the_model_that_humanizes_is_found(
    hand: Path, hum: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(catalog.MODELS_VARIABLE, str(hand))
    assert api.humanize(song(), seed=1).recipe.model == "hand"


def test_the_shipped_hand_plays_drums_and_leaves_no_note_behind() -> None:
    result = api.humanize(song(), seed=1, threads=1)
    assert result.recipe.model == "tts-gan-groove"
    check_kept(song(), result.score)
    drums = result.score.tracks[2].notes
    hats = [note.velocity for note in drums if note.pitch == 42]
    assert np.std(hats) > 5
    assert 20 < np.mean(hats) < 120
    late = [(note.onset_ticks + 60) % 120 - 60 for note in drums]
    assert 3 < np.std(late) < 45
    assert api.describe("tts-gan-groove").facts["trained"].startswith("corpora")

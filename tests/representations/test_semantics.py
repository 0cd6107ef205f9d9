"""Semantic features: the same of a score and of its sound, in any key; guides and words."""

from __future__ import annotations

import numpy as np
import pytest

from partimento.errors import MusicError
from partimento.music import Note, Score, Tempo, TimeSignature, Track, parse_chord, parse_chords
from partimento.representations.guides import (
    FEATURE_SIZES,
    NUMBERS,
    Asked,
    asked_guide,
    chord_fit,
    chord_index,
    guide_features,
    guide_numbers,
    score_guide,
)
from partimento.representations.semantic_stream import GuideTrack, SemanticStream
from partimento.representations.semantics import (
    FEATURES,
    nearest,
    score_features,
    sound_features,
    transposed_features,
)
from partimento.representations.words import (
    Traits,
    captions,
    check_text,
    known_words,
    ngrams,
    unknown_words,
)

RATE, STEP = 44_100, 2048
SECONDS = STEP / RATE


def triads(*roots: int) -> Score:
    """Return a bar of a held triad for each root, at 120."""
    notes = [
        Note(1920 * at, root + up, 1920, 80)
        for at, root in enumerate(roots)
        for up in (-12, 0, 4, 7)
    ]
    return Score(
        (Track("Piano", tuple(sorted(notes))),),
        tempos=(Tempo(0, 120.0),),
        time_signatures=(TimeSignature(0, 4, 4),),
    )


def tones(score: Score) -> np.ndarray:
    """Return a score as plain sines with two overtones."""
    time = np.arange(int(2 * RATE * len(score.tracks[0].notes) / 4)) / RATE
    out = np.zeros(len(time))
    for note in score.tracks[0].notes:
        start, stop = note.onset_ticks / 960, (note.onset_ticks + note.duration_ticks) / 960
        hz = 440 * 2 ** ((note.pitch - 69) / 12)
        rows = (time >= start) & (time < stop)
        for partial in (1, 2, 3):
            out[rows] += np.sin(2 * np.pi * hz * partial * time[rows]) / partial
    return np.stack([out, out]).astype(np.float32) * np.float32(0.05)


def test_a_score_has_the_features_of_its_sound() -> None:
    score = triads(60, 65, 67)
    heard = sound_features(tones(score), RATE, STEP)
    written = score_features(score, len(heard), SECONDS)
    assert heard.shape == written.shape == (6 * RATE // STEP, FEATURES)
    alike = (heard[:, :12] * written[:, :12]).sum(axis=1)
    assert np.median(alike) > 0.9
    inside = np.arange(len(heard)) * SECONDS % 2
    middle = (inside > 0.5) & (inside < 1.5)
    assert (heard[middle, :12].argmax(axis=1) == written[middle, :12].argmax(axis=1)).mean() > 0.7


def test_transposed_features_are_those_of_the_transposed_score() -> None:
    low, high = (score_features(triads(root), 40, SECONDS) for root in (60, 63))
    moved = transposed_features(low, 3)
    # The ends of the range of pitches cut partials off, so not all is equal.
    assert (moved[:, :12] * high[:, :12]).sum(axis=1).min() > 0.95
    np.testing.assert_array_equal(moved[:, 24], low[:, 24])
    np.testing.assert_array_equal(transposed_features(low, 12), low)


def test_silence_has_no_pitch() -> None:
    assert not sound_features(np.zeros((2, 20 * STEP), np.float32), RATE, STEP).any()


def test_nearest_is_the_least_distance() -> None:
    draw = np.random.default_rng(0)
    rows, centres = draw.random((20, FEATURES)), draw.random((7, FEATURES))
    apart = ((rows[:, None] - centres) ** 2).sum(axis=2)
    np.testing.assert_array_equal(
        nearest(rows.astype(np.float32), centres.astype(np.float32)), apart.argmin(axis=1)
    )


def test_the_guide_of_a_score_has_its_chords_beats_and_bars() -> None:
    frames = int(6 / SECONDS)
    guide = score_guide(triads(60, 65, 67), frames, SECONDS, np.zeros(frames, np.float32))
    names = [parse_chord(name) for name in ("C", "F", "G")]
    for bar, chord in enumerate(names):
        at = int((2 * bar + 1) / SECONDS)
        assert guide[at, 0] == chord_index(chord)
        assert guide[at, 1] == pytest.approx(4 * bar + 2, abs=0.1)
        assert guide[at, 5] == pytest.approx(bar + 0.5, abs=0.03)
        assert guide[at, 4] == pytest.approx(0.5)


def test_an_asked_guide_goes_round_its_chords_and_leaves_the_rest_open() -> None:
    asked = Asked(120.0, 4, parse_chords("Am F"), density=2.0)
    guide = asked_guide(asked, 0.0, 200, SECONDS)
    later = asked_guide(asked, 100 * SECONDS * 2, 100, SECONDS)
    np.testing.assert_allclose(guide[100:], later, atol=1e-3)
    bars = np.floor(guide[:, 5]).astype(int)
    assert (
        set(guide[bars == 0, 0])
        == {float(chord_index(parse_chord("Am")))}
        == set(guide[bars == 2, 0])
    )
    assert np.isnan(guide[:, 3]).all()
    numbers, features = guide_numbers(guide), guide_features(guide)
    assert numbers.shape == (200, NUMBERS)
    assert np.isfinite(numbers).all()
    assert (features >= 0).all()
    assert (features < np.array(FEATURE_SIZES)).all()
    nothing = np.full((3, 6), np.nan, np.float32)
    assert not guide_numbers(nothing).any()
    assert not guide_features(nothing).any()


def test_every_chord_has_a_place_in_a_guide() -> None:
    from partimento.music.chords import QUALITIES, Chord

    indices = {chord_index(Chord(root, quality)) for quality in QUALITIES for root in range(12)}
    assert min(indices) == 0
    assert max(indices) == FEATURE_SIZES[0] - 2


def test_a_stream_reads_the_guide_of_its_places() -> None:
    track = GuideTrack(np.arange(6).reshape(3, 2))
    stream = SemanticStream(8, 0, 4, track)
    walk = stream.walk()
    seen = []
    for token in range(5):
        if token == 3:
            track.add(np.array([[20, 21], [22, 23]]))
        seen.append(walk.features())
        walk.push(token)
    assert seen == [(0, 1), (2, 3), (4, 5), (20, 21), (22, 23)]
    assert len(track.features) == 2


def test_captions_name_what_is_known_and_nothing_else() -> None:
    known = known_words(("strings",))
    slow = Traits("strings", 60.0, True, 1.0, -40.0)
    texts = captions(slow, np.random.default_rng(0), 200)
    assert not any(unknown_words(text, known) for text in texts)
    words = {word for text in texts for word in text.split()}
    assert {"slow", "dark", "strings", "quiet", "sparse"} <= words
    assert not {"fast", "bright", "loud", "busy"} & words


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "names what is to be heard"),
        ("!!!", "names what is to be heard"),
        ("медленные струны", "медленные"),
        ("strings and bagpipes", "bagpipes"),
        ("a piece of music", "names nothing"),
        ("strings " * 1250, "2,000 characters"),
        ("slw strings", "did you mean slow"),
    ],
)
def test_words_that_mean_nothing_are_named(text: str, named: str) -> None:
    with pytest.raises(MusicError, match=named):
        check_text(text, known_words(("strings",)))


def test_words_of_one_stem_are_known() -> None:
    check_text("Slowly, sad string music!", known_words(("strings",)))
    np.testing.assert_array_equal(ngrams("Slow", 64), ngrams("slow!", 64))
    assert len(ngrams("slow", 64)) == 4 + 3 + 2 + 1


def test_clusters_that_hold_the_chord_fit_it_best() -> None:
    middles = np.concatenate(
        [score_features(triads(root), 20, SECONDS)[10:11] for root in range(60, 72)]
    )
    asked = asked_guide(Asked(120.0, 4, parse_chords("C Eb")), 0.0, 80, SECONDS)
    fits = chord_fit(asked, middles)
    bars = np.floor(asked[:, 5]).astype(int)
    assert set(fits.argmax(axis=1)[bars == 0]) == {0}
    assert set(fits.argmax(axis=1)[bars == 1]) == {3}
    free = asked_guide(Asked(120.0, 4), 0.0, 5, SECONDS)
    assert not chord_fit(free, middles).any()

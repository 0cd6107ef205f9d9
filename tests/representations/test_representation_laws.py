"""The laws that every representation keeps, on scores and tokens that Hypothesis makes up."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.errors import ConfigError
from partimento.music import Score
from partimento.music.transform import transpose
from partimento.representations import (
    BarEvents,
    FourVoiceGrid,
    MelodySteps,
    PerformanceEvents,
    TokenRepresentation,
    token_representation,
)

from support.random_scores import scores

ALL: tuple[TokenRepresentation, ...] = (
    BarEvents({52: "Voice"}),
    PerformanceEvents(),
    FourVoiceGrid(),
    FourVoiceGrid(40, 70, 6, 16),
    MelodySteps(),
    MelodySteps(40, 70, 4),
)
every = pytest.mark.parametrize("rep", ALL, ids=lambda rep: str(rep.spec()["name"]))
few = settings(max_examples=40, deadline=None)

seeds = st.integers(0, 2**32 - 1)


def random_tokens(rep: TokenRepresentation, seed: int, length: int = 200) -> np.ndarray:
    """Draw tokens by kind first, so that rare kinds meet each other often."""
    rng = np.random.default_rng(seed)
    kinds = [name for name in rep.vocabulary.ranges if name != "end" or seed % 3 == 0]
    spans = [rep.vocabulary.span(kinds[k]) for k in rng.integers(0, len(kinds), length)]
    return np.array([rng.integers(span.start, span.stop) for span in spans], dtype=np.int64)


@every
@few
@given(score=scores)
def test_decoding_what_was_encoded_is_quantizing(rep: TokenRepresentation, score: Score) -> None:
    tokens = rep.encode(score)
    quantized = rep.quantize(score)
    assert tokens.dtype == np.int64
    assert not (tokens == rep.start_token).any()
    if rep.end_token is not None:
        assert np.flatnonzero(tokens == rep.end_token).tolist() == [len(tokens) - 1]
    assert rep.decode(tokens) == quantized
    assert rep.quantize(quantized) == quantized
    assert rep.encode(quantized).tolist() == tokens.tolist()


@every
@few
@given(seed=seeds)
def test_every_token_sequence_decodes(rep: TokenRepresentation, seed: int) -> None:
    score = rep.decode(random_tokens(rep, seed))
    assert score.time_signatures[0].onset_ticks == 0
    for track in score.tracks:
        keys = [(note.onset_ticks, note.pitch) for note in track.notes]
        assert len(keys) == len(set(keys))
    rep.encode(score)


@every
@few
@given(seed=seeds)
def test_features_are_those_of_the_walk(rep: TokenRepresentation, seed: int) -> None:
    tokens = random_tokens(rep, seed)
    features = rep.features(tokens)
    assert features.shape == (len(tokens), len(rep.feature_sizes))
    walk = rep.walk()
    for token, row in zip(tokens.tolist(), features.tolist(), strict=True):
        assert walk.features() == tuple(row)
        assert all(0 <= x < size for x, size in zip(row, rep.feature_sizes, strict=True))
        walk.push(token)


@every
def test_nothing_has_features_too(rep: TokenRepresentation) -> None:
    nothing = np.zeros(0, dtype=np.int64)
    assert rep.features(nothing).shape == (0, len(rep.feature_sizes))
    assert rep.decode(nothing).notes == ()
    moved = rep.transposed(nothing, 3)
    assert moved is not None
    assert len(moved) == 0


@every
@few
@given(score=scores, semitones=st.integers(-12, 12))
def test_transposing_tokens_is_transposing_the_score(
    rep: TokenRepresentation, score: Score, semitones: int
) -> None:
    tokens = rep.encode(score)
    decoded = rep.decode(tokens)
    moved = rep.transposed(tokens, semitones)
    low = getattr(rep, "lowest", 0)
    high = getattr(rep, "highest", 127)
    wanted = [n.pitch + semitones for t in decoded.tracks if not t.is_drum for n in t.notes]
    if not all(low <= pitch <= high for pitch in wanted):
        assert moved is None
        return
    assert moved is not None
    assert rep.decode(moved).tracks == transpose(decoded, semitones).tracks


@every
def test_a_representation_is_made_again_from_its_spec(rep: TokenRepresentation) -> None:
    again = token_representation(rep.spec())
    assert type(again) is type(rep)
    assert again.spec() == rep.spec()
    assert again.vocabulary == rep.vocabulary


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({}, "representation.name"),
        ({"name": "roll"}, "representation.name"),
        ({"name": "bar_events", "lowest": 3}, "representation.lowest"),
        ({"name": "bar_events", "track_names": ["a"]}, "representation.track_names"),
        ({"name": "bar_events", "track_names": {"129": "a"}}, "representation.track_names.129"),
        ({"name": "bar_events", "track_names": {"a": "b"}}, "representation.track_names.a"),
        ({"name": "performance_events", "x": 1}, "representation.x"),
        ({"name": "melody_steps", "lowest": 80, "highest": 70}, "representation.lowest"),
        ({"name": "melody_steps", "steps_per_quarter": 3}, "representation.steps_per_quarter"),
        ({"name": "melody_steps", "steps": 3}, "representation.steps"),
        ({"name": "four_voice_grid", "lowest": "a"}, "representation.lowest"),
        ({"name": "four_voice_grid", "lowest": 80, "highest": 70}, "representation.lowest"),
        ({"name": "four_voice_grid", "steps_per_bar": 17}, "representation.steps_per_bar"),
        ({"name": "four_voice_grid", "denominator": 3}, "representation.denominator"),
        ({"name": "four_voice_grid", "steps_per_bar": 6, "denominator": 4}, "representation.den"),
    ],
)
def test_a_wrong_spec_is_refused_with_its_path(spec: dict[str, object], path: str) -> None:
    with pytest.raises(ConfigError) as refused:
        token_representation(spec)
    assert refused.value.where.startswith(path)


@every
def test_the_reference_page_holds_the_vocabulary(rep: TokenRepresentation) -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "representations.md"
    section = page.read_text(encoding="utf-8").split(f"## {rep.spec()['name']}\n")[1]
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", section.split("\n## ")[0], re.MULTILINE)
    documented = {name: int(count) for name, count in rows}
    default = token_representation({"name": rep.spec()["name"]})
    assert documented == dict(default.vocabulary.ranges)
    assert list(documented) == list(default.vocabulary.ranges)

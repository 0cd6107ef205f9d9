from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partimento.errors import ConfigError, FileError
from partimento.music import Key, PitchRange, Promises, TimeSignature, parse_chords
from partimento.music.chords import QUALITIES, Chord
from partimento.recipe import (
    PromptRecord,
    Recipe,
    parse_recipe,
    promises_from_record,
    promises_to_record,
)
from partimento.runtime.contract import Task

chords = st.builds(
    Chord,
    st.integers(0, 11),
    st.sampled_from(sorted(QUALITIES)),
    st.none() | st.integers(0, 11),
)
ranges = st.tuples(st.integers(0, 100), st.integers(12, 27)).map(
    lambda x: PitchRange(x[0], x[0] + x[1])
)
metres = st.builds(
    TimeSignature, st.just(0), st.integers(1, 64), st.sampled_from([1, 2, 4, 8, 16, 32, 64])
)


@given(
    st.builds(
        Promises,
        bars=st.none() | st.integers(1, 4096),
        time_signature=st.none() | metres,
        ranges=st.dictionaries(st.text("ab cÄ", min_size=1).map(str.strip), ranges, max_size=2),
        max_polyphony=st.none() | st.integers(1, 9),
        chords=st.lists(chords, max_size=4).map(tuple),
        max_silence_quarters=st.none() | st.floats(0, 99),
    )
)
def test_promises_survive_json(promises):
    record = json.loads(json.dumps(promises_to_record(promises)))
    assert promises_from_record(record) == promises


@given(st.integers(-7, 7), st.booleans())
def test_keys_survive_json(fifths, is_minor):
    promises = Promises(key=Key(fifths, is_minor))
    assert promises_from_record(promises_to_record(promises)) == promises


def test_recipe_survives_json():
    recipe = Recipe(
        system="hum",
        model="humming",
        model_hash="ab",
        task=Task.CONTINUE,
        promises=promises_to_record(Promises(bars=4, chords=parse_chords("Am F"))),
        controls={"temperature": 0.9},
        seed=7,
        prompt=PromptRecord(sha256="cd", path="in.mid"),
        versions={"numpy": "0"},
    )
    text = recipe.to_json()
    assert "\n" not in text
    assert text.isascii()
    assert parse_recipe(text, "x.mid") == recipe
    assert any("numpy 0" in note for note in recipe.changed_versions())


def test_unknown_promises_are_refused():
    with pytest.raises(ConfigError, match=r"recipe\.promises\.loudness"):
        promises_from_record({"loudness": 3})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "carries no recipe"),
        ("{", "does not parse"),
        ("[1]", "no table"),
        ('{"system": "hum"}', "another version"),
        (
            '{"format": 2, "system": "h", "model": "m", "model_hash": "x", "seed": 1}',
            "format 2, not 1",
        ),
    ],
)
def test_what_is_no_recipe_is_refused_with_the_files_name(text, message):
    with pytest.raises(FileError, match=message) as caught:
        parse_recipe(text, "some.mid")
    assert "some.mid" in str(caught.value)

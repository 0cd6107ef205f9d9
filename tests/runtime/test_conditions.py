"""Conditions: what each holds, what it refuses, and that a recipe brings it back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from partimento.errors import ConfigError, MusicError
from partimento.music import parse_chords
from partimento.runtime.conditions import (
    CONDITIONS,
    ChordCondition,
    Condition,
    FormCondition,
    InstrumentsCondition,
    LabelsCondition,
    LyricsCondition,
    StyleCondition,
    TextCondition,
    conditions_from_record,
    conditions_to_record,
)

ONE_OF_EACH: tuple[Condition, ...] = (
    TextCondition("a calm night"),
    StyleCondition("ragtime"),
    ChordCondition((*parse_chords("Am F"), None)),
    InstrumentsCondition((0, 128)),
    FormCondition("AABA"),
    LyricsCondition(("Hallelujah", "")),
    LabelsCondition({"density": 0.5, "year": 1724}),
)


def test_every_condition_comes_back_from_json() -> None:
    assert {type(each) for each in ONE_OF_EACH} == set(CONDITIONS.values())
    record = json.loads(json.dumps(conditions_to_record(ONE_OF_EACH)))
    assert conditions_from_record(record) == ONE_OF_EACH


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (TextCondition, " "),
        (TextCondition, 3),
        (StyleCondition, ""),
        (ChordCondition, ()),
        (ChordCondition, ("Am",)),
        (InstrumentsCondition, ()),
        (InstrumentsCondition, (129,)),
        (FormCondition, "A1"),
        (LyricsCondition, ()),
        (LyricsCondition, (1,)),
        (LabelsCondition, {}),
        (LabelsCondition, {"density": "much"}),
    ],
)
def test_what_makes_no_sense_is_refused(kind: type[Any], value: Any) -> None:
    with pytest.raises(MusicError, match="not "):
        kind(value)


def test_two_of_one_type_are_refused() -> None:
    with pytest.raises(MusicError, match="two text conditions were given; give one"):
        conditions_to_record((TextCondition("a"), TextCondition("b")))


@pytest.mark.parametrize(
    ("record", "path"),
    [({"mood": 1}, "recipe.conditions.mood"), ({"labels": 1}, "recipe.conditions.labels")],
)
def test_an_unknown_record_is_refused_with_its_path(record: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError) as refused:
        conditions_from_record(record)
    assert refused.value.where == path

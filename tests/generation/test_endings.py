"""Which ending a request gets: the one asked, the one that has room, or a clear refusal."""

from __future__ import annotations

from typing import Any

import pytest

from partimento.errors import CannotBeMet, NotSupported
from partimento.generation.endings import NoCadence, with_ending
from partimento.music import Promises, parse_chords, parse_key
from partimento.music.promises import parse_range
from partimento.runtime.contract import Request, Task

GRID = {"name": "m", "representation": {"name": "four_voice_grid"}}
STEPS = {"name": "m", "representation": {"name": "melody_steps"}}


def ending(config: dict[str, Any] = GRID, **asked: Any) -> str | None:
    request = Request(Task.GENERATE, Promises(bars=4, **asked))
    return with_ending(request, config).promises.ending


def test_a_piece_closes_unless_something_else_is_asked():
    assert ending() == "authentic"
    assert ending(ending="fade") == "fade"
    assert ending(STEPS) is None
    assert ending(max_polyphony=2) == "authentic"


def test_without_room_the_end_is_open_and_a_cadence_is_refused():
    narrow = {"*": parse_range("C3-D3")[1]}
    assert ending(ranges=narrow) == "open"
    assert ending(max_polyphony=1) == "open"
    for asked in ({"ranges": narrow}, {"max_polyphony": 1}):
        with pytest.raises(CannotBeMet, match="no room for the ending half"):
            ending(ending="half", **asked)


def test_the_range_must_hold_the_cadence_of_the_key_asked():
    span = {"*": parse_range("36-50")[1]}
    assert ending(ranges=span, key=parse_key("A")) == "authentic"
    assert ending(ranges={"*": parse_range("47-57")[1]}, key=parse_key("G")) == "open"


def test_chords_win_over_the_ending():
    assert ending(chords=parse_chords("C F G C"), ending="authentic") == "authentic"
    assert ending(chords=parse_chords("C F G C")) is None
    with pytest.warns(NoCadence, match="the last chord, G7, is not"):
        found = ending(chords=parse_chords("C Am F G7"), key=parse_key("C"), ending="authentic")
    assert found == "open"


def test_models_that_cannot_close_say_so():
    with pytest.raises(NotSupported, match="no half ending"):
        ending(STEPS, ending="half")

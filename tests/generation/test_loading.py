from __future__ import annotations

import pytest

from partimento import api
from partimento.errors import MusicError, NotSupported


def test_a_task_chooses_the_model(make_model):
    make_model("humming")
    make_model("filling", system="filler")
    assert api.load(task="infill").name == "filling"
    assert api.load(task="generate").name == "humming"
    assert api.load("filling").tasks == ("accompany", "infill")


def test_a_named_model_must_be_able(make_model):
    make_model("humming")
    with pytest.raises(NotSupported, match="hum cannot infill"):
        api.load("humming", task="infill")
    with pytest.raises(NotSupported, match="no task is called 'sing'; there are generate, "):
        api.load(task="sing")


def test_wrong_types_are_refused(hum):
    with pytest.raises(MusicError, match=r"threads must be a whole number in 1\.\.1024, not '2'"):
        api.load(threads="2")
    with pytest.raises(NotSupported, match="int8 or fp32, not 3"):
        api.load(precision=3)

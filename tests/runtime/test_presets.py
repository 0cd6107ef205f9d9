"""Presets survive JSON, in which runs remember them."""

from __future__ import annotations

import json

import pytest

from partimento.config import validate_config
from partimento.runtime.presets import TokenPreset
from partimento.systems import music_transformer, performance_rnn

ALL = {
    f"{module.__name__}/{name}": preset
    for module in (music_transformer, performance_rnn)
    for name, preset in module.PRESETS.items()
}


@pytest.mark.parametrize("name", ALL)
def test_a_preset_comes_back_from_json(name: str) -> None:
    text = json.dumps(ALL[name].model_dump(mode="json"))
    assert validate_config(TokenPreset, json.loads(text)) == ALL[name]

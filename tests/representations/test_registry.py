"""Representations are found by their names alone: a file in the package is one more."""

from __future__ import annotations

from pathlib import Path

import pytest

from partimento import representations
from partimento.errors import ConfigError
from partimento.representations import make_representation, representation_names
from partimento.representations.registry import entry_of, meaning, token_representation

TALLY = '''
"""How many notes there are."""

from dataclasses import dataclass

import numpy as np

from partimento.representations.registry import RepresentationEntry


@dataclass(frozen=True)
class NoteTally:
    base: int = 10

    def spec(self):
        return {"name": "note_tally", "base": self.base}

    def encode(self, score):
        return np.array([len(score.notes)])


ENTRY = RepresentationEntry(lambda options: NoteTally(**options), ("base",))
'''


def test_a_file_in_the_package_is_a_representation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "note_tally.py").write_text(TALLY)
    with pytest.raises(ConfigError, match="'note_tally' is unknown; known here: bar_events, "):
        make_representation({"name": "note_tally"})
    monkeypatch.setattr(representations, "__path__", [*representations.__path__, str(tmp_path)])
    assert "note_tally" in representation_names()
    tally = make_representation({"name": "note_tally", "base": 3})
    assert tally.spec() == {"name": "note_tally", "base": 3}
    with pytest.raises(ConfigError, match="has no tokens"):
        token_representation({"name": "note_tally"})
    with pytest.raises(ConfigError) as refused:
        make_representation({"name": "note_tally", "size": 3})
    assert refused.value.where == "representation.size"


@pytest.mark.parametrize("name", ["base", "registry", "spectra", "os", "", None, 3, "../x"])
def test_what_has_no_entry_is_unknown(name: object) -> None:
    with pytest.raises(ConfigError, match="is unknown"):
        entry_of(name)


def test_every_representation_states_its_name_and_options() -> None:
    for name in representation_names():
        entry = entry_of(name)
        assert len(set(entry.options)) == len(entry.options), name


def test_a_meaning_fills_in_defaults_and_drops_names() -> None:
    plain = meaning({"name": "bar_events"})
    assert plain == meaning({"name": "bar_events", "track_names": {"0": "Upright"}})
    assert meaning({"name": "sound", "channels": 2}) == {"name": "sound", "channels": 2}

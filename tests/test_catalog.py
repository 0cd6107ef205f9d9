from __future__ import annotations

from pathlib import Path

import pytest

from partimento import catalog
from partimento.errors import ModelError, NotSupported
from partimento.music import Note, Score, Track
from partimento.runtime.contract import Task


def score_of(*tracks: tuple[Note, ...]) -> Score:
    return Score(tuple(Track(f"T{i}", notes) for i, notes in enumerate(tracks)))


def test_systems_are_found_and_their_cards_are_theirs(hum):
    assert "hum" in catalog.systems()
    assert catalog.find_card("hum").name == "hum"


def test_unknown_system_names_the_nearest(hum):
    with pytest.raises(NotSupported, match="did you mean 'hum'"):
        catalog.find_card("humm")


def test_models_come_from_package_variable_and_home(make_model, tmp_path, monkeypatch):
    make_model("shipped")
    elsewhere = make_model("other").path
    moved = tmp_path / "elsewhere" / "other"
    moved.parent.mkdir()
    elsewhere.rename(moved)
    mine = catalog.user_models_folder()
    mine.mkdir(parents=True)
    make_model("mine").path.rename(mine / "mine")
    assert [info.name for info in catalog.models()] == ["shipped", "mine"]
    monkeypatch.setenv(catalog.MODELS_VARIABLE, str(moved.parent))
    infos = {info.name: info for info in catalog.models()}
    assert list(infos) == ["shipped", "other", "mine"]
    assert infos["shipped"].is_shipped
    assert infos["shipped"].is_default
    assert not infos["other"].is_shipped
    assert infos["other"].licence == "CC0-1.0"
    assert infos["other"].size_bytes == 8


def test_resolve_takes_names_and_paths(hum):
    assert catalog.resolve_model("humming") == hum.path
    assert catalog.resolve_model(hum.path) == hum.path


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("hummin", "did you mean 'humming'"),
        ("no/such/folder", "no such model folder"),
    ],
)
def test_resolve_says_what_there_is(hum, asked, message):
    with pytest.raises(ModelError, match=message):
        catalog.resolve_model(asked)


def test_a_folder_without_a_config_is_no_model(hum, tmp_path):
    with pytest.raises(ModelError, match="no model folder"):
        catalog.resolve_model(tmp_path)


def test_altered_and_missing_files_are_refused(hum):
    (hum.path / "int8.onnx").write_bytes(b"other")
    with pytest.raises(ModelError, match="altered"):
        catalog.open_model("humming")
    (hum.path / "int8.onnx").unlink()
    with pytest.raises(ModelError, match="missing"):
        catalog.open_model("humming")


def test_no_model_at_all_says_how_to_get_one(make_model):
    with pytest.raises(ModelError, match="partimento train"):
        catalog.default_model()


def test_default_is_the_first_of_the_preference(make_model):
    make_model("aaa")
    make_model("music-transformer-piano")
    assert catalog.default_model() == "music-transformer-piano"
    make_model("music-transformer-chorales")
    assert catalog.default_model() == "music-transformer-chorales"


def test_a_prompt_chooses_the_model_that_fits(make_model):
    make_model("music-transformer-piano")
    make_model("music-transformer-chorales")
    line = (Note(0, 60, 480), Note(480, 62, 480))
    thick = (Note(0, 60, 960), Note(0, 64, 960))
    assert catalog.default_model(Task.CONTINUE, score_of(line)).endswith("chorales")
    assert catalog.default_model(Task.CONTINUE, score_of(thick)).endswith("piano")
    assert catalog.default_model(Task.CONTINUE, score_of(*[line] * 5)).endswith("piano")


def test_describe_shows_controls_with_their_bounds(hum):
    known = catalog.describe("humming")
    controls = {control.name: control for control in known.controls}
    assert known.is_model
    assert "A model that hums" in known.text
    assert controls["loudness"].bounds == ">= 1, <= 127"
    assert controls["temperature"].default == "1.0"
    assert known.facts["parameters"] == "1,234"
    assert catalog.describe("hum").presets == ("default",)
    with pytest.raises(NotSupported, match="did you mean"):
        catalog.describe("hummin")


def test_a_broken_config_hides_the_model_and_no_more(hum, make_model):
    broken = make_model("broken").path
    (Path(broken) / "config.json").write_text("{")
    assert [info.name for info in catalog.models()] == ["humming"]

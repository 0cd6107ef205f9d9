"""Model folders: what is missing, altered or of another version is told in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from partimento.errors import FileError, ModelError
from partimento.runtime import model_folder as module
from partimento.runtime.model_folder import ModelFolder, write_model_folder

CONFIG: dict[str, Any] = {
    "name": "small",
    "system": "music_transformer",
    "representation": {"name": "bar_events"},
    "network": {},
    "graphs": {"int8": "decoder.int8.onnx"},
    "defaults": {},
}
FILES = {"decoder.int8.onnx": b"graph", "more.bin": b"more"}


@pytest.fixture
def small(tmp_path: Path) -> ModelFolder:
    """Return a whole model folder."""
    return write_model_folder(tmp_path / "small", CONFIG, FILES, "# A small model\n")


def change(folder: ModelFolder, **values: Any) -> None:
    path = folder.path / "config.json"
    config = {**json.loads(path.read_text()), **values}
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not None}))


def problem(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        ModelFolder.open(path)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_what_was_written_is_read(small: ModelFolder) -> None:
    again = ModelFolder.open(small.path)
    assert again == small
    assert (again.name, again.system) == ("small", "music_transformer")
    assert again.graph("int8").read_bytes() == b"graph"
    assert again.card() == "# A small model\n"
    assert again.size_bytes == len(b"graph" + b"more")
    assert len(again.hash) == 64


def test_the_hash_tells_models_apart(small: ModelFolder, tmp_path: Path) -> None:
    same = write_model_folder(tmp_path / "same", CONFIG, FILES, "another card")
    other = write_model_folder(tmp_path / "other", CONFIG, {**FILES, "more.bin": b"less"}, "")
    assert same.hash == small.hash
    assert other.hash != small.hash


def test_a_missing_file(small: ModelFolder) -> None:
    (small.path / "more.bin").unlink()
    assert "is incomplete: more.bin is missing; install it again" in problem(small.path)


def test_an_altered_byte(small: ModelFolder) -> None:
    (small.path / "decoder.int8.onnx").write_bytes(b"grapf")
    assert "was altered: decoder.int8.onnx" in problem(small.path)
    assert ModelFolder.open(small.path, verify=False).name == "small"


def test_the_card_may_be_edited_or_absent(small: ModelFolder) -> None:
    (small.path / "card.md").write_text("mine")
    assert ModelFolder.open(small.path).card() == "mine"
    (small.path / "card.md").unlink()
    assert ModelFolder.open(small.path).card() == ""


def test_a_missing_config(small: ModelFolder) -> None:
    (small.path / "config.json").unlink()
    assert "config.json is missing" in problem(small.path)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert "is no model folder" in problem(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "{", "\x00\xff", '{"name": }'])
def test_a_config_that_does_not_parse(small: ModelFolder, text: str) -> None:
    (small.path / "config.json").write_bytes(text.encode("latin-1"))
    assert "does not parse" in problem(small.path)


@pytest.mark.parametrize("text", ["[]", "3", "null"])
def test_a_config_that_is_no_table(small: ModelFolder, text: str) -> None:
    (small.path / "config.json").write_text(text)
    assert "does not hold a table" in problem(small.path)


def test_a_config_that_lacks_keys(small: ModelFolder) -> None:
    change(small, network=None, files=[])
    assert "lacks network, files" in problem(small.path)


@pytest.mark.parametrize("number", [0, 2, "1", None])
def test_another_format(small: ModelFolder, number: object) -> None:
    change(small, format=number)
    assert "this version reads 1; update partimento" in problem(small.path)


def test_an_unknown_precision(small: ModelFolder) -> None:
    with pytest.raises(ModelError, match="small has no fp16 graph; it has: int8"):
        small.graph("fp16")


def test_writing_replaces_whole_files_and_the_config_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    atomic = module.atomic_path

    def watched(path: Path) -> Any:
        written.append(Path(path).name)
        return atomic(path)

    monkeypatch.setattr(module, "atomic_path", watched)
    write_model_folder(tmp_path / "new", CONFIG, FILES, "card")
    assert sorted(written[:-1]) == ["card.md", "decoder.int8.onnx", "more.bin"]
    assert written[-1] == "config.json"
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == ["card.md", "config.json", "decoder.int8.onnx", "more.bin"]


def test_a_write_that_fails_leaves_no_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(FileError, match="the disk is full"):
        write_model_folder(tmp_path / "new", CONFIG, FILES, "card")
    assert list((tmp_path / "new").iterdir()) == []
    assert "config.json is missing" in problem(tmp_path / "new")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be made"):
        write_model_folder(tmp_path / "file" / "model", CONFIG, FILES, "card")

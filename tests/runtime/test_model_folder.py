"""Model folders: what is missing, altered or of another version is told in one line."""

from __future__ import annotations

import hashlib
import json
import os
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
    "parts": {"decoder": {"int8": "decoder.int8.onnx"}},
    "defaults": {},
}
FILES = {"decoder.int8.onnx": b"graph", "more.bin": b"more"}
DIGEST = hashlib.sha256(b"graph").hexdigest()


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
    assert again.part("decoder", "int8").read_bytes() == b"graph"
    assert again.precisions == ("int8",)
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
    assert "config.json.network: Field required" in problem(small.path)


@pytest.mark.parametrize("number", [0, 3, "1", True, [], None])
def test_another_format(small: ModelFolder, number: object) -> None:
    change(small, format=number)
    assert "this version reads 1 and 2; update partimento" in problem(small.path)


def test_an_unknown_precision(small: ModelFolder) -> None:
    with pytest.raises(ModelError, match="small has no fp16 graph of its decoder; it has: int8"):
        small.part("decoder", "fp16")
    with pytest.raises(ModelError, match="small has no int8 graph of its prior; it has: none"):
        small.part("prior", "int8")


def test_a_folder_of_format_1_has_its_parts_and_its_hash(small: ModelFolder) -> None:
    (small.path / "encoder.int8.onnx").write_bytes(b"graph")
    files = {**small.config["files"], "encoder.int8.onnx": DIGEST}
    change(small, format=1, parts=None, graphs={"int8": "decoder.int8.onnx"}, files=files)
    old = ModelFolder.open(small.path)
    assert old.parts == {
        "decoder": {"int8": "decoder.int8.onnx"},
        "encoder": {"int8": "encoder.int8.onnx"},
    }
    config = json.loads((small.path / "config.json").read_text())
    assert old.hash == hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"files": {}}, "at least 1 item"),
        ({"files": {"more.bin": DIGEST}}, "decoder.int8.onnx is used and not listed in files"),
        ({"parts": {}}, "at least 1 item"),
        ({"parts": {"decoder": {}}}, "decoder has no file"),
        ({"parts": {"decoder": {"int8": "../other/decoder.onnx"}}}, "parts.decoder.int8"),
        ({"parts": {"decoder": {"int8": "/etc/passwd"}}}, "parts.decoder.int8"),
        ({"files": {"../more.bin": DIGEST, "decoder.int8.onnx": DIGEST}}, "../more.bin"),
        ({"files": {"decoder.int8.onnx": "0"}}, "String should match"),
        ({"copy_index": "copies.index"}, "copies.index is used and not listed"),
        ({"name": "small\x1b[2J"}, "control characters"),
        ({"domain": "\u202emp3.exe"}, "control characters"),
        ({"parameters": 1e300}, "far too large"),
        ({"parameters": "12"}, "parameters: must be an integer >= 0"),
        ({"domain": "x" * 20_000}, "a text of more than 16384"),
    ],
)
def test_a_hostile_config(small: ModelFolder, values: dict[str, Any], told: str) -> None:
    change(small, **values)
    text = problem(small.path)
    assert told in text
    assert len(text) < 400


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999", "9" * 4000])
def test_numbers_that_are_none(small: ModelFolder, text: str) -> None:
    config = json.loads((small.path / "config.json").read_text())
    whole = json.dumps({**config, "parameters": 12345}).replace("12345", text)
    (small.path / "config.json").write_text(whole)
    assert "not finite or far too large" in problem(small.path)


@pytest.mark.parametrize(("depth", "told"), [(60, "nested deeper"), (100_000, "does not parse")])
def test_deep_nesting(small: ModelFolder, depth: int, told: str) -> None:
    config = (small.path / "config.json").read_text().rstrip().rstrip("}")
    (small.path / "config.json").write_text(f'{config}, "deep": {"[" * depth}{"]" * depth}}}')
    assert told in problem(small.path)


def test_files_that_are_no_files_of_the_folder(small: ModelFolder, tmp_path: Path) -> None:
    graph = small.path / "decoder.int8.onnx"
    graph.rename(tmp_path / "elsewhere.onnx")
    graph.symlink_to(tmp_path / "elsewhere.onnx")
    assert "leads out of the folder" in problem(small.path)
    graph.unlink()
    graph.symlink_to(graph.name)
    assert "decoder.int8.onnx is missing" in problem(small.path)
    graph.unlink()
    os.mkfifo(graph)  # reading it would wait for ever
    assert "is no file of" in problem(small.path)
    graph.unlink()
    (tmp_path / "elsewhere.onnx").rename(small.path / "inside.onnx")
    graph.symlink_to("inside.onnx")
    assert ModelFolder.open(small.path).part("decoder", "int8").read_bytes() == b"graph"


def test_a_file_that_is_not_listed_is_not_opened(small: ModelFolder) -> None:
    (small.path / "extra.onnx").write_bytes(b"graph")
    with pytest.raises(ModelError, match=r"does not list a file 'extra\.onnx'"):
        small.file("extra.onnx")


def test_a_card_cannot_command_a_terminal(small: ModelFolder) -> None:
    (small.path / "card.md").write_bytes(b"# Mine\x1b[2J\x07\n\ttext \xc2\x9b31m\xff\xe2\x80\xae")
    assert small.card() == "# Mine[2J\n\ttext 31m\ufffd"
    (small.path / "card.md").unlink()
    (small.path / "card.md").symlink_to("/etc/hostname")
    assert small.card() == ""


def test_a_config_that_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"decoder\.int8\.onnx is used and not listed"):
        write_model_folder(tmp_path / "new", CONFIG, {"more.bin": b"more"}, "card")
    assert not (tmp_path / "new" / "config.json").exists()


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

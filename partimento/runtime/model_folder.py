"""Model folders: all that the instrument needs of a model, with a hash for every file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from partimento.errors import FileError, ModelError
from partimento.files.atomic import atomic_path

__all__ = ["CARD_FILE", "CONFIG_FILE", "FORMAT", "ModelFolder", "write_model_folder"]

FORMAT = 1
CONFIG_FILE = "config.json"
CARD_FILE = "card.md"
_KEYS = ("name", "system", "representation", "network", "graphs", "defaults", "files")
_TABLES = ("representation", "network", "graphs", "defaults", "files")


@dataclass(frozen=True)
class ModelFolder:
    """An opened model folder; ``hash`` is the SHA-256 over its files' hashes and its config."""

    path: Path
    name: str
    system: str
    config: Mapping[str, Any]
    hash: str

    @classmethod
    def open(cls, path: str | Path, verify: bool = True) -> ModelFolder:
        """Open a folder and, if ``verify``, compare every file with its hash.

        Raises:
            ModelError: if the folder or a file is missing, altered or of a newer format.
        """
        path = Path(path)
        config = _read_config(path)
        if verify:
            for name, digest in config["files"].items():
                file = path / name
                if not file.is_file():
                    raise ModelError(f"{path} is incomplete: {name} is missing; install it again")
                if _digest(file) != digest:
                    raise ModelError(
                        f"{path} was altered: {name} is not the file it was; install it again"
                    )
        text = json.dumps(config, sort_keys=True).encode()
        return cls(path, config["name"], config["system"], config, hashlib.sha256(text).hexdigest())

    def card(self) -> str:
        """Return the model card (Markdown with a YAML header); empty if there is none."""
        file = self.path / CARD_FILE
        return file.read_text(encoding="utf-8") if file.is_file() else ""

    def graph(self, precision: str) -> Path:
        """Return the path of the graph of a precision (``int8`` or ``fp32``).

        Raises:
            ModelError: if this folder has no such graph.
        """
        graphs = self.config["graphs"]
        if precision not in graphs:
            known = ", ".join(sorted(graphs))
            raise ModelError(f"{self.name} has no {precision} graph; it has: {known}")
        return self.path / str(graphs[precision])

    @property
    def size_bytes(self) -> int:
        """How large the folder's own files are."""
        return sum((self.path / name).stat().st_size for name in self.config["files"])


def _read_config(path: Path) -> dict[str, Any]:
    file = path / CONFIG_FILE
    if not path.is_dir():
        raise ModelError(f"{path} is no model folder; name a folder that holds {CONFIG_FILE}")
    try:
        config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path} is no model folder: {CONFIG_FILE} is missing") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} does not parse ({error}); install the model again") from None
    if not isinstance(config, dict):
        raise ModelError(f"{file} does not hold a table; install the model again")
    if config.get("format") != FORMAT:
        raise ModelError(
            f"{path} has format {config.get('format')!r}, this version reads {FORMAT}; "
            "update partimento"
        )
    missing = [key for key in _KEYS if key not in config]
    missing += [key for key in _TABLES if key in config and not isinstance(config[key], dict)]
    if missing:
        raise ModelError(f"{file} lacks {', '.join(missing)}; install the model again")
    return config


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_model_folder(
    path: Path, config: Mapping[str, Any], files: Mapping[str, bytes], card: str
) -> ModelFolder:
    """Write a model folder: the files, the card, and last the config with their hashes.

    A reader never sees a half-written folder: without its config a folder is none.

    Raises:
        FileError: if the folder cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            path, f"cannot be made ({error.strerror})", "choose another folder"
        ) from None
    hashes = {}
    for name, data in {**files, CARD_FILE: card.encode()}.items():
        with atomic_path(path / name) as temporary:
            temporary.write_bytes(data)
        hashes[name] = hashlib.sha256(data).hexdigest()
    # The card may be edited by hand after export; it is not part of what is verified.
    del hashes[CARD_FILE]
    whole = {"format": FORMAT, **config, "files": hashes}
    with atomic_path(path / CONFIG_FILE) as temporary:
        temporary.write_text(json.dumps(whole, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return ModelFolder.open(path)

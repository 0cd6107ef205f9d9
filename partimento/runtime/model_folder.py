"""Model folders: all that the instrument needs of a model, with a hash for every file.

A folder may come from anywhere, so nothing in it is taken for granted. `ModelFolder.open` is the
one door: it bounds and checks ``config.json`` (`ModelConfig`), refuses every file that is not
listed in ``files`` with its hash, and every text that could command a terminal. What a family of
models says of itself (``network``, ``representation``) is checked by that family's own schema,
through `ModelFolder.section`, before a session is made.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from partimento.config import Config, validate_config
from partimento.errors import ConfigError, FileError, ModelError
from partimento.files.atomic import atomic_path

__all__ = [
    "CARD_FILE",
    "CONFIG_FILE",
    "FORMAT",
    "ModelConfig",
    "ModelFolder",
    "write_model_folder",
]

FORMAT = 2
CONFIG_FILE = "config.json"
CARD_FILE = "card.md"
MAIN_PART = "decoder"  # the one part of models that have one; in format 1 the one in ``graphs``
_AGAIN = "install the model again"
_LARGEST_TEXT = 1 << 20  # bytes of a config or a card
_LARGEST_FILE = 1 << 31  # bytes; no ONNX file is larger
_DEEPEST, _LONGEST, _LARGEST_NUMBER = 32, 1 << 14, 1 << 63

C = TypeVar("C", bound=Config)
# A plain name inside the folder: no path, no hidden file, nothing that a shell would expand.
FileName = Annotated[str, StringConstraints(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,199}\z")]
_Name = Annotated[str, StringConstraints(pattern=r"\A[^\n\t]{1,255}\z")]
_Word = Annotated[str, StringConstraints(pattern=r"\A[a-z][a-z0-9_]{0,63}\z")]
_Digest = Annotated[str, StringConstraints(pattern=r"\A[0-9a-f]{64}\z")]
_Precision = Annotated[str, StringConstraints(pattern=r"\A(int8|fp32)\z")]
_Parts = dict[_Word, dict[_Precision, FileName]]
_Setting = bool | int | float | str | None | tuple[str, ...]


class _TrackFacts(Config):
    """A part that a model writes: its name and General MIDI program."""

    name: _Name
    program: int = Field(0, ge=0, le=127)


class _Defaults(Config):
    """MusicalOptions where none are given; beside them controls, and tables of those by task."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, _Setting | dict[str, _Setting | dict[str, _Setting]]]

    bars: int | None = Field(None, ge=1, le=10_000)
    seconds: float | None = Field(None, gt=0, le=86_400)
    tempo: float | None = Field(None, ge=4, le=1000)
    max_silence: float | None = Field(None, gt=0, le=10_000)
    time_signature: str | None = None
    generate: dict[str, _Setting | dict[str, _Setting]] = Field(default_factory=dict)
    accompany: dict[str, _Setting | dict[str, _Setting]] = Field(default_factory=dict)
    infill: dict[str, _Setting | dict[str, _Setting]] = Field(default_factory=dict)


class ModelConfig(Config):
    """What every ``config.json`` must say; keys that are not named here are kept as they are."""

    model_config = ConfigDict(extra="allow")

    format: Literal[2]
    name: _Name
    system: _Word
    representation: dict[str, Any]
    network: dict[str, Any]
    parts: _Parts = Field(min_length=1)
    files: dict[FileName, _Digest] = Field(min_length=1)
    defaults: _Defaults
    parameters: int = Field(0, ge=0)
    instruments: tuple[Annotated[int, Field(ge=0, le=128)], ...] | None = None
    tracks: tuple[_TrackFacts, ...] = Field((), max_length=64)
    copy_index: FileName | None = None
    domain: str = ""
    preset: dict[str, Any] = Field(default_factory=dict)
    trained: dict[str, Any] = Field(default_factory=dict)
    partimento: str = ""

    @model_validator(mode="after")
    def _files_are_listed(self) -> Self:
        used = [name for part in self.parts.values() for name in part.values()]
        for name in [*used, *([self.copy_index] if self.copy_index else [])]:
            if name not in self.files:
                raise ValueError(f"{name} is used and not listed in files with its hash")
        for part, precisions in self.parts.items():
            if not precisions:
                raise ValueError(f"the part {part} has no file")
        return self


@dataclass(frozen=True)
class ModelFolder:
    """An opened model folder; ``hash`` is the SHA-256 over its files' hashes and its config."""

    path: Path
    name: str
    system: str
    config: Mapping[str, Any]
    parts: Mapping[str, Mapping[str, str]]  # part -> precision -> file
    hash: str

    @classmethod
    def open(cls, path: str | Path, verify: bool = True) -> ModelFolder:
        """Open a folder and, if ``verify``, compare every file with its hash.

        Raises:
            ModelError: if the folder or a file is missing, altered or of a newer format, or its
                config says what cannot be.
        """
        path = Path(path)
        config = _read_config(path)
        checked = _checked(path, config)
        folder = cls(path, checked.name, checked.system, config, checked.parts, _hash(config))
        if verify:
            for name, digest in checked.files.items():
                if _digest(folder.file(name)) != digest:
                    raise ModelError(
                        f"{path} was altered: {name} is not the file it was; install it again"
                    )
        return folder

    def file(self, name: str) -> Path:
        """Return the path of one of the folder's files.

        Raises:
            ModelError: if it is not listed in ``files``, missing, or leads out of the folder.
        """
        if name not in self.config["files"]:
            raise ModelError(f"{self.name} does not list a file {name!r}; {_AGAIN}")
        return _inside(self.path, name, _LARGEST_FILE)

    def card(self) -> str:
        """Return the model card (Markdown with a YAML header); empty if there is none.

        Control characters are left out: a terminal would obey them.
        """
        try:
            data = _inside(self.path, CARD_FILE, _LARGEST_TEXT).read_bytes()
        except (ModelError, OSError):
            return ""
        text = data.decode("utf-8", "replace")
        return text if _is_plain(text) else "".join(filter(_is_plain, text))

    @property
    def precisions(self) -> tuple[str, ...]:
        """The precisions in which the folder has every part."""
        common = set.intersection(*(set(files) for files in self.parts.values()))
        return tuple(sorted(common))

    def part(self, name: str, precision: str) -> Path:
        """Return the path of a part's graph in a precision (``int8`` or ``fp32``).

        Raises:
            ModelError: if this folder has no such graph.
        """
        files = self.parts.get(name, {})
        if precision not in files:
            known = ", ".join(sorted(files)) or "none"
            raise ModelError(f"{self.name} has no {precision} graph of its {name}; it has: {known}")
        return self.file(files[precision])

    def section(self, key: str, schema: type[C]) -> C:
        """Return a table of the config as a family of models has it.

        Raises:
            ModelError: for a value that is missing, of another type or out of range.
        """
        with self.reading():
            return validate_config(schema, self.config[key], key, strict=True)

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Turn a `ConfigError` into the `ModelError` of this folder."""
        try:
            yield
        except ConfigError as error:
            raise ModelError(f"{self.path / CONFIG_FILE}: {error}; {_AGAIN}") from None

    @property
    def size_bytes(self) -> int:
        """How large the folder's own files are."""
        found = (self.path / name for name in self.config["files"])
        return sum(file.stat().st_size for file in found if file.is_file())


def _read_config(path: Path) -> dict[str, Any]:
    """Return the config of a folder: a table of finite numbers and plain texts, not too deep."""
    file = path / CONFIG_FILE
    if not path.is_dir():
        raise ModelError(f"{path} is no model folder; name a folder that holds {CONFIG_FILE}")
    if not file.is_file():
        raise ModelError(f"{path} is no model folder: {CONFIG_FILE} is missing")
    try:
        text = _inside(path, CONFIG_FILE, _LARGEST_TEXT).read_text(encoding="utf-8")
        config = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file} does not parse ({error}); {_AGAIN}") from None
    if not isinstance(config, dict):
        raise ModelError(f"{file} does not hold a table; {_AGAIN}")
    if config.get("format") not in (1, FORMAT) or config["format"] is True:
        raise ModelError(
            f"{path} has format {str(config.get('format'))[:20]!r}, this version reads 1 and "
            f"{FORMAT}; update partimento"
        )
    problem = _problem(config)
    if problem:
        raise ModelError(f"{file} {problem}; {_AGAIN}")
    return config


def _problem(config: dict[str, Any]) -> str:
    """Return what no config may hold, "" if it does not: found without recursion."""
    waiting: list[tuple[Any, int]] = [(config, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > _DEEPEST:
            return f"is nested deeper than {_DEEPEST} tables"
        if isinstance(value, dict):
            waiting += [(each, depth + 1) for each in (*value, *value.values())]
        elif isinstance(value, list):
            waiting += [(each, depth + 1) for each in value]
        elif isinstance(value, str):
            if len(value) > _LONGEST:
                return f"holds a text of more than {_LONGEST} characters"
            if not _is_plain(value):
                return "holds control characters"
        elif isinstance(value, int | float) and not abs(value) < _LARGEST_NUMBER:  # NaN is not
            return "holds a number that is not finite or far too large"
    return ""


def _is_plain(text: str) -> bool:
    """Return whether a text may be shown: no command to a terminal, no turned direction.

    Line ends, tabs and spaces of all kinds may stay; controls, surrogates and format characters,
    which turn the direction of what follows, may not.
    """
    inner = text.replace("\n", "").replace("\t", "")
    return inner.isprintable() or not any(
        unicodedata.category(c) in ("Cc", "Cs", "Cf") for c in inner
    )


def _checked(path: Path, config: Mapping[str, Any]) -> ModelConfig:
    """Return the config by its schema, that of format 1 brought to today's form."""
    values = dict(config)
    try:
        if values["format"] == 1:
            values = {**values, "format": FORMAT, "parts": _parts_of_format_1(values)}
            values.pop("graphs", None)
        return validate_config(ModelConfig, values, CONFIG_FILE, strict=True)
    except ConfigError as error:
        raise ModelError(f"{path}: {error}; {_AGAIN}") from None


def _parts_of_format_1(config: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the named parts of a folder of version 0.1.0.

    ``graphs`` names the files of the main part; further parts were known by their file names,
    ``PART.PRECISION.onnx``.
    """
    graphs, files = config.get("graphs"), config.get("files")
    if not isinstance(graphs, dict) or not isinstance(files, dict):
        raise ConfigError(CONFIG_FILE, "graphs and files must be tables")
    parts: dict[str, dict[str, str]] = {MAIN_PART: graphs}
    for name in sorted(files):
        part, _, rest = name.partition(".")
        precision, _, ending = rest.partition(".")
        if ending == "onnx" and part != MAIN_PART and precision in graphs:
            parts.setdefault(part, {})[precision] = name
    return parts


def _hash(config: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def _inside(folder: Path, name: str, largest: int) -> Path:
    """Return the path of a regular file that lies in a folder itself.

    Raises:
        ModelError: if it is missing, too large, no plain file, or a link that leads out.
    """
    file = folder / name
    try:
        if not file.resolve().is_relative_to(folder.resolve()):
            raise ModelError(f"{file} leads out of the folder; copy the file itself there")
        found = file.stat()
    except (OSError, RuntimeError):  # RuntimeError: a link to itself
        raise ModelError(f"{folder} is incomplete: {name} is missing; install it again") from None
    if not stat.S_ISREG(found.st_mode) or found.st_size > largest:
        raise ModelError(f"{file} is no file of {largest:,} bytes or less; install it again")
    return file


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_model_folder(
    path: Path, config: Mapping[str, Any], files: Mapping[str, bytes], card: str
) -> ModelFolder:
    """Write a model folder: the files, the card, and last the config with their hashes.

    ``config`` names the graphs in ``parts``. A reader never sees a half-written folder: without its
    config a folder is none.

    Raises:
        FileError: if the folder cannot be written.
        ModelError: if the config is none that could be read.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            path, f"cannot be made ({error.strerror})", "choose another folder"
        ) from None
    # The card may be edited by hand after export; it is not part of what is verified.
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    whole = {"format": FORMAT, **config, "files": hashes}
    _checked(path, whole)
    for name, data in {**files, CARD_FILE: card.encode()}.items():
        with atomic_path(path / name) as temporary:
            temporary.write_bytes(data)
    with atomic_path(path / CONFIG_FILE) as temporary:
        temporary.write_text(json.dumps(whole, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return ModelFolder.open(path)

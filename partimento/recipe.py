"""How a piece was made, as JSON that travels inside every file we write.

A recipe holds all that decides the notes: system, model and its hash, task, promises, controls,
seed, prompt and versions. It holds no time of day and no name of the machine, so that the same
request gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

import partimento
from partimento.config import Config, validate_config
from partimento.errors import ConfigError, FileError
from partimento.music import Promises, parse_chord, parse_key
from partimento.music.cadences import parse_ending
from partimento.music.promises import parse_range, parse_time_signature
from partimento.runtime.contract import PROMPT_TASKS, Task

__all__ = [
    "PromptRecord",
    "Recipe",
    "RewriteRecord",
    "current_versions",
    "file_sha256",
    "parse_recipe",
    "promises_from_record",
    "promises_to_record",
]

FORMAT = 1
_FREE_BAR = "N.C."
# Fields that version 0.1.0 or an earlier one had not; they are left out where they are not set, so
# that the files of those versions are replayed byte for byte.
_YOUNGER = (
    "streamed",
    "rewrite",
    "seconds",
    "loop",
    "stopped_after_frames",
    "other_prompts",
    "conditions",
    "steps",
    "humanize",
)


class PromptRecord(Config):
    """A prompt: the hash of its file and where it was; "" if in memory."""

    sha256: str = ""
    path: str = ""


class RewriteRecord(Config):
    """What is to be regenerated in a piece, in the words in which it was asked.

    - ``bars``: ``"9:12,20:24"``; None for all.
    - ``tracks``: names or numbers of tracks; None for all, or for those that are to be added.
    - ``locks``: what is kept all the same (``partimento.music.regions.parse_lock``).
    """

    bars: str | None = None
    tracks: tuple[str, ...] | None = None
    locks: tuple[str, ...] = ()


class Recipe(Config):
    """How one piece was made; ``to_json`` and ``parse_recipe`` are inverses."""

    format: int = FORMAT
    system: str
    model: str
    model_hash: str
    model_path: str = ""  # as it was given, where the model was opened by its path
    task: Task = Task.GENERATE
    promises: dict[str, Any] = Field(default_factory=dict)
    tempo: float | None = None
    controls: dict[str, Any] = Field(default_factory=dict)
    seed: int
    precision: str = "int8"
    threads: int | None = None  # None where the machine chose
    prompt: PromptRecord | None = None
    rewrite: RewriteRecord | None = None  # of what is written into a prompt
    other_prompts: tuple[PromptRecord, ...] = ()  # the second and later ones
    conditions: dict[str, Any] = Field(default_factory=dict)  # values by name
    steps: int | None = None  # of an interpolation
    humanize: float = 0.0  # how far the performance rules go (``music.performance_rules``)
    soundfont: str = ""
    stopped_after_bars: int | None = None  # of a stream without an end
    streamed: bool = False  # rendered piece by piece, at a fixed gain; sound without its prompt
    seconds: float | None = None  # of a model that makes sound; None has no end
    loop: bool = False
    stopped_after_frames: int | None = None  # of sound, its prompt left out
    versions: dict[str, str] = Field(default_factory=dict)

    def to_json(self) -> str:
        """Return the recipe as one line of JSON, keys sorted."""
        left_out = {name for name in _YOUNGER if not getattr(self, name)}
        values = self.model_dump(mode="json", exclude=left_out)
        return json.dumps(values, sort_keys=True, ensure_ascii=True)

    @property
    def prompts(self) -> tuple[PromptRecord, ...]:
        """All prompts in order."""
        return () if self.prompt is None else (self.prompt, *self.other_prompts)

    @property
    def is_sound(self) -> bool:
        """Whether it is of a model that makes sound, and records where that ends."""
        is_round = self.loop and self.streamed
        return self.stopped_after_frames is not None or (self.seconds is not None and not is_round)

    @property
    def has_end(self) -> bool:
        """Whether it records where the piece ends, or where it was stopped."""
        bars = (self.promises.get("bars"), self.stopped_after_bars)
        from_prompts = self.task in PROMPT_TASKS
        return from_prompts or self.is_sound or any(end is not None for end in bars)

    def changed_versions(self) -> tuple[str, ...]:
        """Return what differs between the machine that made it and this one, in words."""
        now = current_versions()
        return tuple(
            f"made with {name} {then}, this is {now.get(name, 'without it')}"
            for name, then in sorted(self.versions.items())
            if now.get(name) != then
        )


def parse_recipe(text: str, source: str | Path) -> Recipe:
    """Return the recipe written in ``text``; ``source`` is the file named in errors.

    Raises:
        FileError: if there is none, or it is not one of ours.
    """
    remedy = "only files that partimento generated can be replayed"
    if not text:
        raise FileError(source, "carries no recipe", remedy)
    try:
        values = json.loads(text)
        if not isinstance(values, dict):
            raise FileError(source, "carries a recipe that is no table", remedy)
        recipe = validate_config(Recipe, values, "recipe")
    except json.JSONDecodeError:
        raise FileError(source, "carries a recipe that does not parse", remedy) from None
    except ConfigError as error:
        raise FileError(source, f"carries a recipe of another version ({error})", remedy) from None
    if recipe.format != FORMAT:
        raise FileError(source, f"carries a recipe of format {recipe.format}, not {FORMAT}", remedy)
    return recipe


def current_versions() -> dict[str, str]:
    """Return the versions that can change the notes."""
    versions = {"partimento": partimento.__version__, "numpy": np.__version__}
    try:
        versions["onnxruntime"] = version("onnxruntime")
    except PackageNotFoundError:  # a build of another name, such as onnxruntime-gpu
        versions["onnxruntime"] = "unknown"
    return versions


def promises_to_record(promises: Promises) -> dict[str, Any]:
    """Return the promises as JSON values; what is free is left out."""
    record: dict[str, Any] = {}
    if promises.bars is not None:
        record["bars"] = promises.bars
    if promises.time_signature is not None:
        record["time_signature"] = str(promises.time_signature)
    if promises.key is not None:
        record["key"] = promises.key.name
    if promises.ranges:
        record["ranges"] = {name: f"{r.low}-{r.high}" for name, r in promises.ranges.items()}
    if promises.max_polyphony is not None:
        record["max_polyphony"] = promises.max_polyphony
    if promises.chords:
        record["chords"] = " ".join(
            _FREE_BAR if chord is None else chord.name for chord in promises.chords
        )
    if promises.max_silence_quarters is not None:
        record["max_silence_quarters"] = promises.max_silence_quarters
    if promises.ending is not None:
        record["ending"] = promises.ending
    return record


def promises_from_record(record: dict[str, Any]) -> Promises:
    """Return the promises of a record.

    Raises:
        ConfigError: for an entry that is not known here.
    """
    known = {field.name for field in fields(Promises)}
    for name in record:
        if name not in known:
            raise ConfigError(f"recipe.promises.{name}", "unknown promise")
    metre, key, chords = (record.get(name) for name in ("time_signature", "key", "chords"))
    return Promises(
        bars=record.get("bars"),
        time_signature=parse_time_signature(metre) if metre else None,
        key=parse_key(key) if key else None,
        ranges={name: parse_range(span)[1] for name, span in record.get("ranges", {}).items()},
        max_polyphony=record.get("max_polyphony"),
        chords=tuple(
            None if name == _FREE_BAR else parse_chord(name) for name in (chords or "").split()
        ),
        max_silence_quarters=record.get("max_silence_quarters"),
        ending=parse_ending(record["ending"]) if record.get("ending") else None,
    )


def file_sha256(path: str | Path) -> str:
    """Return the hash of a file's bytes, in hexadecimal.

    Raises:
        FileError: if it cannot be read.
    """
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror})", "check the path") from None

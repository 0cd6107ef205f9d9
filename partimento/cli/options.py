"""The options that several verbs share, and how a config file stands behind them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter

from partimento.config import read_config, validate_config
from partimento.errors import ConfigError
from partimento.wishes import Wishes

__all__ = ["ConfigFile", "Loading", "Settings", "Sketch", "Taste", "gather", "parse_settings"]

_MUSIC = Group("What the music keeps", sort_key=1)
_TASTE = Group("How it is picked", sort_key=2)
_MODEL = Group("What plays", sort_key=3)


@Parameter(name="*", group=_MUSIC)
@dataclass(frozen=True)
class Sketch:
    """What the music keeps."""

    bars: Annotated[int | None, Parameter(help="Exactly so many bars.")] = None
    seconds: Annotated[float | None, Parameter(help="The whole bars that cover so long.")] = None
    tempo: Annotated[float | None, Parameter(help="Quarter notes a minute.")] = None
    key: Annotated[str | None, Parameter(help="C, 'A minor', F#m, ...")] = None
    time_signature: Annotated[str | None, Parameter(help="4/4, 3/4, 6/8, ...")] = None
    chords: Annotated[str | None, Parameter(help="One chord a bar: 'Am F C G'.")] = None
    range: Annotated[
        list[str] | None,
        Parameter(help="C3-C5 for all, Soprano=C4-A5 for one; may be repeated."),
    ] = None
    polyphony: Annotated[int | None, Parameter(help="At most so many notes at once.")] = None
    max_silence: Annotated[
        float | None, Parameter(help="The longest rest of all, in quarter notes.")
    ] = None
    seed: Annotated[int | None, Parameter(help="The same seed makes the same piece.")] = None


@Parameter(name="*", group=_TASTE)
@dataclass(frozen=True)
class Taste:
    """How tokens are picked."""

    temperature: Annotated[
        float | None, Parameter(help="Below 1 safer, above 1 wilder; the model's own if left out.")
    ] = None
    top_p: Annotated[float | None, Parameter(help="Keep the likeliest of this mass.")] = None
    top_k: Annotated[int | None, Parameter(help="Keep so many of the likeliest.")] = None
    min_p: Annotated[float | None, Parameter(help="Drop below this share of the best.")] = None
    set: Annotated[
        list[str] | None,
        Parameter(help="NAME=VALUE for any other control (see describe); may be repeated."),
    ] = None


@Parameter(name="*", group=_MODEL)
@dataclass(frozen=True)
class Loading:
    """What plays."""

    model: Annotated[str | None, Parameter(help="A name of 'models', or a folder.")] = None
    precision: Annotated[str | None, Parameter(help="int8 (where the model has it) or fp32.")] = (
        None
    )
    threads: Annotated[int | None, Parameter(help="Threads to decode with.")] = None


class ConfigFile(Wishes):
    """The options that a config file may hold; those of the command line come before it."""

    seed: int | None = None
    num_samples: int | None = None
    model: str | None = None
    precision: str | None = None
    threads: int | None = None
    out: list[str] | str | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    set: dict[str, Any] | None = None


@dataclass(frozen=True)
class Settings:
    """All options of one call, the config file's among them."""

    wishes: Wishes
    controls: dict[str, Any]
    seed: int | None
    num_samples: int
    model: str | None
    precision: str | None
    threads: int | None
    out: tuple[Path, ...]


def gather(
    sketch: Sketch | None,
    taste: Taste | None,
    loading: Loading | None,
    config: Path | None = None,
    out: Iterable[Path] | None = None,
    num_samples: int | None = None,
) -> Settings:
    """Return the options of the command line over those of the config file.

    Raises:
        ConfigError: for an unknown or wrong option, with its place.
        FileError: if the config file cannot be read.
    """
    values: dict[str, Any] = {}
    if config is not None:
        table = {name.replace("-", "_"): value for name, value in read_config(config).items()}
        read = validate_config(ConfigFile, table, str(config))
        values = {k: v for k, v in read.model_dump().items() if v is not None}
    given: dict[str, Any] = {"num_samples": num_samples, "out": list(out) if out else None}
    for group in (sketch, taste, loading):
        if group is not None:
            given.update({f.name: getattr(group, f.name) for f in fields(group)})
    settings = parse_settings(given.pop("set", None) or (), "--set")
    values.update({name: value for name, value in given.items() if value is not None})
    wishes = {name: values[name] for name in Wishes.model_fields if name in values}
    if isinstance(wishes.get("range"), list):
        wishes["range"] = tuple(wishes["range"])
    paths = values.get("out") or []
    picks = ("temperature", "top_p", "top_k", "min_p")
    controls: dict[str, Any] = {name: values[name] for name in picks if name in values}
    return Settings(
        wishes=validate_config(Wishes, wishes, "options"),
        controls={**values.get("set", {}), **controls, **settings},
        seed=values.get("seed"),
        num_samples=values.get("num_samples", 1),
        model=values.get("model"),
        precision=values.get("precision"),
        threads=values.get("threads"),
        out=tuple(Path(p) for p in ([paths] if isinstance(paths, str) else paths)),
    )


def parse_settings(texts: Iterable[str], where: str) -> dict[str, Any]:
    """Return ``NAME=VALUE`` texts as a table; a value is read as JSON where it is JSON.

    Raises:
        ConfigError: if one has no name or no equals sign.
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name.strip():
            raise ConfigError(where, f"{text!r} is not NAME=VALUE")
        try:
            values[name.strip()] = json.loads(value)
        except json.JSONDecodeError:
            values[name.strip()] = value
    return values

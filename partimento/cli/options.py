"""The options that several verbs share, and how a config file stands behind them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter

from partimento.config import Config, read_config, validate_config
from partimento.errors import ConfigError
from partimento.generation.editing import asked_record
from partimento.generation.options import Wishes
from partimento.recipe import RewriteRecord

__all__ = [
    "Care",
    "ConfigFile",
    "Keeping",
    "Loading",
    "RewriteFile",
    "Settings",
    "Sketch",
    "Taste",
    "gather",
    "gather_rewrite",
    "parse_settings",
]

_MUSIC = Group("What the music keeps", sort_key=1)
_TASTE = Group("How it is picked", sort_key=2)
_MODEL = Group("What plays", sort_key=3)
_SOUND = ("variation", "movement", "density", "loudness")
_PICKS = ("temperature", "top_p", "top_k", "min_p", "steps", *_SOUND)


@Parameter(name="*", group=_MUSIC)
@dataclass(frozen=True)
class Sketch:
    """What the music keeps."""

    bars: Annotated[int | None, Parameter(help="Exactly so many bars.")] = None
    seconds: Annotated[
        float | None, Parameter(help="The whole bars that cover so long; of sound exactly so long.")
    ] = None
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
    ending: Annotated[
        str | None,
        Parameter(help="authentic (the default), plagal, half, open (no cadence) or fade."),
    ] = None
    humanize: Annotated[
        float | None,
        Parameter(
            help="Dynamics and timing of a hand: 0 as written, 1 strong; new pieces have .5."
        ),
    ] = None
    loop: Annotated[
        bool | None, Parameter(help="Sound whose end leads into its beginning; where it is sound.")
    ] = None
    seed: Annotated[int | None, Parameter(help="The same seed makes the same piece.")] = None


@Parameter(name="*", group=_MUSIC)
@dataclass(frozen=True)
class Keeping:
    """What new notes in an old piece keep."""

    key: Annotated[str | None, Parameter(help="C, 'A minor', F#m, ...")] = None
    chords: Annotated[
        str | None,
        Parameter(help="One chord a bar, from the first bar that is written on; or 'recognise'."),
    ] = None
    range: Annotated[
        list[str] | None,
        Parameter(help="C3-C5 for all, Viola=C3-A5 for one; may be repeated."),
    ] = None
    polyphony: Annotated[int | None, Parameter(help="At most so many notes at once.")] = None
    seed: Annotated[int | None, Parameter(help="The same seed makes the same notes.")] = None


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
    variation: Annotated[
        float | None, Parameter(help="Of sound: how far from the usual; 0 is the most usual.")
    ] = None
    movement: Annotated[
        float | None, Parameter(help="Of sound: how much its style changes with time.")
    ] = None
    density: Annotated[float | None, Parameter(help="Of sound: notes begun a second.")] = None
    loudness: Annotated[float | None, Parameter(help="Of sound: level in decibels.")] = None
    set: Annotated[
        list[str] | None,
        Parameter(help="NAME=VALUE for any other control (see describe); may be repeated."),
    ] = None


@Parameter(name="*", group=_TASTE)
@dataclass(frozen=True)
class Care:
    """How new notes in an old piece are picked."""

    steps: Annotated[
        int | None, Parameter(help="So many rounds of filling in; more is better and slower.")
    ] = None
    temperature: Annotated[
        float | None, Parameter(help="Below 1 safer, above 1 wilder; the model's own if left out.")
    ] = None
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


class _Always(Config):
    """What a config file may hold for every verb."""

    seed: int | None = None
    num_samples: int | None = None
    model: str | None = None
    precision: str | None = None
    threads: int | None = None
    out: list[str] | str | None = None
    temperature: float | None = None
    set: dict[str, Any] | None = None


class ConfigFile(Wishes, _Always):
    """The options that a config file may hold; those of the command line come before it."""

    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    variation: float | None = None
    movement: float | None = None
    density: float | None = None
    loudness: float | None = None


class RewriteFile(_Always):
    """The options that a config file may hold for ``accompany`` and ``infill``."""

    bars: str | int | list[str] | None = None
    tracks: str | list[str] | None = None
    lock: str | list[str] | None = None
    key: str | None = None
    chords: str | None = None
    range: str | list[str] | None = None
    polyphony: int | None = None
    steps: int | None = None


@dataclass(frozen=True)
class Settings:
    """All options of one call, the config file's among them.

    ``places`` tells where in the config file the controls stand that come from there.
    """

    wishes: Wishes
    controls: dict[str, Any]
    seed: int | None
    num_samples: int
    model: str | None
    precision: str | None
    threads: int | None
    out: tuple[Path, ...]
    places: Mapping[str, str] = field(default_factory=dict)
    rewrite: RewriteRecord = field(default_factory=RewriteRecord)

    @contextmanager
    def placed(self) -> Iterator[None]:
        """Let errors of a control that comes from the config file name the file and the place.

        Which controls there are is known only where the model is.
        """
        try:
            yield
        except ConfigError as error:
            table, _, name = error.where.partition(".")
            if table != "controls" or name not in self.places:
                raise
            problem = str(error).removeprefix(f"{error.where}: ")
            raise ConfigError(self.places[name], problem) from None


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
    return _settings(ConfigFile, (sketch, taste, loading), config, out, num_samples)


def gather_rewrite(
    keeping: Keeping | None,
    care: Care | None,
    loading: Loading | None,
    asked: Mapping[str, list[str] | None],
    config: Path | None = None,
    out: Iterable[Path] | None = None,
    num_samples: int | None = None,
) -> Settings:
    """Return the options of ``accompany`` or ``infill`` over those of the config file.

    ``asked`` are bars, tracks and locks; several in one text are parted by commas, but locks.

    Raises:
        ConfigError, FileError: as ``gather``.
    """
    return _settings(RewriteFile, (keeping, care, loading), config, out, num_samples, asked)


def _settings(
    schema: type[Config],
    groups: Iterable[object],
    config: Path | None,
    out: Iterable[Path] | None,
    num_samples: int | None,
    asked: Mapping[str, list[str] | None] | None = None,
) -> Settings:
    values: dict[str, Any] = {}
    if config is not None:
        table = {name.replace("-", "_"): value for name, value in read_config(config).items()}
        read = validate_config(schema, table, str(config))
        values = {k: v for k, v in read.model_dump().items() if v is not None}
    given: dict[str, Any] = {"num_samples": num_samples, "out": list(out) if out else None}
    given.update(asked or {})
    for group in groups:
        if is_dataclass(group):
            given.update({f.name: getattr(group, f.name) for f in fields(group)})
    settings = parse_settings(given.pop("set", None) or (), "--set")
    places = _places(values, str(config))
    for name in (*settings, *(name for name, value in given.items() if value is not None)):
        places.pop(name, None)
    values.update({name: value for name, value in given.items() if value is not None})
    rewrite = RewriteRecord()
    if schema is RewriteFile:
        rewrite = _record(values.pop("bars", None), values.pop("tracks", None), values.get("lock"))
    wishes = {name: values[name] for name in Wishes.model_fields if name in values}
    if isinstance(wishes.get("range"), list):
        wishes["range"] = tuple(wishes["range"])
    paths = values.get("out") or []
    picked = {name: values[name] for name in _PICKS if name in values}
    return Settings(
        wishes=validate_config(Wishes, wishes, "options"),
        controls={**values.get("set", {}), **picked, **settings},
        seed=values.get("seed"),
        num_samples=values.get("num_samples", 1),
        model=values.get("model"),
        precision=values.get("precision"),
        threads=values.get("threads"),
        out=tuple(Path(p) for p in ([paths] if isinstance(paths, str) else paths)),
        places=places,
        rewrite=rewrite,
    )


def _record(
    bars: str | int | list[str] | None,
    tracks: str | list[str] | None,
    lock: str | list[str] | None,
) -> RewriteRecord:
    """Return what is to be written anew; bars and tracks may be parted by commas."""
    spans = ",".join(bars) if isinstance(bars, list) else bars
    names = ",".join(tracks) if isinstance(tracks, list) else tracks
    return asked_record(None if spans is None else str(spans), names, lock or ())


def _places(values: Mapping[str, Any], config: str) -> dict[str, str]:
    """Return where in the config file each control of its values stands."""
    in_set = {name: f"{config}.set.{name}" for name in values.get("set", {})}
    return in_set | {name: f"{config}.{name}" for name in _PICKS if name in values}


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

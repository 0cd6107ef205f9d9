"""The options that several verbs share, from the command line and from a config file."""

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
from partimento.generation.options import MusicalOptions
from partimento.messages import shown
from partimento.recipe import RewriteRecord

__all__ = [
    "Care",
    "CommandOptions",
    "ConfigFile",
    "ConfigPath",
    "Force",
    "Keeping",
    "Loading",
    "Out",
    "Play",
    "RewriteFile",
    "Samples",
    "Sketch",
    "Taste",
    "gather",
    "gather_rewrite",
    "parse_settings",
]

_MUSIC = Group("Music", sort_key=1)
_TASTE = Group("Sampling", sort_key=2)
_MODEL = Group("Model", sort_key=3)
_SOUND = ("variation", "movement", "density", "loudness", "text")
_PICKS = ("temperature", "top_p", "top_k", "min_p", "steps", *_SOUND)


Out = Annotated[
    list[Path] | None,
    Parameter(
        name=["--out", "-o"],
        help="File to write: .mid .musicxml .mxl .wav .flac .ogg .mp3 .png .svg; repeatable.",
    ),
]
Force = Annotated[bool, Parameter(help="Replace output files that exist.")]
Play = Annotated[bool, Parameter(help="Play the result through the loudspeakers as well.")]
Samples = Annotated[
    int | None, Parameter(help="Number of pieces, with the seeds SEED, SEED+1 and so on.")
]
ConfigPath = Annotated[
    Path | None, Parameter(name="--config", help="A .toml or .json table of these options.")
]

CodesOut = Annotated[
    Path | None,
    Parameter(
        name="--codes", help="Write the model's own codes too (.npz); 'continue' goes on from them."
    ),
]


@Parameter(name="*", group=_MUSIC)
@dataclass(frozen=True)
class Sketch:
    """Properties of the music."""

    bars: Annotated[int | None, Parameter(help="Exact number of bars, 1 to 4096.")] = None
    seconds: Annotated[
        float | None, Parameter(help="Length: the whole bars that cover it; for sound, exact.")
    ] = None
    tempo: Annotated[float | None, Parameter(help="Quarter notes per minute, 4 to 1000.")] = None
    key: Annotated[str | None, Parameter(help="C, 'A minor', F#m, ...")] = None
    time_signature: Annotated[str | None, Parameter(help="4/4, 3/4, 6/8, ...")] = None
    chords: Annotated[str | None, Parameter(help="One chord per bar: 'Am F C G'.")] = None
    range: Annotated[
        list[str] | None,
        Parameter(help="C3-C5 for all tracks, Soprano=C4-A5 for one; repeatable."),
    ] = None
    polyphony: Annotated[
        int | None, Parameter(help="Maximum number of notes that sound at once.")
    ] = None
    max_silence: Annotated[
        float | None, Parameter(help="Longest rest of all tracks together, in quarter notes.")
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
        bool | None, Parameter(help="Make a loop without a seam; for models that make sound.")
    ] = None
    seed: Annotated[int | None, Parameter(help="The same seed gives the same piece.")] = None


@Parameter(name="*", group=_MUSIC)
@dataclass(frozen=True)
class Keeping:
    """Properties of new notes in an existing piece."""

    key: Annotated[str | None, Parameter(help="C, 'A minor', F#m, ...")] = None
    chords: Annotated[
        str | None,
        Parameter(help="One chord per bar from the first edited bar on; or 'recognise'."),
    ] = None
    range: Annotated[
        list[str] | None,
        Parameter(help="C3-C5 for all tracks, Viola=C3-A5 for one; repeatable."),
    ] = None
    polyphony: Annotated[
        int | None, Parameter(help="Maximum number of notes that sound at once.")
    ] = None
    seed: Annotated[int | None, Parameter(help="The same seed gives the same notes.")] = None


@Parameter(name="*", group=_TASTE)
@dataclass(frozen=True)
class Taste:
    """Sampling and the controls of models that make sound."""

    temperature: Annotated[
        float | None, Parameter(help="Below 1 safer, above 1 more varied; default: the model's.")
    ] = None
    top_p: Annotated[
        float | None, Parameter(help="Nucleus sampling: keep this probability mass.")
    ] = None
    top_k: Annotated[int | None, Parameter(help="Keep the k likeliest tokens.")] = None
    min_p: Annotated[
        float | None, Parameter(help="Drop tokens below this share of the likeliest.")
    ] = None
    variation: Annotated[
        float | None, Parameter(help="Sound: latent scale; 0 = mean, 1 = training distribution.")
    ] = None
    movement: Annotated[
        float | None, Parameter(help="Sound: how much its style changes over time, 0 to 1.")
    ] = None
    density: Annotated[float | None, Parameter(help="Sound: note onsets per second.")] = None
    loudness: Annotated[float | None, Parameter(help="Sound: level in dBFS, -60 to 0.")] = None
    text: Annotated[
        str | None, Parameter(help="Sound: what is to be heard, e.g. 'slow dark strings'.")
    ] = None
    set: Annotated[
        list[str] | None,
        Parameter(help="NAME=VALUE for any other control (see describe); repeatable."),
    ] = None


@Parameter(name="*", group=_TASTE)
@dataclass(frozen=True)
class Care:
    """Sampling of new notes in an existing piece."""

    steps: Annotated[
        int | None, Parameter(help="Number of sampling steps; more is better and slower.")
    ] = None
    temperature: Annotated[
        float | None, Parameter(help="Below 1 safer, above 1 more varied; default: the model's.")
    ] = None
    set: Annotated[
        list[str] | None,
        Parameter(help="NAME=VALUE for any other control (see describe); repeatable."),
    ] = None


@Parameter(name="*", group=_MODEL)
@dataclass(frozen=True)
class Loading:
    """The model and how it is run."""

    model: Annotated[
        str | None, Parameter(help="A name that 'partimento models' lists, or a model folder.")
    ] = None
    precision: Annotated[
        str | None, Parameter(help="int8 (default where the model has it) or fp32.")
    ] = None
    threads: Annotated[int | None, Parameter(help="Number of threads.")] = None


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


class ConfigFile(MusicalOptions, _Always):
    """The options that a config file may hold; those of the command line override it."""

    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    variation: float | None = None
    movement: float | None = None
    density: float | None = None
    loudness: float | None = None
    text: str | None = None


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
class CommandOptions:
    """All options of one call, including those of the config file.

    ``places`` gives the place in the config file of each control that comes from there.
    """

    wishes: MusicalOptions
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
        """Make errors of a control that comes from the config file name the file and the place.

        Which controls exist is known only once the model is loaded.
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
) -> CommandOptions:
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
) -> CommandOptions:
    """Return the options of ``accompany`` or ``infill`` over those of the config file.

    ``asked`` are bars, tracks and locks; a text may hold several bars or tracks, between commas.

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
) -> CommandOptions:
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
    wishes = {name: values[name] for name in MusicalOptions.model_fields if name in values}
    if isinstance(wishes.get("range"), list):
        wishes["range"] = tuple(wishes["range"])
    paths = values.get("out") or []
    picked = {name: values[name] for name in _PICKS if name in values}
    return CommandOptions(
        wishes=validate_config(MusicalOptions, wishes, "options"),
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
    """Return what is to be regenerated; bars and tracks may be separated by commas."""
    spans = ",".join(bars) if isinstance(bars, list) else bars
    names = ",".join(tracks) if isinstance(tracks, list) else tracks
    return asked_record(None if spans is None else str(spans), names, lock or ())


def _places(values: Mapping[str, Any], config: str) -> dict[str, str]:
    """Return the place in the config file of each control among its values."""
    in_set = {name: f"{config}.set.{name}" for name in values.get("set", {})}
    return in_set | {name: f"{config}.{name}" for name in _PICKS if name in values}


def parse_settings(texts: Iterable[str], where: str) -> dict[str, Any]:
    """Return ``NAME=VALUE`` texts as a table; a value that is JSON is read as JSON.

    Raises:
        ConfigError: if one has no name or no equals sign.
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name.strip():
            raise ConfigError(where, f"{shown(text)} is not NAME=VALUE")
        try:
            values[name.strip()] = json.loads(value)
        except (ValueError, RecursionError):  # text, or a number of thousands of digits
            values[name.strip()] = value
    return values

"""Finds systems and models by name, and imports a system only when it is asked for."""

from __future__ import annotations

import difflib
import importlib
import json
import os
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from partimento import systems as systems_package
from partimento.errors import ModelError, NotSupported
from partimento.music import Audio, Piece, Score, Track
from partimento.runtime.contract import Card, Kind, Task
from partimento.runtime.model_folder import ModelFolder

__all__ = [
    "MODELS_VARIABLE",
    "ControlInfo",
    "Description",
    "ModelInfo",
    "able_models",
    "default_model",
    "describe",
    "find_card",
    "fits_chorales",
    "models",
    "open_model",
    "resolve_model",
    "systems",
    "user_models_folder",
]

MODELS_VARIABLE = "PARTIMENTO_MODELS"
SHIPPED = Path(__file__).parent / "models"
_CHORALES, _PIANO = "music-transformer-chorales", "music-transformer-piano"
_FOUR_VOICES = "getmusic-four-voices"
PREFERENCE = (_CHORALES, _PIANO, _FOUR_VOICES)  # the one that sounds best comes first


@dataclass(frozen=True)
class ModelInfo:
    """What a list of models shows of one, read without loading it."""

    name: str
    system: str
    path: Path
    size_bytes: int
    licence: str
    is_shipped: bool
    is_default: bool


@dataclass(frozen=True)
class ControlInfo:
    """One control of a system: its type, default, bounds and meaning in words."""

    name: str
    kind: str
    default: str
    bounds: str
    meaning: str


@dataclass(frozen=True)
class Description:
    """What there is to know of a system or of a model; ``text`` is the model's card."""

    name: str
    is_model: bool
    system: str
    summary: str
    paper: str
    url: str
    tasks: tuple[str, ...]
    controls: tuple[ControlInfo, ...]
    presets: tuple[str, ...]
    facts: Mapping[str, str]
    text: str
    makes: Kind = "score"
    schema: Mapping[str, Any] = field(default_factory=dict)  # of the controls, as JSON Schema
    defaults: Mapping[str, Any] = field(default_factory=dict)  # of the model


def systems() -> tuple[str, ...]:
    """Return the names of all systems, sorted; imports none of them."""
    found = pkgutil.iter_modules(systems_package.__path__)
    return tuple(sorted(m.name for m in found if m.ispkg and not m.name.startswith("_")))


def find_card(name: str) -> Card:
    """Return the card of a system; ``music-transformer`` finds ``music_transformer``.

    Raises:
        NotSupported: if there is no such system; names those that exist and the nearest.
    """
    wanted = name.strip().replace("-", "_").lower()
    if wanted not in systems():
        raise NotSupported(f"no system is called {name!r}{_nearest(wanted, systems())}")
    card = importlib.import_module(f"{systems_package.__name__}.{wanted}").CARD
    if not isinstance(card, Card):
        raise NotSupported(f"system {wanted} has no card")
    return card


def describe(name: str | Path) -> Description:
    """Return what there is to know of a system or of a model, by name or path.

    Raises:
        NotSupported, ModelError: if there is neither; names what there is.
    """
    wanted = str(name).strip().replace("-", "_").lower()
    if wanted in systems():
        return _description(find_card(wanted), None)
    known = [info.name for info in models()]
    if str(name) not in known and not Path(name).is_dir():
        everything = [*systems(), *known]
        raise NotSupported(
            f"no system or model is called {str(name)!r}{_nearest(str(name), everything)}"
        )
    folder = open_model(name, verify=False)
    return _description(find_card(folder.system), folder)


def user_models_folder() -> Path:
    """Return the folder of this user's own models; it need not exist."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "partimento" / "models"


def models() -> tuple[ModelInfo, ...]:
    """Return every model that can be opened by name, the shipped ones first."""
    infos: dict[str, ModelInfo] = {}
    for root in _roots():
        for folder in _folders(root):
            info = _info(folder, root == SHIPPED)
            if info is not None:
                infos.setdefault(info.name, info)
    default = next((name for name in PREFERENCE if name in infos), next(iter(infos), None))
    return tuple(
        ModelInfo(i.name, i.system, i.path, i.size_bytes, i.licence, i.is_shipped, True)
        if i.name == default
        else i
        for i in infos.values()
    )


def resolve_model(name_or_path: str | Path) -> Path:
    """Return the folder of a model given by its name or by its path.

    Raises:
        ModelError: if there is none; names those that exist and the nearest.
    """
    text = str(name_or_path)
    infos = {info.name: info.path for info in models()}
    if text in infos:
        return infos[text]
    path = Path(text).expanduser()
    if (path / "config.json").is_file():
        return path
    if path.is_dir():
        raise ModelError(f"{text}: is no model folder (it has no config.json); train or export one")
    if isinstance(name_or_path, Path) or os.sep in text:
        raise ModelError(f"{text}: no such model folder; see 'partimento models'")
    raise ModelError(f"no model is called {text!r}{_nearest(text, infos)}")


def open_model(name_or_path: str | Path, verify: bool = True) -> ModelFolder:
    """Return the model folder of a name or a path, its files checked against their hashes.

    Raises:
        ModelError: if it is missing, incomplete or altered.
    """
    return ModelFolder.open(resolve_model(name_or_path), verify=verify)


def default_model(task: Task = Task.GENERATE, prompt: Piece | None = None) -> str:
    """Return the name of the model to use where none is named.

    For CONTINUE the prompt decides: up to four melodic lines go to the chorales, all other notes to
    the piano, and sound to the first model that goes on from sound. Tasks that not every model
    serves, such as INFILL, go to the first model that does. Otherwise it is the first of a constant
    list that is there.

    Raises:
        ModelError: if no model is installed at all.
        NotSupported: if none that is installed can infill, accompany, or go on from sound; names
            those that there are.
    """
    infos = models()
    names = [info.name for info in infos]
    if not names:
        raise ModelError(
            "no model is installed; train one (partimento train music_transformer FOLDER -o "
            f"my-model) and name it with --model, or set {MODELS_VARIABLE}"
        )
    if isinstance(prompt, Audio):
        able = (info.name for info in infos if _serves(info.system, task, "audio"))
        found = next(able, None)
        if found is None:
            raise NotSupported(
                f"no installed model goes on from sound (there are: {', '.join(names)}); name one "
                "that does with --model"
            )
        return found
    if task is Task.CONTINUE and prompt is not None:
        fitting = _CHORALES if fits_chorales(prompt) else _PIANO
        if fitting in names:
            return fitting
    default = next(info.name for info in infos if info.is_default)
    if task not in (Task.GENERATE, Task.CONTINUE, Task.HUMANIZE):
        preferred = [name for name in (_FOUR_VOICES, default) if name in names]
        ordered = dict.fromkeys((*preferred, *names))
        systems_of = {info.name: info.system for info in infos}
        able = (name for name in ordered if _serves(systems_of[name], task))
        found = next(able, None)
        if found is None:
            raise NotSupported(
                f"no installed model can {task} (there are: {', '.join(names)}); name one that can "
                "with --model"
            )
        return found
    return default


def able_models(task: Task) -> tuple[str, ...]:
    """Return the names of the models whose system serves a task."""
    return tuple(info.name for info in models() if _serves(info.system, task))


def _serves(system: str, task: Task, kind: Kind | None = None) -> bool:
    try:
        card = find_card(system)
        return task in card.tasks and kind in (None, card.makes)
    except NotSupported:  # a model of a system that is not of this version
        return False


def fits_chorales(prompt: Score) -> bool:
    """Return whether a score is at most four pitched tracks of one voice each."""
    tracks = [track for track in prompt.tracks if track.notes and not track.is_drum]
    return len(tracks) <= 4 and all(_is_one_voice(t, prompt.ticks_per_quarter) for t in tracks)


def _is_one_voice(track: Track, ticks_per_quarter: int) -> bool:
    slack = ticks_per_quarter // 8  # played legato overlaps a little
    pairs = zip(track.notes, track.notes[1:], strict=False)
    return all(a.end_ticks - b.onset_ticks <= slack for a, b in pairs)


def _description(card: Card, folder: ModelFolder | None) -> Description:
    paper = card.paper
    facts: dict[str, str] = {}
    if folder is not None:
        shown = ("domain", "parameters", "defaults", "trained")
        facts = {key: _plain(folder.config[key]) for key in shown if key in folder.config}
        facts["folder"], facts["hash"] = str(folder.path), folder.hash
    return Description(
        name=card.name if folder is None else folder.name,
        is_model=folder is not None,
        system=card.name,
        summary=card.summary,
        paper=f"{paper.authors} ({paper.year}): {paper.title}",
        url=paper.url,
        tasks=tuple(sorted(str(task) for task in card.tasks)),
        controls=tuple(_controls(card)),
        presets=tuple(card.presets),
        facts=facts,
        text="" if folder is None else folder.card(),
        makes=card.makes,
        schema=card.controls.model_json_schema(),
        defaults={} if folder is None else folder.config.get("defaults", {}),
    )


def _controls(card: Card) -> Iterator[ControlInfo]:
    properties = card.controls.model_json_schema()["properties"]
    signs = {
        "minimum": ">=",
        "exclusiveMinimum": ">",
        "maximum": "<=",
        "exclusiveMaximum": "<",
        "enum": "one of",
    }
    for name, whole in properties.items():
        # What may be left out is a choice of a value and null.
        values = [each for each in whole.get("anyOf", ()) if each.get("type") != "null"]
        schema = {**whole, **values[0]} if len(values) == 1 else whole
        bounds = ", ".join(f"{sign} {schema[key]}" for key, sign in signs.items() if key in schema)
        kind, default = str(schema.get("type", "")), str(schema.get("default", "required"))
        default = "" if values and whole.get("default") is None else default
        yield ControlInfo(name, kind, default, bounds, str(schema.get("description", "")))


def _plain(value: object) -> str:
    if isinstance(value, dict):
        entries = (f"({_plain(e)})" if isinstance(e, dict) else str(e) for e in value.values())
        return ", ".join(f"{key} {entry}" for key, entry in zip(value, entries, strict=True))
    return f"{value:,}" if isinstance(value, int) else str(value)


def _roots() -> list[Path]:
    named = os.environ.get(MODELS_VARIABLE, "")
    from_variable = (Path(p).expanduser() for p in named.split(os.pathsep) if p)
    return [SHIPPED, *from_variable, user_models_folder()]


def _folders(root: Path) -> list[Path]:
    if (root / "config.json").is_file():
        return [root]
    try:
        return sorted(child for child in root.iterdir() if (child / "config.json").is_file())
    except OSError:
        return []


def _info(folder: Path, is_shipped: bool) -> ModelInfo | None:
    """Return what a folder says of itself, or None where its config cannot be read."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        name, system = str(config.get("name") or folder.name), str(config["system"])
        found = [folder / file for file in config.get("files", ()) if (folder / file).is_file()]
        size = sum(file.stat().st_size for file in found)
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    return ModelInfo(name, system, folder, size, _licence(folder), is_shipped, False)


def _licence(folder: Path) -> str:
    """Return the licence in the YAML header of the card, "" where it names none."""
    try:
        lines = (folder / "card.md").read_text(encoding="utf-8").splitlines()[:40]
    except (OSError, UnicodeDecodeError):
        return ""
    for line in lines:
        key, separator, value = line.partition(":")
        if separator and key.strip().lower() in ("license", "licence"):
            return value.strip().strip("\"'")
    return ""


def _nearest(wanted: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(wanted, names, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{hint} (there are: {', '.join(names) or 'none'})"

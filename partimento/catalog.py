"""Finds systems and models by name, and imports a system only when it is asked for."""

from __future__ import annotations

import difflib
import importlib
import os
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from partimento import systems as systems_package
from partimento.errors import ModelError, NotSupported
from partimento.messages import listed, shown
from partimento.music import Audio, Piece, Score, Track
from partimento.runtime.contract import Card, Kind, Task
from partimento.runtime.model_folder import ModelFolder
from partimento.runtime.run_folder import is_unfinished, unfinished

__all__ = [
    "MODELS_VARIABLE",
    "ControlInfo",
    "Description",
    "ModelInfo",
    "SkippedModel",
    "check_task",
    "default_model",
    "describe",
    "find_card",
    "fits_chorales",
    "models",
    "models_that",
    "open_model",
    "resolve_model",
    "skipped_models",
    "systems",
    "unfinished_runs",
    "user_models_folder",
]

MODELS_VARIABLE = "PARTIMENTO_MODELS"
SHIPPED = Path(__file__).parent / "models"
_CHORALES, _PIANO = "music-transformer-chorales", "music-transformer-piano"
_FOUR_VOICES = "getmusic-four-voices"
_SOUND = "musika-chorales"  # what goes on from sound where none is named
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
class SkippedModel:
    """A model folder that cannot be read, and what is wrong with it."""

    path: Path
    problem: str


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
        raise NotSupported(f"no system is called {shown(name)}{_nearest(wanted, systems())}")
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
    skipped = [each.path.name for each in skipped_models()]
    if str(name) not in (*known, *skipped) and not os.path.isdir(name):
        everything = [*systems(), *known]
        raise NotSupported(
            f"no system or model is called {shown(str(name))}{_nearest(str(name), everything)}"
        )
    folder = open_model(name, verify=False)
    return _description(find_card(folder.system), folder)


def user_models_folder() -> Path:
    """Return the folder of this user's own models; it need not exist."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "partimento" / "models"


def models() -> tuple[ModelInfo, ...]:
    """Return every model that can be opened by name, the shipped ones first.

    A folder that holds no model is left out; `skipped_models` says why.
    """
    infos: dict[str, ModelInfo] = {}
    for found in _found():
        if isinstance(found, ModelInfo):
            infos.setdefault(found.name, found)
    default = next((name for name in PREFERENCE if name in infos), next(iter(infos), None))
    return tuple(
        ModelInfo(i.name, i.system, i.path, i.size_bytes, i.licence, i.is_shipped, True)
        if i.name == default
        else i
        for i in infos.values()
    )


def skipped_models() -> tuple[SkippedModel, ...]:
    """Return the model folders that are left out because something in them is wrong."""
    return tuple(found for found in _found() if isinstance(found, SkippedModel))


def unfinished_runs() -> tuple[tuple[Path, str], ...]:
    """Return the training runs without a model where models are looked for: (folder, state)."""
    found = []
    for root in _roots()[1:]:  # none ships
        try:
            folders = [root, *sorted(root.iterdir())]
        except OSError:
            continue
        found += [(folder, unfinished(folder)) for folder in folders if is_unfinished(folder)]
    return tuple(dict.fromkeys(found))


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
    if os.path.isfile(path / "config.json"):  # False for names that no file can have
        return path
    if is_unfinished(path):
        raise ModelError(f"{text} is {unfinished(path)}")
    if os.path.isdir(path):
        raise ModelError(f"{text}: is no model folder (it has no config.json); train or export one")
    if isinstance(name_or_path, Path) or os.sep in text:
        raise ModelError(f"{text}: no such model folder; see 'partimento models'")
    for skipped in skipped_models():
        if skipped.path.name == text:
            raise ModelError(skipped.problem)
    raise ModelError(f"no model is called {shown(text)}{_nearest(text, infos)}")


def open_model(name_or_path: str | Path, verify: bool = True) -> ModelFolder:
    """Return the model folder of a name or a path, its files checked against their hashes.

    Raises:
        ModelError: if it is missing, incomplete or altered.
    """
    return ModelFolder.open(resolve_model(name_or_path), verify=verify)


def models_that(task: Task, kind: Kind | None = None) -> tuple[str, ...]:
    """Return the names of the models that serve a task, of a kind or of any."""
    return tuple(info.name for info in models() if _serves(info.system, task, kind))


def check_task(card: Card, task: Task) -> None:
    """Raise NotSupported unless a system serves ``task``; names the models that do."""
    try:
        card.check_task(task)
    except NotSupported as error:
        able = models_that(task)
        hint = f"models that can: {listed(able)}" if able else "no installed model can"
        raise NotSupported(f"{error}; {hint}") from None


def default_model(task: Task = Task.GENERATE, prompt: Piece | None = None) -> str:
    """Return the name of the model to use where none is named.

    For CONTINUE the prompt decides: up to four melodic lines go to the chorales, all other notes to
    the piano, and sound to Musika, or else the first model that continues sound. INFILL, ACCOMPANY
    and other tasks go to the first model that serves them. GENERATE goes to the first of a constant
    list.

    Raises:
        ModelError: if no model is installed at all.
        NotSupported: if none that is installed serves the task.
    """
    infos = models()
    names = [info.name for info in infos]
    if not names:
        raise ModelError(
            "no model is installed; train one (partimento train music_transformer FOLDER -o "
            f"my-model) and name it with --model, or set {MODELS_VARIABLE}"
        )
    if isinstance(prompt, Audio):
        able = models_that(task, "audio")
        if not able:
            raise NotSupported(
                f"no installed model can {task} sound (there are: {listed(names)}); name one that "
                "can with --model"
            )
        return _SOUND if _SOUND in able else able[0]
    if task is Task.CONTINUE and prompt is not None:
        fitting = _CHORALES if fits_chorales(prompt) else _PIANO
        if fitting in names:
            return fitting
    usual = next(info for info in infos if info.is_default)
    default = usual.name
    if task not in (Task.GENERATE, Task.CONTINUE):
        able = models_that(task, None if prompt is None or task is Task.RENDER else "score")
        preferred = [name for name in (_FOUR_VOICES, default) if name in able]
        found = next(iter((*preferred, *able)), None)
        if found is None:
            raise NotSupported(
                f"no installed model can {task} (there are: {listed(names)}); name one that can "
                "with --model"
            )
        return found
    if _serves(usual.system, task, None):  # no other system is imported to find that out
        return default
    return next(iter(models_that(task)), default)


def _serves(system: str, task: Task, kind: Kind | None) -> bool:
    try:
        card = find_card(system)
        return task in card.tasks and kind in (None, card.makes)
    except NotSupported:  # a model of a system that is not in this version
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


def _found() -> Iterator[ModelInfo | SkippedModel]:
    """Yield what each model folder says of itself, or why it is none; no graph is read."""
    for root in _roots():
        for path in _folders(root):
            try:
                folder = ModelFolder.open(path, verify=False)
                size, licence = folder.size_bytes, _licence(folder.card())
            except (ModelError, OSError) as error:
                yield SkippedModel(path, str(error))
                continue
            yield ModelInfo(
                folder.name, folder.system, path, size, licence, root == SHIPPED, is_default=False
            )


def _licence(card: str) -> str:
    """Return the licence in the YAML header of a card, "" where it names none."""
    for line in card.splitlines()[:40]:
        key, separator, value = line.partition(":")
        if separator and key.strip().lower() in ("license", "licence"):
            return value.strip().strip("\"'")
    return ""


def _nearest(wanted: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(wanted, names, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{hint} (there are: {listed(names)})"

"""Training runs: what one is begun with, what its folder remembers to go on, and the training.

It needs little of the package, so that ``partimento train`` says within a second what it does.

``OUT/training/preset.json`` holds system and preset in full, written by the training loop;
``OUT/training/run.json`` the name of the preset, the data, the seed and the threads.
"""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from partimento import catalog, files
from partimento.config import Config, read_config, validate_config
from partimento.errors import ConfigError, FileError, MissingExtra, PartimentoError, TrainingError
from partimento.runtime.contract import Card
from partimento.runtime.presets import TokenPreset, current_name
from partimento.runtime.run_folder import CHECKPOINT
from partimento.runtime.threads import check_threads
from partimento.training.loop.progress import Progress

__all__ = [
    "Run",
    "begun",
    "is_begun",
    "load_training",
    "new_folder",
    "open_data",
    "preset_of",
    "remember",
    "resumed",
    "train",
]

_PRESET, _RECORD = Path("training", "preset.json"), Path("training", "run.json")
_DEFAULT_PRESET = "default"


@dataclass(frozen=True)
class Run:
    """What a run is begun with; ``values`` is the preset in full of one that goes on.

    Raises:
        MusicError: if ``threads`` is not in 1..1024.
        ConfigError: if the seed is negative.
    """

    system: str
    data: tuple[str | Path, ...]
    preset: str = _DEFAULT_PRESET
    seed: int = 0
    threads: int | None = None
    values: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        check_threads(self.threads)
        if self.seed < 0:
            raise ConfigError("seed", f"a seed is 0 or more, not {self.seed}")


class _Record(Config):
    """``run.json``; data are absolute paths, or names of known corpora."""

    preset: str
    data: tuple[str, ...]
    seed: int
    threads: int | None


def is_begun(out: Path) -> bool:
    """Return whether a folder holds a run with a checkpoint to continue from."""
    return (out / CHECKPOINT).is_file()


def begun(
    out: Path,
    system: str | None,
    data: Sequence[str | Path],
    preset: str | None = None,
    seed: int | None = None,
    threads: int | None = None,
) -> Run:
    """Return a new run of these, what is None by default.

    Raises:
        TrainingError: if the folder holds a run already.
        ConfigError: if no system is named.
    """
    if is_begun(out):
        raise TrainingError(f"{out} holds a run already; use --resume to go on, or another -o")
    if system is None:
        raise ConfigError("system", "name the system to train; only a resumed run does without")
    return Run(system, tuple(data), preset or _DEFAULT_PRESET, seed or 0, threads)


def resumed(
    out: Path,
    system: str | None,
    data: Sequence[str | Path],
    preset: str | None = None,
    seed: int | None = None,
    threads: int | None = None,
) -> Run:
    """Return the run that a folder remembers, what is given here laid over what it remembers.

    Data may be given again, and must be where the run's data have moved; another preset is left
    to the training loop, which names what differs.

    Raises:
        TrainingError: if there is no run, or it was begun with another system or other data, or
            it does not remember what is left out here.
    """
    if not is_begun(out):
        raise TrainingError(f"{out} holds no run to resume; start without --resume")
    known = _remembered(out / _PRESET)
    began = known.get("system", system)
    if began is None or (system is None and "preset" not in known):
        raise _forgotten(out, "its system and options", system)
    if system not in (None, began):
        raise TrainingError(
            f"{out} was begun with {began} (not {system}); resume it with that, or name another -o"
        )
    values = _remembered(out / _RECORD)
    record = validate_config(_Record, values, str(out / _RECORD)) if values else None
    if record is None and not data:
        raise _forgotten(out, "its data and seed", began)
    if record is not None and data:
        _check_data(out, record.data, tuple(map(_lasting, data)))
    is_same = preset is None or (record is not None and preset == record.preset)
    return Run(
        began,
        tuple(data) or (record.data if record else ()),
        preset or (record.preset if record else _DEFAULT_PRESET),
        seed if seed is not None else record.seed if record else 0,
        threads if threads is not None else record.threads if record else None,
        known.get("preset") if is_same else None,
    )


def _remembered(path: Path) -> dict[str, Any]:
    """Return what a file of a run's folder holds; nothing where it is not there."""
    return read_config(path) if path.is_file() else {}


def _forgotten(out: Path, what: str, system: str | None) -> TrainingError:
    return TrainingError(
        f"{out} does not remember {what}; give all that it was begun with: "
        f"partimento train {system or 'SYSTEM'} DATA --resume -o {out}, with its --preset and "
        "--seed if it had any"
    )


def _check_data(out: Path, before: tuple[str, ...], now: tuple[str, ...]) -> None:
    """Refuse other data than the run was begun with, where these are still in their place."""
    is_there = all(_is_named(place) or Path(place).exists() for place in before)
    if now != before and is_there:
        raise TrainingError(
            f"{out} was begun with the data {', '.join(before)} (not {', '.join(now)}); leave them "
            "out to resume it, or begin another run from its weights with --start-from"
        )


def _lasting(spec: str | Path) -> str:
    """Return data as they are found from any folder."""
    return str(spec) if _is_named(spec) else str(Path(spec).absolute())


def _is_named(spec: str | Path) -> bool:
    """Return whether data are a known corpus, with or without options."""
    if not isinstance(spec, str):
        return False
    name, separator, _ = spec.rpartition(":")
    has_options = bool(separator) and not Path(spec).exists()
    return (name if has_options else spec) in files.corpus_names()


@contextmanager
def new_folder(out: Path, keeps_data: bool) -> Iterator[None]:
    """Make the folder of a run; a run that ends before its first checkpoint leaves none behind.

    After Ctrl-C encoded data are kept where ``keeps_data``: those of sound take hours.

    Raises:
        FileError: if it cannot be made.
    """
    training = out / CHECKPOINT.parent
    was_there, had_training = out.exists(), training.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(out, f"cannot be made ({error.strerror})", "choose another -o") from None
    try:
        yield
    except (PartimentoError, KeyboardInterrupt) as error:
        is_kept = had_training or (keeps_data and isinstance(error, KeyboardInterrupt))
        if not is_begun(out) and not is_kept:
            shutil.rmtree(training, ignore_errors=True)
            if not was_there:
                with suppress(OSError):  # something else was put there
                    out.rmdir()
        raise


def load_training(card: Card, preset: Config) -> tuple[Any, Any]:
    """Return the module that trains and the training task of a preset.

    Raises:
        MissingExtra: without torch and what else trains.
    """
    try:
        loop = import_module("partimento.training.loop.run")
        training = import_module(f"partimento.systems.{card.name}.training")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("partimento"):
            raise
        raise MissingExtra("training", "train") from None
    return loop, training.training_task(preset)


def remember(out: Path, run: Run) -> None:
    """Write down what a new run is begun with.

    Raises:
        FileError: if it cannot be written.
    """
    path = out / _RECORD
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(out, f"cannot be made ({error.strerror})", "choose another -o") from None
    record = _Record(
        preset=run.preset,
        data=tuple(map(_lasting, run.data)),
        seed=run.seed,
        threads=run.threads,
    )
    with files.atomic_path(path) as temporary:
        text = json.dumps(record.model_dump(mode="json"), indent=1)
        temporary.write_text(text + "\n", encoding="utf-8")


def open_data(spec: str | Path, data_dir: Path | None = None) -> files.Corpus:
    """Return the corpus of ``NAME``, ``FOLDER`` or ``NAME:option,option=value``.

    ``data_dir`` is where the data pack is; else PARTIMENTO_DATA.

    Raises:
        FileError: if there is no such corpus or folder.
        ConfigError: for an unknown option.
    """
    name, separator, options = str(spec).rpartition(":")
    if not separator or not _is_named(spec):
        return files.open_corpus(spec, data_dir)
    given: dict[str, Any] = {}
    for option in options.split(","):
        key, _, value = option.partition("=")
        known = {
            "pd_world": bool, "one_edition": bool, "part": str, "fetched": str, "tier": str,
        }  # fmt: skip
        if key not in known:
            raise ConfigError(f"data.{name}.{key}", f"unknown option; known: {', '.join(known)}")
        given[key] = value if known[key] is str else True
    return files.open_corpus(name, data_dir, **given)


def preset_of(
    card: Card,
    run: Run,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    is_started: bool = False,
) -> Config:
    """Return the preset of a run with the file's options, then the given ones, laid over it.

    Sizes are not fitted where one of them is given, or the weights are (``is_started``).

    Raises:
        ConfigError: for an unknown preset or option, with its path.
    """
    if run.values is not None:  # as it was begun, whatever presets the card has now
        base = card.presets.get(run.preset) or next(iter(card.presets.values()))
        values = copy.deepcopy(dict(run.values))
    elif run.preset in card.presets:
        base = card.presets[run.preset]
        values = base.model_dump()
    else:
        raise ConfigError(
            "preset", f"{card.name} has none called {run.preset!r}, but {[*card.presets]}"
        )
    if config is not None:
        _lay_over(values, read_config(config))
    for dotted, value in (overrides or {}).items():
        *parents, last = dotted.split(".")
        table: dict[str, Any] = {last: value}
        for parent in reversed(parents):
            table = {parent: table}
        _lay_over(values, table)
    if minutes is not None or steps is not None:
        if minutes is not None and steps is not None:
            raise ConfigError("minutes", "give minutes or steps, not both")
        _lay_over(values, {"training": {"minutes": minutes, "steps": steps}})
    preset = validate_config(type(base), values, "preset" if config is None else str(config))
    if isinstance(preset, TokenPreset) and (is_started or _sizes(preset) != _sizes(base)):
        preset = preset.model_copy(update={"fit": False})
    return preset


def _sizes(preset: Any) -> tuple[Any, ...]:
    """Return what fitting would change, and the steps, which leave nothing to fit to."""
    names = ("batch_size", "length", "learning_rate", "warmup_steps", "validate_every", "steps")
    return preset.network, *(getattr(preset.training, name) for name in names)


def _lay_over(values: dict[str, Any], table: Mapping[str, Any]) -> None:
    for name, value in table.items():
        key = current_name(name)
        inner = values.get(key)
        if isinstance(inner, dict) and isinstance(value, Mapping):
            _lay_over(inner, value)
        else:
            values[key] = value


def train(
    system: str | None,
    data: Sequence[str | Path],
    out: str | Path,
    *,
    preset: str | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    resume: bool = False,
    start_from: str | Path | None = None,
    seed: int | None = None,
    threads: int | None = None,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Path:
    """Train a system on music and return the folder, which is then a model folder.

    Args:
        system: a name of ``systems``; None with ``resume``.
        data: folders or zips of music, or names of known corpora, these with options if need be
            (``openscore_lieder:part=piano``, ``chopin_first_editions:one_edition``).
        out: the folder of the run.
        preset: a preset of the system's card, over which the other options go; ``"default"``.
        minutes: how long; or ``steps``: how many updates.
        resume: go on with the run in ``out``, which remembers all else; data may be ().
        start_from: a run or a model, by its folder or name, whose weights to begin with.
        seed: of weights, order and augmentation; 0.
        threads: how many threads compute.
        config: a .toml or .json file over the preset.
        overrides: dotted names over the preset, such as ``training.learning_rate``.

    Raises:
        MissingExtra: without torch.
        ConfigError: for an unknown option, with its path.
        NotSupported, TrainingError: if training cannot start or go on.
        KeyboardInterrupt: after Ctrl-C, once all is saved that ``resume`` needs.
    """
    if resume and start_from is not None:
        raise ConfigError("start_from", "a resumed run has its own weights; leave out one of both")
    folder = Path(out)
    find = resumed if resume else begun
    run = find(folder, system, data, preset, seed, threads)
    card = catalog.find_card(run.system)
    is_started = start_from is not None
    chosen = preset_of(card, run, config, overrides, minutes, steps, is_started)
    _train(run, card, chosen, folder, resume, None if start_from is None else _place_of(start_from))
    return folder


def _train(
    run: Run, card: Card, preset: Config, folder: Path, resume: bool, start_from: Path | None
) -> None:
    opened = [open_data(place) for place in run.data]
    progress = Progress()
    # torch takes seconds to import: what is going to be done is said first.
    places = ", ".join(f"{corpus.name} ({len(corpus)} pieces)" for corpus in opened)
    progress.say(f"training {card.name}, preset {run.preset}, on {places}")
    loop, training_task = load_training(card, preset)
    with new_folder(folder, keeps_data=card.makes == "audio"):
        if not resume:
            remember(folder, run)
        outcome = loop.train(
            training_task,
            _usable(opened, progress, card.makes),
            folder,
            seed=run.seed,
            resume=resume,
            start_from=start_from,
            threads=run.threads,
            progress=progress,
        )
        if not outcome.finished:
            raise KeyboardInterrupt


def _usable(
    opened: Sequence[files.Corpus], progress: Progress, makes: str
) -> Sequence[files.Corpus]:
    """Return a run's data, what cannot be used left out.

    Data for a system that makes sound are all left in: the training task reads them part by part,
    damaged ones as far as can be, and reports what it leaves out. Hours of sound fit no memory.
    """
    if makes == "audio":
        return opened
    looks = []
    for corpus in opened:
        looks.append(corpus.preflight(progress=progress.reading))
        progress.say(f"{corpus.name}: {looks[-1].summary()}")
    found = files.together(opened, looks)
    if found.summary():
        progress.say(found.summary())
    return found.corpora


def _place_of(model: str | Path) -> Path:
    """Return the folder of a run or a model that is named by its folder or its name."""
    place = Path(model)
    return place if place.exists() else catalog.open_model(model).path

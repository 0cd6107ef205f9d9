"""What this machine can do: versions, speed of each model, missing extras, one line of advice."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import partimento
from partimento import catalog, sound
from partimento import training_runs as runs
from partimento.errors import PartimentoError
from partimento.generation.instrument import Instrument
from partimento.generation.loading import load
from partimento.generation.options import MusicalOptions
from partimento.music import Score
from partimento.music.bounds import check_whole
from partimento.runtime.contract import AUDIO_RATE_HZ, Task
from partimento.runtime.threads import check_threads, cores

__all__ = ["DoctorReport", "ExtraState", "ModelSpeed", "TrainingSpeed", "doctor"]

# extra -> (the modules it brings, what it is for)
EXTRAS: dict[str, tuple[tuple[str, ...], str]] = {
    "train": (("torch", "onnx", "onnxscript", "safetensors"), "training and exporting models"),
    "score": (("verovio", "music21"), "engraved pages of scores"),
    "plots": (("matplotlib",), "plots of an evaluation"),
    "live": (("sounddevice",), "playing a stream through the loudspeakers"),
    "tensorboard": (("tensorboard",), "watching training in a browser"),
}
_SEED = 7
_SOUND_SECONDS = 20.0  # that a model of sound makes to be timed
_SMOOTH = 1.5  # a stream should be made so many times faster than it is heard


@dataclass(frozen=True)
class ModelSpeed:
    """How fast one model plays here; ``problem`` says why not, where it does not."""

    name: str
    bars: int = 0
    music_seconds: float = 0.0
    load_seconds: float = 0.0
    made_seconds: float = 0.0
    first_piece_seconds: float = 0.0
    real_time_factor: float = 0.0
    problem: str = ""


@dataclass(frozen=True)
class TrainingSpeed:
    """What training the default preset of a system costs here, at its largest size.

    ``hours`` are those of the preset's ``steps``, or its time budget, in which it takes ``steps``.
    ``problem`` says why nothing was measured.
    """

    system: str
    preset: str = "default"
    number_format: str = ""
    tokens_per_second: float = 0.0
    steps: int = 0
    hours: float = 0.0
    problem: str = ""


@dataclass(frozen=True)
class ExtraState:
    """One optional extra: whether it is installed and what it is for."""

    name: str
    is_installed: bool
    purpose: str


@dataclass(frozen=True)
class DoctorReport:
    """What this machine can do."""

    versions: dict[str, str]
    machine: str
    cores: int
    models: tuple[ModelSpeed, ...]
    training: TrainingSpeed | None
    extras: tuple[ExtraState, ...]
    soundfont: str
    audio_device: str
    models_folder: str
    is_models_folder_writable: bool
    advice: str

    def to_json(self) -> str:
        """Return the report as JSON, keys sorted."""
        return json.dumps(asdict(self), sort_keys=True, indent=2)


def doctor(bars: int = 8, threads: int | None = None) -> DoctorReport:
    """Look at this machine and time every shipped model that generates, over ``bars`` bars.

    Raises:
        MusicError: if ``bars`` or ``threads`` are out of range.
    """
    check_whole("bars", bars, 1, 256)
    check_threads(threads)
    makers = [info for info in catalog.models() if _generates(info.system)]
    infos = [info for info in makers if info.is_shipped] or makers[:1]
    trained = next((info for info in infos if info.is_default), next(iter(infos), None))
    speeds = tuple(_speed(info.name, bars, threads) for info in infos) + tuple(
        ModelSpeed(skipped.path.name, problem=skipped.problem)
        for skipped in catalog.skipped_models()
    )
    extras = tuple(
        ExtraState(name, all(find_spec(module) is not None for module in modules), purpose)
        for name, (modules, purpose) in EXTRAS.items()
    )
    folder = catalog.user_models_folder()
    try:
        soundfont = sound.find_soundfont()
    except PartimentoError:  # a variable that names none; the verbs that play report it
        soundfont = None
    return DoctorReport(
        versions=_versions(),
        machine=f"{platform.system()} {platform.machine()}",
        cores=cores(),
        models=speeds,
        training=_training_speed(trained.system) if trained else None,
        extras=extras,
        soundfont="" if soundfont is None else str(soundfont),
        audio_device=_audio_device(),
        models_folder=str(folder),
        is_models_folder_writable=_can_make(folder),
        advice=_advice(speeds, extras),
    )


def _versions() -> dict[str, str]:
    versions = {"partimento": partimento.__version__, "python": sys.version.split()[0]}
    for name in ("numpy", "onnxruntime", "torch"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def _generates(system: str) -> bool:
    """Return whether a system makes music from nothing; a missing one is reported later."""
    try:
        return Task.GENERATE in catalog.find_card(system).tasks
    except PartimentoError:
        return True


def _speed(name: str, bars: int, threads: int | None) -> ModelSpeed:
    try:
        started = time.perf_counter()
        instrument = load(name, threads=threads)
        loaded = time.perf_counter()
        return _timed(instrument, bars, loaded - started)
    except Exception as error:  # whatever is wrong with one model, the others are timed
        return ModelSpeed(name, problem=str(error) or type(error).__name__)


def _timed(instrument: Instrument, bars: int, load_seconds: float) -> ModelSpeed:
    if instrument.makes == "audio":
        return _timed_sound(instrument, load_seconds)
    plan = instrument.plan(Task.GENERATE, MusicalOptions(bars=bars), {}, seed=_SEED)
    pieces: list[Score] = []
    first = 0.0
    started = time.perf_counter()
    for piece in instrument.pieces(plan):
        first = first or time.perf_counter() - started
        pieces.append(piece)
    made = time.perf_counter() - started
    music = instrument.result_of(pieces, plan).duration_seconds
    return _model_speed(instrument.name, bars, music, load_seconds, made, first)


def _timed_sound(instrument: Instrument, load_seconds: float) -> ModelSpeed:
    plan = instrument.plan(Task.GENERATE, MusicalOptions(seconds=_SOUND_SECONDS), {}, seed=_SEED)
    first = frames = 0.0
    started = time.perf_counter()
    for piece in instrument.sound(plan):
        first = first or time.perf_counter() - started
        frames += piece.samples.shape[1]
    made = time.perf_counter() - started
    return _model_speed(instrument.name, 0, frames / AUDIO_RATE_HZ, load_seconds, made, first)


def _model_speed(
    name: str, bars: int, music: float, load_seconds: float, made: float, first: float
) -> ModelSpeed:
    return ModelSpeed(
        name,
        bars,
        round(music, 2),
        round(load_seconds, 3),
        round(made, 3),
        round(first, 3),
        round(music / made, 1) if made > 0 else 0.0,
    )


def _training_speed(system: str) -> TrainingSpeed:
    """Time a training step of the default preset of a system, on made-up tokens."""
    try:
        card = catalog.find_card(system)
        _, task = runs.load_training(card, card.presets["default"])
        step_seconds, number_format = task.cost()
    except (PartimentoError, ImportError) as error:
        return TrainingSpeed(system, problem=str(error))
    except (KeyError, AttributeError):  # no such preset, or a task that is no token model
        return TrainingSpeed(system, problem="is not measured for this system")
    training = task.preset.training
    seconds = training.steps * step_seconds if training.steps else 60.0 * training.minutes
    return TrainingSpeed(
        system,
        number_format=number_format,
        tokens_per_second=round(training.batch_size * training.length / step_seconds, 1),
        steps=training.steps or int(seconds / step_seconds),
        hours=round(seconds / 3600, 2),
    )


def _audio_device() -> str:
    """Return the name of the loudspeaker that a stream would play through, "" for none."""
    if find_spec("sounddevice") is None:
        return ""
    try:
        import sounddevice
    except (ImportError, OSError):  # the PortAudio library is missing
        return ""
    try:
        return str(sounddevice.query_devices(kind="output")["name"])
    except (sounddevice.PortAudioError, ValueError):  # there is no device
        return ""


def _can_make(folder: Path) -> bool:
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def _advice(speeds: tuple[ModelSpeed, ...], extras: tuple[ExtraState, ...]) -> str:
    broken = [speed for speed in speeds if speed.problem]
    if not speeds:
        return "No model is installed: train one with 'partimento train', or install again."
    if broken:
        return f"Install again: {broken[0].problem}"
    slow = [speed.name for speed in speeds if speed.real_time_factor < _SMOOTH]
    if slow:
        return f"{', '.join(slow)} is too slow to stream here; generate to a file instead."
    missing = [extra.name for extra in extras if not extra.is_installed]
    if "live" in missing:
        return (
            "All models play faster than real time; to hear streams: pip install 'partimento[live]'"
        )
    return "All is well: try 'partimento generate' or 'partimento stream'."

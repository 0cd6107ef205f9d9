"""The whole public surface: find, load, play, hear, train, measure, replay.

Everything here takes plain values, returns typed ones, and raises only ``partimento.errors``.
"""

from __future__ import annotations

import filecmp
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from typing import Any

from partimento import catalog, files, sound
from partimento import training_runs as runs
from partimento.catalog import default_model, describe, models, systems
from partimento.config import Config, read_config, validate_config
from partimento.doctor import doctor
from partimento.errors import ConfigError, FileError, MissingExtra, ModelError, NotSupported
from partimento.evaluation import evaluate
from partimento.generation import streaming as live
from partimento.generation.humanize import humanize, humanize_again
from partimento.generation.instrument import Instrument, Progress
from partimento.generation.loading import PRECISIONS, load
from partimento.generation.options import Wishes
from partimento.generation.result import Result
from partimento.metrics.adherence import adherence
from partimento.music import Audio, Piece, Score
from partimento.music.timeline import DEFAULT_QUARTERS_PER_MINUTE
from partimento.playback.destinations import check_output
from partimento.recipe import PromptRecord, Recipe, file_sha256, parse_recipe
from partimento.runtime.contract import Card, Task
from partimento.runtime.model_folder import CONFIG_FILE, write_model_folder

__all__ = [
    "Instrument",
    "Replay",
    "Result",
    "Task",
    "broken_promises",
    "default_model",
    "describe",
    "doctor",
    "evaluate",
    "export",
    "humanize",
    "load",
    "models",
    "read",
    "read_score",
    "render",
    "replay",
    "systems",
    "train",
    "write",
    "write_stems",
]


def broken_promises(score: Score, **wishes: Any) -> dict[str, str | None]:
    """Return for each wish (bars, key, chords, ...) None if the score keeps it, else where not.

    Raises:
        MusicError, CannotBeMet, ConfigError: for wishes that make no sense.
    """
    asked = validate_config(Wishes, wishes, "wishes")
    promises = asked.promises(None, _tempo_of(score))
    verdicts = adherence(score, promises).verdicts
    return {v.promise: None if v.violation is None else v.violation.text for v in verdicts}


def _tempo_of(score: Score) -> float:
    return score.tempos[0].quarters_per_minute if score.tempos else DEFAULT_QUARTERS_PER_MINUTE


def read(path: str | Path) -> Piece:
    """Return the piece in a file: notes of MIDI, MusicXML, ABC; sound of WAV, FLAC, OGG, MP3.

    Raises:
        FileError: if it cannot be read; names the place and the remedy.
    """
    return files.read(path)


def read_score(path: str | Path) -> Score:
    """Return the notes in a file.

    Raises:
        FileError: if it cannot be read or is sound.
    """
    piece = read(path)
    if not isinstance(piece, Score):
        raise FileError(path, "is sound, not notes", "give MIDI, MusicXML or ABC")
    return piece


def write(piece: Piece, path: str | Path, soundfont: str | Path | None = None) -> Path:
    """Write notes or sound in the format that the name's ending says, and return the path.

    Notes that are written as sound are rendered, through ``soundfont`` where it is given;
    ``.png`` is a piano roll.

    Raises:
        FileError: if the ending is unknown or the place cannot be written.
    """
    check_output(path)
    if isinstance(piece, Score) and Path(path).suffix.lower() in files.AUDIO_SUFFIXES:
        piece = render(piece, soundfont=soundfont)
    files.write(piece, path)
    return Path(path)


def render(score: Score, sample_rate_hz: int = 44100, soundfont: str | Path | None = None) -> Audio:
    """Return the sound of a score, stereo, by the built-in synthesiser or through a SoundFont."""
    heard = sound.render(score, sample_rate_hz=sample_rate_hz, soundfont=soundfont)
    if not score.recipe:
        return heard
    recipe = parse_recipe(score.recipe, "score")
    if soundfont is not None:
        recipe = recipe.model_copy(update={"soundfont": str(soundfont)})
    return replace(heard, recipe=recipe.to_json())


def write_stems(
    score: Score, folder: str | Path, name: str, soundfont: str | Path | None = None
) -> list[Path]:
    """Write each track as ``FOLDER/NAME_TRACK.wav``; mixed they are the whole.

    Raises:
        FileError: if the folder cannot be made or written.
    """
    target = Path(folder)
    _make_folder(target)
    paths: list[Path] = []
    for track, heard in sound.render_stems(score, soundfont=soundfont).items():
        safe = re.sub(r"[^\w .()+-]", "_", track).strip() or "track"
        paths.append(target / f"{name}_{safe}.wav")
        files.write(heard, paths[-1])
    return paths


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
        overrides: dotted names over the preset, such as ``recipe.learning_rate``.

    Raises:
        MissingExtra: without torch.
        ConfigError: for an unknown option, with its path.
        NotSupported, TrainingError: if training cannot start or go on.
        KeyboardInterrupt: after Ctrl-C, once all is saved that ``resume`` needs.
    """
    if resume and start_from is not None:
        raise ConfigError("start_from", "a resumed run has its own weights; leave out one of both")
    folder = Path(out)
    find = runs.resumed if resume else runs.begun
    run = find(folder, system, data, preset, seed, threads)
    card = catalog.find_card(run.system)
    chosen = runs.preset_of(card, run, config, overrides, minutes, steps)
    workshop, training_task = _workshop(card, chosen)
    progress = workshop.Progress()
    corpora = _usable(run, folder, progress.say, resume, card.makes)
    outcome = workshop.train(
        training_task,
        corpora,
        folder,
        seed=run.seed,
        resume=resume,
        start_from=None if start_from is None else _place_of(start_from),
        threads=run.threads,
        progress=progress,
    )
    if not outcome.finished:
        raise KeyboardInterrupt
    return folder


def _usable(
    run: runs.Run, folder: Path, say: Callable[[str], None], resume: bool, makes: str
) -> list[files.Corpus]:
    """Return a run's data, what cannot be used left out; a new run is written down first.

    Data for a system that makes sound are all left in: the workshop reads them part by part,
    damaged ones as far as can be, and tells what it leaves out. Hours of sound fit no memory.
    """
    opened = [runs.open_data(place) for place in run.data]
    _make_folder(folder)
    if not resume:
        runs.remember(folder, run)
    if makes == "audio":
        return opened
    corpora = []
    for corpus in opened:
        found = corpus.preflight()
        say(f"{corpus.name}: {found.summary()}")
        corpora.append(corpus.only(found.usable))
    return corpora


def _place_of(model: str | Path) -> Path:
    """Return the folder of a run or a model that is named by its folder or its name."""
    place = Path(model)
    return place if place.exists() else catalog.open_model(model).path


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(folder, f"cannot be made ({error.strerror})", "choose another") from None


def export(model: str | Path, out: str | Path, *, precision: str | None = None) -> Path:
    """Copy a model folder, or export the best weights of a training run, into a new folder.

    Args:
        model: a name, a model folder, or the folder of a run, finished or not.
        out: the folder to make; new or empty.
        precision: keep this graph alone, ``"int8"`` or ``"fp32"``; None keeps all.

    Raises:
        ModelError: if there is no such model, or it lacks this precision.
        FileError: if ``out`` holds something or cannot be written.
        MissingExtra: for a run that has no exported model yet, without torch.
    """
    if precision is not None and precision not in PRECISIONS:
        raise NotSupported(f"precision is {' or '.join(PRECISIONS)}, not {precision!r}")
    target = Path(out)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FileError(target, "is not empty", "name a new folder")
    files.check_writable(target.resolve())
    run = Path(model)
    is_run = (run / "training" / "preset.json").is_file()
    if is_run and not (run / CONFIG_FILE).is_file():
        return _export_run(run, target, precision)
    folder = catalog.open_model(model)
    graphs: dict[str, str] = dict(folder.config["graphs"])
    if is_run and precision is not None and precision not in graphs:
        return _export_run(run, target, precision)
    if precision is not None:
        folder.graph(precision)  # raises where there is none
        graphs = {precision: graphs[precision]}
    dropped = set(folder.config["graphs"].values()) - set(graphs.values())
    kept = {
        name: (folder.path / name).read_bytes()
        for name in folder.config["files"]
        if name not in dropped
    }
    config = {key: value for key, value in folder.config.items() if key not in ("files", "format")}
    renamed = {**config, "graphs": graphs, "name": target.name}
    write_model_folder(target, renamed, kept, folder.card())
    return target


def _export_run(run: Path, target: Path, precision: str | None) -> Path:
    values = read_config(run / "training" / "preset.json")
    card = catalog.find_card(values["system"])
    base = next(iter(card.presets.values()))
    chosen = validate_config(type(base), values["preset"], "preset")
    workshop, training_task = _workshop(card, chosen)
    training_task.recall(
        run / "training"
    )  # first: what it measures anew gives way to what was learnt
    state = workshop.load_best(training_task, run)
    facts = {**training_task.facts, "steps": state["step"], **workshop.told(state)}
    training_task.export(target, facts, (precision or "int8",), run)
    return target


def _workshop(card: Card, preset: Config) -> tuple[Any, Any]:
    """Return the workshop and the training_task of a preset.

    Raises:
        MissingExtra: without torch and what else trains.
    """
    try:
        workshop = import_module("partimento.training.loop.run")
        training = import_module(f"partimento.systems.{card.name}.training")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("partimento"):
            raise
        raise MissingExtra("training", "train") from None
    return workshop, training.training_task(preset)


@dataclass(frozen=True, eq=False)
class Replay:
    """A file made again: the piece, and what may make it differ."""

    source: Path
    recipe: Recipe
    notes: tuple[str, ...]  # what differs between then and now, in words
    make: Callable[[], Result] = field(repr=False)
    write_sound: Callable[[Path], Path] | None = field(default=None, repr=False)

    @cached_property
    def result(self) -> Result:
        """The piece; sound is made when it is first asked for, since it may be very long."""
        return self.make()

    def is_same(self) -> bool:
        """Return whether the piece, in the format of the source, is the source byte for byte."""
        with tempfile.TemporaryDirectory() as folder:
            again = self.save(Path(folder) / f"again{self.source.suffix}")
            return filecmp.cmp(again, self.source, shallow=False)

    def save(self, path: str | Path) -> Path:
        """Write the piece, the sound of a stream as the stream made it, and return the path.

        Raises:
            FileError: if the ending is unknown or the place cannot be written.
        """
        target = Path(path)
        if self.write_sound is not None:
            check_output(target, "audio")
            return self.write_sound(target)
        if not self.recipe.streamed or target.suffix.lower() not in files.AUDIO_SUFFIXES:
            return self.result.save(target)
        check_output(target)
        return live.save_again(self.result.pieces, self.recipe, target)


def replay(
    path: str | Path,
    *,
    prompt: str | Path | tuple[str | Path, ...] | None = None,
    model: str | Path | None = None,
    progress: Progress | None = None,
) -> Replay:
    """Make a generated file again from the recipe inside it.

    Args:
        path: any file that we wrote.
        prompt: where the prompt is now, or where several are, in order; by default where they
            were, or beside ``path``.
        model: the model where it is no longer found by the name in the recipe.
        progress: told (bars done, bars asked); of sound (seconds done, seconds asked), whenever it
            is written.

    Raises:
        FileError: if the file has no recipe, or the prompt is missing or another.
        ModelError: if the model is missing or not the same.
    """
    source = Path(path)
    recipe = parse_recipe(files.read_recipe(source), source)
    is_new = recipe.task is not Task.HUMANIZE  # that has the bars of its prompt
    if is_new and not recipe.has_end:
        raise FileError(
            source,
            "tells how an endless stream began but not where it was stopped",
            "replay the .mid or .wav of the same stream",
        )
    instrument = load(
        _model_of(recipe) if model is None else model,
        threads=recipe.threads,
        precision=recipe.precision,
    )
    if instrument.folder.hash != recipe.model_hash:
        raise ModelError(
            f"{source} was made by another version of {recipe.model} (hash "
            f"{recipe.model_hash[:12]}, here {instrument.folder.hash[:12]}); install that one, "
            "or name it with --model"
        )
    named = prompt if isinstance(prompt, tuple) else (prompt,)
    given = tuple(
        _prompt_of(record, source, place)
        for record, place in zip_longest(recipe.prompts, named[: len(recipe.prompts)])
    )
    if instrument.makes == "audio":
        return _sound_again(source, recipe, instrument, given, progress)
    scores = tuple(read_score(path) for path in given)
    if not is_new:
        result = humanize_again(recipe, scores[0], instrument.folder)
    else:
        result = instrument.perform(instrument.plan_again(recipe, scores), progress)
    return Replay(source, recipe, recipe.changed_versions(), lambda: result)


def _sound_again(
    source: Path,
    recipe: Recipe,
    instrument: Instrument,
    prompts: tuple[Path, ...],
    progress: Progress | None,
) -> Replay:
    plan = instrument.plan_again(recipe, prompts)
    return Replay(
        source,
        recipe,
        recipe.changed_versions(),
        lambda: instrument.perform(plan, progress),
        lambda target: live.save_sound_again(instrument, plan, target, progress),
    )


def _model_of(recipe: Recipe) -> str:
    """Return the name or path under which the recipe's model is found here."""
    names = [info.name for info in models()]
    if recipe.model in names and not recipe.model_path:
        return recipe.model
    if recipe.model_path and (Path(recipe.model_path) / "config.json").is_file():
        return recipe.model_path
    return recipe.model


def _prompt_of(record: PromptRecord, source: Path, given: str | Path | None) -> Path:
    """Return the prompt's file, which must be the same bytes as it was.

    Raises:
        FileError: if it is nowhere or has changed.
    """
    if given is None and not record.path:
        raise FileError(source, "went on from notes in memory", "they cannot be replayed")
    places = (
        [Path(given)]
        if given is not None
        else [
            Path(record.path),
            source.parent / Path(record.path).name,
        ]
    )
    found = [place for place in places if place.is_file()]
    if not found:
        raise FileError(places[0], "the prompt is not there", "say where it is with --prompt")
    for place in found:
        if file_sha256(place) == record.sha256:
            return place
    raise FileError(found[0], "the prompt has changed since", "give the old one with --prompt")

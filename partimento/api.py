"""The public interface: find and load models, make music, play, train, measure and replay it.

Everything here takes plain values, returns typed ones, and raises only ``partimento.errors``. A
piece may be given as a path, a ``Score``, an ``Audio`` or a ``Result``. Existing files are
replaced, whole or not at all.
"""

from __future__ import annotations

import filecmp
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from partimento import catalog, files, sound
from partimento import training_runs as runs
from partimento.catalog import default_model, describe, models, skipped_models, systems
from partimento.config import read_config, validate_config
from partimento.doctor import doctor
from partimento.errors import FileError, ModelError, NotSupported
from partimento.generation import streaming as live
from partimento.generation.humanize import humanize, humanize_again
from partimento.generation.instrument import Instrument, Progress
from partimento.generation.loading import PRECISIONS, load
from partimento.generation.options import MusicalOptions
from partimento.generation.prompts import Sketch, piece_of, read_prompt, ready_sound
from partimento.generation.result import Result
from partimento.messages import shown
from partimento.metrics.adherence import adherence
from partimento.music import Audio, Piece, Score
from partimento.music.timeline import DEFAULT_QUARTERS_PER_MINUTE
from partimento.playback.destinations import check_output
from partimento.playback.sinks import Loudspeaker
from partimento.recipe import PromptRecord, Recipe, file_sha256, parse_recipe
from partimento.runtime.conditions import (
    ChordCondition,
    FormCondition,
    InstrumentsCondition,
    LabelsCondition,
    LyricsCondition,
    StyleCondition,
    TextCondition,
)
from partimento.runtime.contract import Task
from partimento.runtime.model_folder import CONFIG_FILE, write_model_folder
from partimento.training_runs import train

if TYPE_CHECKING:
    from partimento.evaluation import evaluate

__all__ = [
    "ChordCondition",
    "FormCondition",
    "Instrument",
    "InstrumentsCondition",
    "LabelsCondition",
    "LyricsCondition",
    "Replay",
    "Result",
    "StyleCondition",
    "Task",
    "TextCondition",
    "broken_promises",
    "default_model",
    "describe",
    "doctor",
    "evaluate",
    "export",
    "humanize",
    "load",
    "models",
    "play",
    "read",
    "read_score",
    "render",
    "replay",
    "skipped_models",
    "stem_paths",
    "systems",
    "train",
    "write",
    "write_stems",
]


def __getattr__(name: str) -> Any:
    if name == "evaluate":  # what measures music is not loaded to make it
        return import_module("partimento.evaluation").evaluate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def broken_promises(score: Score, **options: Any) -> dict[str, str | None]:
    """Return for each option (bars, key, chords, ...) None if the score keeps it, else where not.

    Raises:
        MusicError, CannotBeMet, ConfigError: for options that make no sense.
    """
    asked = validate_config(MusicalOptions, options, "options")
    promises = asked.promises(None, _tempo_of(score))
    verdicts = adherence(score, promises).verdicts
    return {v.promise: None if v.violation is None else v.violation.text for v in verdicts}


def _tempo_of(score: Score) -> float:
    return score.tempos[0].quarters_per_minute if score.tempos else DEFAULT_QUARTERS_PER_MINUTE


def read(path: str | Path) -> Piece:
    """Return the piece in a file: notes of MIDI, MusicXML or ABC; sound of WAV, FLAC, OGG or MP3.

    Raises:
        FileError: if it cannot be read; names the file and the remedy.
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


def write(piece: Sketch, path: str | Path, soundfont: str | Path | None = None) -> Path:
    """Write notes or sound in the format of the path's ending, and return the path.

    Notes that are written as sound are rendered, through ``soundfont`` as in ``render``; ``.png``
    is a piano roll, or the spectrogram of sound.

    Raises:
        FileError: if the ending is unknown or the file cannot be written.
        MusicError: if ``piece`` is none.
    """
    given = piece_of(piece)
    check_output(path)
    if isinstance(given, Score) and Path(path).suffix.lower() in files.AUDIO_SUFFIXES:
        given = render(given, soundfont=soundfont)
    files.write(given, path)
    return Path(path)


def render(
    piece: Sketch, sample_rate_hz: int = 44100, soundfont: str | Path | None = None
) -> Audio:
    """Return the sound of notes, in stereo.

    Args:
        piece: the notes.
        sample_rate_hz: 8000..192000.
        soundfont: an .sf2 or .sf3 file, or the name of an installed one, to play through; None
            takes what ``PARTIMENTO_SOUNDFONT`` names, or else the built-in synthesiser.

    Raises:
        FileError: if a file cannot be read or is sound, or there is no such soundfont.
        MusicError: if ``piece`` is none, or the sample rate is out of range.
        NotSupported: if a soundfont is asked and FluidSynth is not installed.
    """
    score = read_prompt(piece).score
    font = sound.chosen_soundfont(soundfont)
    heard = sound.render(score, sample_rate_hz=sample_rate_hz, soundfont=font)
    if not score.recipe:
        return heard
    recipe = parse_recipe(score.recipe, "score")
    if font is not None:
        recipe = recipe.model_copy(update={"soundfont": str(font)})
    return replace(heard, recipe=recipe.to_json())


def play(piece: Sketch, soundfont: str | Path | None = None) -> None:
    """Play notes or sound through the loudspeakers, until the end or ``KeyboardInterrupt``.

    Raises:
        FileError, MusicError: as in ``render``.
        MissingExtra: without the extra ``live``.
        NotSupported: if there is no audio device.
    """
    speaker = Loudspeaker()  # first, so that nothing is rendered in vain
    try:
        given = piece_of(piece)
        heard = given if isinstance(given, Audio) else render(given, soundfont=soundfont)
        speaker.take_all(ready_sound(heard).samples)
    finally:
        speaker.close("")


def stem_paths(score: Score, folder: str | Path, name: str) -> list[Path]:
    """Return the files that ``write_stems`` writes, one for each track, no two alike."""
    paths: list[Path] = []
    for track in score.tracks:
        safe = re.sub(r"[^\w .()+-]", "_", track.name).strip() or "track"
        path, number = Path(folder) / f"{name}_{safe}.wav", 2
        while path in paths:
            path, number = Path(folder) / f"{name}_{safe} {number}.wav", number + 1
        paths.append(path)
    return paths


def write_stems(
    score: Score, folder: str | Path, name: str, soundfont: str | Path | None = None
) -> list[Path]:
    """Write each track as ``FOLDER/NAME_TRACK.wav``; their sum is the whole piece.

    Raises:
        FileError: if the folder cannot be made or written.
    """
    _make_folder(Path(folder))
    font = sound.chosen_soundfont(soundfont)
    paths = stem_paths(score, folder, name)
    for path, heard in zip(paths, sound.render_stems(score, soundfont=font).values(), strict=True):
        files.write(heard, path)
    return paths


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
        precision: keep only this graph, ``"int8"`` or ``"fp32"``; None keeps all.

    Raises:
        ModelError: if there is no such model, or it lacks this precision.
        FileError: if ``out`` holds something or cannot be written.
        MissingExtra: for a run that has no exported model yet, without torch.
    """
    if precision is not None and precision not in PRECISIONS:
        raise NotSupported(f"precision is {' or '.join(PRECISIONS)}, not {shown(precision)}")
    target = Path(out)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FileError(target, "is not empty", "name a new folder")
    files.check_writable(target.resolve())
    run = Path(model)
    is_run = (run / "training" / "preset.json").is_file()
    if is_run and not (run / CONFIG_FILE).is_file():
        return _export_run(run, target, precision)
    folder = catalog.open_model(model)
    if is_run and precision is not None and precision not in folder.precisions:
        return _export_run(run, target, precision)
    parts = folder.parts
    if precision is not None:  # ``part`` raises where there is none
        parts = {part: {precision: folder.part(part, precision).name} for part in folder.parts}
    graphs = {name for files in folder.parts.values() for name in files.values()}
    dropped = graphs - {name for files in parts.values() for name in files.values()}
    kept = {
        name: folder.file(name).read_bytes()
        for name in folder.config["files"]
        if name not in dropped
    }
    of_format = ("files", "format", "graphs")
    config = {key: value for key, value in folder.config.items() if key not in of_format}
    renamed = {**config, "parts": parts, "name": target.name}
    write_model_folder(target, renamed, kept, folder.card())
    return target


def _export_run(run: Path, target: Path, precision: str | None) -> Path:
    values = read_config(run / "training" / "preset.json")
    card = catalog.find_card(values["system"])
    base = next(iter(card.presets.values()))
    chosen = validate_config(type(base), values["preset"], "preset")
    loop, training_task = runs.load_training(card, chosen)
    training_task.recall(
        run / "training"
    )  # first: what it measures again gives way to what was learnt
    state = loop.load_best(training_task, run)
    facts = {**training_task.facts, "steps": state["step"], **loop.recorded(state)}
    training_task.export(target, facts, (precision or "int8",), run)
    return target


@dataclass(frozen=True, eq=False)
class Replay:
    """A file made again: the piece, and what may make it differ from the first."""

    source: Path
    recipe: Recipe
    notes: tuple[str, ...]  # what differs between then and now, in words
    make: Callable[[], Result] = field(repr=False)
    write_sound: Callable[[Path], Path] | None = field(default=None, repr=False)

    @cached_property
    def result(self) -> Result:
        """The piece; sound is generated when first asked for, since it may be very long."""
        return self.make()

    def is_same(self) -> bool:
        """Return whether the piece, in the format of the source, is the source byte for byte."""
        with tempfile.TemporaryDirectory() as folder:
            again = self.save(Path(folder) / f"again{self.source.suffix}")
            return filecmp.cmp(again, self.source, shallow=False)

    def save(self, path: str | Path) -> Path:
        """Write the piece, the sound of a stream as the stream wrote it, and return the path.

        Raises:
            FileError: if the ending is unknown or the file cannot be written.
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
        path: any file that Partimento wrote.
        prompt: where the prompt is now, or where several are, in order; by default where they
            were, or beside ``path``.
        model: the model, if it is no longer found by the name in the recipe.
        progress: called with (bars done, bars asked); for sound with (seconds done, seconds
            asked), whenever it is written. See ``Instrument``.

    Raises:
        FileError: if the file has no recipe, or the prompt is missing or has changed.
        ModelError: if the model is missing or not the same.
    """
    source = Path(path)
    recipe = parse_recipe(files.read_recipe(source), source)
    is_new = recipe.task is not Task.HUMANIZE  # that has the bars of its prompt
    if is_new and not recipe.has_end:
        raise FileError(
            source,
            "does not say where its endless stream was stopped",
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
            f"{recipe.model_hash[:12]}, here {instrument.folder.hash[:12]}); name that one with "
            "--model"
        )
    named = prompt if isinstance(prompt, tuple) else (prompt,)
    given = tuple(
        _prompt_of(record, source, place)
        for record, place in zip_longest(recipe.prompts, named[: len(recipe.prompts)])
    )
    if instrument.makes == "audio":
        return _sound_again(source, recipe, instrument, given, progress)
    asked = tuple(read_prompt(path) for path in given)
    if not is_new:
        result = humanize_again(recipe, asked[0], instrument.folder)
    else:
        result = instrument.perform(instrument.plan_again(recipe, asked), progress)
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
    if recipe.model_path and os.path.isfile(Path(recipe.model_path) / "config.json"):
        return recipe.model_path
    return recipe.model


def _prompt_of(record: PromptRecord, source: Path, given: str | Path | None) -> Path:
    """Return the prompt's file, which must be the same bytes as it was.

    Raises:
        FileError: if it is nowhere or has changed.
    """
    if given is None and not record.path:
        raise FileError(source, "continued a piece in memory", "it cannot be replayed")
    places = (
        [Path(given)]
        if given is not None
        else [
            Path(record.path),
            source.parent / Path(record.path).name,
        ]
    )
    found = [place for place in places if os.path.isfile(place)]
    if not found:
        raise FileError(places[0], "the prompt is missing", "say where it is with --prompt")
    for place in found:
        if file_sha256(place) == record.sha256:
            return place
    raise FileError(found[0], "the prompt has changed", "name the old one with --prompt")

"""One training run: a folder in which data, checkpoints and log live, and the model at its end.

``OUT/training/`` holds what training needs (preset, encoded data, checkpoint, best weights, log);
``OUT/`` itself becomes the model folder that the instrument plays.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from partimento import seeds
from partimento.errors import FileError, TrainingError
from partimento.files.atomic import atomic_path, temporaries
from partimento.files.corpora.corpus import Corpus
from partimento.training import distributed
from partimento.training.contract import TrainingTask
from partimento.training.device import best_device, number_format, set_threads
from partimento.training.loop.checkpoints import (
    load_module,
    read_checkpoint,
    tensors_under,
    write_checkpoint,
)
from partimento.training.loop.progress import Progress
from partimento.training.loop.trainer import (
    BEST,
    CHECKPOINT,
    SAVE_SECONDS,
    Trainer,
    TrainingOutcome,
    all_modules,
    finite,
    part_prefixes,
)
from partimento.training.loop.warm_start import begin_from

__all__ = ["finish_best", "load_best", "recorded", "train"]


def train(
    training_task: TrainingTask,
    corpora: Sequence[Corpus],
    out: Path,
    *,
    seed: int = 0,
    resume: bool = False,
    start_from: Path | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
    save_seconds: float = SAVE_SECONDS,
) -> TrainingOutcome:
    """Train into ``out`` and, at the end, export the best weights as a model folder.

    ``start_from`` is the ``OUT`` of an earlier run, of any system, whose network has the same
    shape, or a model folder; see ``begin_from``.

    Raises:
        TrainingError: if ``out`` holds a run already and neither resume was asked, or training
            cannot go on.
    """
    progress = progress or Progress()
    folder = out / "training"
    set_threads(threads)
    with distributed.process_group():
        if distributed.rank() == 0:
            _make_folder(folder, resume)
            if resume:
                _check_preset(folder / "preset.json", training_task)
            _remember(folder / "preset.json", training_task)
        distributed.barrier()
        if distributed.rank() != 0:
            progress = Progress(quiet=True)
        torch.manual_seed(int(seeds.generator(seed).integers(2**62)))
        _reset(training_task)
        training_task.prepare(corpora, folder, progress.say)
        if distributed.rank() == 0:  # once more: sizes may have been fitted to the data
            _remember(folder / "preset.json", training_task)
        if start_from is not None and not resume:
            begin_from(training_task, start_from)
        progress.say(f"training in {number_format(best_device())}")
        trainer = Trainer(
            training_task.stages(), folder, seed, progress, save_seconds, training_task.networks
        )
        outcome = trainer.run(resume=resume)
        if distributed.rank() == 0 and outcome.finished:
            if (folder / BEST).exists():
                state = finish_best(training_task, out)
                facts = {**training_task.facts, "seed": seed, "steps": outcome.steps}
                training_task.export(out, facts | recorded(state))
                progress.say(f"{out} is a model now: partimento describe {out}")
            if outcome.overfits:
                progress.say(
                    "the validation loss rose at the end: the model began to learn the pieces by "
                    "heart; the best weights were kept; more music or more dropout helps"
                )
        distributed.barrier()
    return outcome


def _reset(training_task: TrainingTask) -> None:
    """Initialise the weights again, so that they come from the seed alone."""
    other = training_task.fresh()
    fresh = all_modules(other.stages(), other.networks)
    for name, module in _modules(training_task).items():
        module.load_state_dict(fresh[name].state_dict())


def _make_folder(folder: Path, resume: bool) -> None:
    if resume and not (folder / CHECKPOINT).exists():
        raise TrainingError(f"{folder.parent} holds no run to resume; start without --resume")
    if not resume and (folder / CHECKPOINT).exists():
        raise TrainingError(
            f"{folder.parent} holds a run already; use --resume to go on, or another -o"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (CHECKPOINT, BEST):  # what a kill in the middle of a save has left
            for stale in temporaries(folder / name):
                stale.unlink(missing_ok=True)
    except OSError as error:
        raise FileError(folder, f"cannot be made ({error.strerror})", "choose another -o") from None


def _check_preset(path: Path, training_task: TrainingTask) -> None:
    """Hold the preset against the one that the run began with.

    Raises:
        TrainingError: if they differ; names the options.
    """
    try:
        text = path.read_text(encoding="utf-8")
        began = type(training_task.preset).model_validate(json.loads(text)["preset"])
    except (OSError, ValueError, KeyError):
        return  # a run without its preset: the shapes of the weights show whether they fit
    before, now = (
        _flat(began.model_dump(mode="json")),
        _flat(training_task.preset.model_dump(mode="json")),
    )
    changed = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    if changed:
        shown = ", ".join(
            f"{name} {before.get(name)} (not {now.get(name)})" for name in changed[:3]
        )
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise TrainingError(
            f"{path.parent.parent} was begun with {shown}{more}; resume it with the options it was "
            "begun with, or begin another run from its weights with --start-from"
        )


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested tables by their dotted names."""
    leaves: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, dict):
            leaves |= _flat(value, f"{prefix}{name}.")
        else:
            leaves[prefix + name] = value
    return leaves


def _remember(path: Path, training_task: TrainingTask) -> None:
    text = json.dumps(
        {"system": training_task.system, "preset": training_task.preset.model_dump(mode="json")},
        indent=1,
    )
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def finish_best(training_task: TrainingTask, out: Path) -> dict[str, Any]:
    """Run ``finish`` on the best weights of a run, once, and save what comes of it.

    Returns the saved state, with the figures of ``finish`` under ``finished``.
    """
    state = load_best(training_task, out)
    if "finished" not in state:
        state["finished"] = finite(training_task.finish())
        state["parts"] = part_prefixes(_modules(training_task), training_task.networks)
        path = out / "training" / BEST
        tensors, _ = read_checkpoint(path)
        for part, prefix in state["parts"].items():
            weights = training_task.networks[part].state_dict()
            tensors |= {f"{prefix}/{key}": value for key, value in weights.items()}
        write_checkpoint(path, tensors, state)
    return state


def recorded(state: dict[str, Any]) -> dict[str, Any]:
    """Return what a model folder records of the saved state of its weights."""
    figures = {f"valid_{key}": value for key, value in state["figures"].items()}
    return finite({**figures, **state.get("finished", {})})


def load_best(training_task: TrainingTask, out: Path) -> dict[str, Any]:
    """Load the best weights of a run into the training_task's modules; returns the saved state.

    Raises:
        TrainingError: if there are none yet, or the network has another shape.
    """
    if not (out / "training" / BEST).is_file():
        raise TrainingError(
            f"{out} holds no validated weights yet; train it to its first validation with --resume"
        )
    tensors, state = read_checkpoint(out / "training" / BEST)
    state["figures"] = finite(state["figures"])
    for prefix, module in _modules(training_task).items():
        load_module(module, tensors_under(tensors, prefix), out)
    return state


def _modules(training_task: TrainingTask) -> dict[str, nn.Module]:
    """Return all that checkpoints keep of a training task."""
    return all_modules(training_task.stages(), training_task.networks)

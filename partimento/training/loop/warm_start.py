"""Training that begins with what another run, or a model, has learnt.

Weights fit where the network has the same shape and what it reads and writes means the same: two
vocabularies may have as many tokens, and each token be another pitch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from partimento.errors import TrainingError
from partimento.representations import token_representation
from partimento.representations.registry import meaning
from partimento.runtime.model_folder import CONFIG_FILE, ModelFolder
from partimento.training.contract import TrainingTask
from partimento.training.export.read_weights import read_graph_weights
from partimento.training.loop.checkpoints import load_module, read_checkpoint, tensors_under
from partimento.training.loop.trainer import BEST

__all__ = ["begin_from"]

_FEATURES = "embedding.features."
_CALIBRATION = "calibration."
_INTERVALS, _PROJECTION, _RELATIVE_HEAD = "intervals.", "intervals.local.", "relative_head."

Spec = Mapping[str, Any]


def begin_from(training_task: TrainingTask, start: Path) -> None:
    """Load the networks of a run, or the main one of a model folder, into the training task's.

    The main network must have the same shape. The other parts are taken from a run where it has
    them by the same name and in the same shape; else they keep the weights they were drawn with.

    The network may have feature tables and relative pitch that the other had not; what they add
    starts at zero, so that it begins as the very function that was learnt. A countdown may be
    longer or shorter. What ``finish`` adds is left behind: it belongs to the weights that the other
    run ended with.

    Raises:
        TrainingError: if there are no weights, they are of another representation, or the network
            has another shape.
        ModelError: if the model folder cannot be read.
    """
    run = start / "training"
    if not (run / BEST).is_file() and not (start / CONFIG_FILE).is_file():
        raise TrainingError(f"{start} is no run with validated weights and no model folder")
    theirs, ours = _spec_of(start), getattr(training_task.preset, "representation", None)
    if theirs and ours:
        _check(meaning(theirs), meaning(ours), start)
    if (run / BEST).is_file():
        tensors, state = read_checkpoint(run / BEST)
        parts = state.get("parts", {})
        # Version 0.1.0 recorded the main network alone, and that only once training had ended.
        first = min(name.partition("/")[0] for name in tensors)
        main = next(iter(parts.values()), state.get("played", first))
        weights = tensors_under(tensors, main)
        _take_others(training_task, tensors, parts)
    else:
        weights = read_graph_weights(start)
    if theirs and ours:
        _count_down(weights, theirs, ours)
    for name, value in training_task.network.state_dict().items():
        if name not in weights and name.startswith((_FEATURES, _PROJECTION, _RELATIVE_HEAD)):
            weights[name] = torch.zeros_like(value)
        if name not in weights and name.startswith(_INTERVALS):
            weights[name] = value  # were the table zero as well, neither would ever learn
        if name.startswith(_CALIBRATION):
            weights[name] = value
    load_module(training_task.network, weights, start)


def _take_others(
    training_task: TrainingTask, tensors: Mapping[str, Tensor], parts: Mapping[str, str]
) -> None:
    """Load all parts but the main one that a run has by the same name and in the same shape."""
    for part, module in list(training_task.networks.items())[1:]:
        theirs = tensors_under(tensors, parts[part]) if part in parts else {}
        ours = module.state_dict()
        if {k: v.shape for k, v in theirs.items()} == {k: v.shape for k, v in ours.items()}:
            module.load_state_dict(theirs)


def _spec_of(start: Path) -> Spec | None:
    """Return the representation of a run or a model folder; None where nothing records it."""
    try:
        text = (start / "training" / "preset.json").read_text(encoding="utf-8")
        spec = json.loads(text)["preset"].get("representation")
        return spec if isinstance(spec, dict) else None
    except (OSError, ValueError, KeyError, AttributeError):
        pass
    if not (start / CONFIG_FILE).is_file():
        return None
    spec = ModelFolder.open(start).config.get("representation")
    return spec if isinstance(spec, dict) else None


def _check(theirs: dict[str, Any], ours: dict[str, Any], start: Path) -> None:
    """Hold two representations against each other.

    Raises:
        TrainingError: if they differ; says what there is and what is wanted.
    """
    if ours.get("name") == "countdown":  # it counts over what a model without it reads and writes
        ours = ours["base"]
        theirs = theirs["base"] if theirs.get("name") == "countdown" else theirs
    if theirs == ours:
        return
    keys = ["name"] if theirs.get("name") != ours.get("name") else sorted({*theirs, *ours})
    shown = "; ".join(
        f"representation.{key} {theirs.get(key)} (wanted: {ours.get(key)})"
        for key in keys
        if theirs.get(key) != ours.get(key)
    )
    raise TrainingError(
        f"{start} has learnt music in another form: {shown}; begin from a model of the same "
        "representation, or without --start-from"
    )


def _count_down(weights: dict[str, Tensor], theirs: Spec, ours: Spec) -> None:
    """Fit the table of a countdown to the bars that are wanted.

    Bars that are counted now and were not are distinguished from no others: row 0, which is "far".
    """
    if theirs.get("name") != "countdown" or ours.get("name") != "countdown":
        return
    old, new = (token_representation(spec).feature_sizes for spec in (theirs, ours))
    name = f"{_FEATURES}{len(old) - 1}.weight"
    if name in weights and len(weights[name]) == old[-1] != new[-1]:
        rows = [row if row < old[-1] else 0 for row in range(new[-1])]
        weights[name] = weights[name][rows]

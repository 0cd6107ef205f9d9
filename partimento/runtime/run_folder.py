"""What the folder of a training run says of itself, read without torch."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

__all__ = ["CHECKPOINT", "is_unfinished", "unfinished"]

CHECKPOINT = Path("training", "checkpoint.safetensors")
_RECORD = Path("training", "run.json")
_MODEL = "config.json"
_LENGTH_BYTES = 8  # a safetensors file begins with the length of its header
_MAX_HEADER = 100_000_000  # as the format itself has it


def is_unfinished(folder: Path) -> bool:
    """Return whether a folder holds a training run and no model yet."""
    # os.path takes names that no file can have, such as very long ones, and says False.
    has_run = os.path.isfile(folder / CHECKPOINT) or os.path.isfile(folder / _RECORD)
    return has_run and not os.path.isfile(folder / _MODEL)


def unfinished(folder: Path) -> str:
    """Return how far an unfinished run is, and the commands that go on with it."""
    place = shlex.quote(str(folder))
    if not (folder / CHECKPOINT).is_file():
        return "an unfinished training run that has no checkpoint yet; start it again"
    text = f"go on with: partimento train --resume -o {place}"
    if (folder / "training" / "best.safetensors").is_file():
        text += f"; or export what it has learned: partimento export {place} -o NEW"
    return f"an unfinished training run{_progress(folder / CHECKPOINT)}; {text}"


def _progress(checkpoint: Path) -> str:
    """Return ``", saved at step 120 of 900"``; nothing where the checkpoint cannot be read."""
    state = _state(checkpoint)
    if not isinstance(state.get("step"), int):
        return ""
    of = f" of {state['total_steps']}" if isinstance(state.get("total_steps"), int) else ""
    return f", saved at step {state['step']}{of}"


def _state(checkpoint: Path) -> dict[str, Any]:
    """Return the numbers that a checkpoint keeps beside its tensors."""
    try:
        with checkpoint.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            header = json.loads(file.read(min(length, _MAX_HEADER)))
        state = json.loads(header["__metadata__"]["state"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return state if isinstance(state, dict) else {}

"""Checkpoints: tensors in safetensors, numbers as JSON in its header; written atomically."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from partimento.errors import FileError, TrainingError
from partimento.files.atomic import atomic_path
from partimento.runtime.presets import current_name

__all__ = ["load_module", "read_checkpoint", "tensors_under", "write_checkpoint"]


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write tensors and a JSON state as one file; the old file stays until the new one is whole.

    Raises:
        TrainingError: if the disk is full or the folder cannot be written.
    """
    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    data = save(flat, metadata={"state": json.dumps(state, allow_nan=False)})
    try:
        with atomic_path(path) as temporary:
            temporary.write_bytes(data)
    except (OSError, FileError) as error:
        remedy = (
            "the checkpoint before it is kept; use --resume then"
            if path.exists()
            else "no checkpoint exists yet; start again then"
        )
        raise TrainingError(f"{path} could not be written ({error}); {remedy}") from None


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the state of a checkpoint.

    Raises:
        TrainingError: if it is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {current_name(n): file.get_tensor(n) for n in file.keys()}  # noqa: SIM118
            state = _current(json.loads((file.metadata() or {})["state"]))
    except FileNotFoundError:
        raise TrainingError(f"{path} does not exist; start without --resume") from None
    except (SafetensorError, OSError, KeyError, json.JSONDecodeError) as error:
        raise TrainingError(f"{path} is damaged ({error}); start without --resume") from None
    return tensors, state


def _current(state: Any) -> Any:
    """Return a state of version 0.1.0 with today's names of players and stages."""
    if isinstance(state, dict):
        return {current_name(name): _current(value) for name, value in state.items()}
    return [_current(value) for value in state] if isinstance(state, list) else state


def tensors_under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors of one module by their own names."""
    start = f"{prefix}/"
    return {name.removeprefix(start): v for name, v in tensors.items() if name.startswith(start)}


def load_module(module: nn.Module, weights: Mapping[str, Tensor], source: Path) -> None:
    """Load the weights that ``source`` holds into a module.

    Raises:
        TrainingError: if the module has another shape.
    """
    try:
        module.load_state_dict(weights)
    except RuntimeError:
        raise TrainingError(f"{source} holds a network of another shape; use its preset") from None

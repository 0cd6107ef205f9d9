"""The log of a training run: one JSON object a line, and TensorBoard where it is installed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from partimento.errors import TrainingError
from partimento.files.atomic import atomic_path

__all__ = ["Log"]


class Log:
    """One JSON object a line; lines that a resumed run will write again are dropped first."""

    def __init__(self, path: Path, stage: str, step: int, earlier: Sequence[str]) -> None:
        self.path, self.stage = path, stage
        kept = [text for text in _lines(path) if _is_before(text, stage, step, earlier)]
        with atomic_path(path) as temporary:
            temporary.write_text("".join(f"{text}\n" for text in kept), encoding="utf-8")
        self.file = path.open("a", encoding="utf-8")
        self.board = _tensorboard(path.parent)

    def write(self, values: Mapping[str, float]) -> None:
        """Write one line.

        Raises:
            TrainingError: if the disk is full.
        """
        if self.board is not None:
            for key, value in values.items():
                self.board.add_scalar(f"{self.stage}/{key}", value, int(values["step"]))
        try:
            text = json.dumps({"stage": self.stage, **values}, allow_nan=False)
            self.file.write(text + "\n")
            self.file.flush()
        except OSError as error:
            raise TrainingError(
                f"{self.path} cannot be written ({error.strerror}); the last checkpoint is kept; "
                "free some space and use --resume"
            ) from None

    def close(self) -> None:
        """Close the files."""
        if self.board is not None:
            self.board.close()
        with contextlib.suppress(OSError):  # a full disk was reported by ``write``
            self.file.close()


def _tensorboard(folder: Path) -> Any:
    """Return a TensorBoard writer where the extra is installed, else None."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"))


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _is_before(text: str, stage: str, step: int, earlier: Sequence[str]) -> bool:
    """Return whether a line of the log is of an earlier stage, or of a step that is done."""
    try:
        entry = json.loads(text)
    except ValueError:  # a kill cut the last line short
        return False
    return entry["stage"] in earlier or (entry["stage"] == stage and entry["step"] <= step)

"""The one file that knows about devices."""

from __future__ import annotations

import contextlib
import os

import torch

__all__ = ["autocast", "best_device", "free_bytes", "set_threads"]


def best_device() -> torch.device:
    """Return the GPU of this process if there is one, otherwise the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def autocast(device: torch.device, enabled: bool = True) -> contextlib.AbstractContextManager[None]:
    """Return the context in which matrix products run in bfloat16."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


def free_bytes(device: torch.device) -> int:
    """Return how much memory a GPU has to give; 0 for the CPU, whose sound stays on the disk."""
    if device.type != "cuda":
        return 0
    free, _ = torch.cuda.mem_get_info(device)
    return free


def set_threads(threads: int | None) -> None:
    """Use so many CPU threads; None leaves torch's choice."""
    if threads is not None:
        torch.set_num_threads(max(1, threads))

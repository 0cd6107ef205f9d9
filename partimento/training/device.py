"""The one file that knows about devices, and about the number format that is fast on each."""

from __future__ import annotations

import contextlib
import os
from functools import cache

import torch

from partimento.runtime.threads import instructions

__all__ = ["autocast", "best_device", "free_bytes", "has_fast_bf16", "number_format", "set_threads"]

# The processor flags of Linux that mean products of bf16 in one instruction: x86, x86, Arm.
_BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def best_device() -> torch.device:
    """Return the GPU of this process if there is one, otherwise the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def autocast(device: torch.device, enabled: bool = True) -> contextlib.AbstractContextManager[None]:
    """Return the context in which matrix products run in bfloat16 where that is fast."""
    use = enabled and has_fast_bf16(device)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=use)


@cache
def has_fast_bf16(device: torch.device) -> bool:
    """Return whether a device multiplies bfloat16 faster than float32.

    A CPU without the instructions emulates them: a training step takes ten times as long. The
    processor is asked, not timed: a run that is resumed under another load must not change its
    number format. Where the processor cannot be asked (not on Linux), the answer is no.
    """
    if device.type != "cpu":
        return True
    return not _BF16_FLAGS.isdisjoint(instructions())


def number_format(device: torch.device) -> str:
    """Return ``"bf16"`` or ``"fp32"``: what matrix products of training run in."""
    return "bf16" if has_fast_bf16(device) else "fp32"


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

"""Training on several processes, as ``torchrun`` starts them.

Gradients are averaged over all ranks in one flat buffer a player; each rank draws batches of its
own. One process works the same way without any of this.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn

__all__ = [
    "agree",
    "any_rank",
    "average",
    "average_gradients",
    "barrier",
    "process_group",
    "rank",
    "share",
    "world_size",
]


@contextmanager
def process_group() -> Iterator[None]:
    """Join the group that torchrun announces in the environment; nothing without one."""
    started = False
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        started = True
    try:
        yield
        if started:
            dist.barrier()  # rank 0 serves the rendezvous: it must not leave while one needs it
    finally:
        if started:
            dist.destroy_process_group()


def rank() -> int:
    """Return this process's number; 0 when alone."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def barrier() -> None:
    """Wait until every process is here."""
    if dist.is_initialized():
        dist.barrier()


def agree(value: float) -> float:
    """Return rank 0's value on every rank."""
    if not dist.is_initialized():
        return value
    shared = torch.tensor([value], dtype=torch.float64, device=_device())
    dist.broadcast(shared, 0)
    return float(shared[0])


def average(value: Tensor) -> Tensor:
    """Return the mean of a tensor over all ranks."""
    if not dist.is_initialized():
        return value
    shared = value.clone()
    dist.all_reduce(shared)
    return shared / world_size()


def any_rank(value: bool) -> bool:
    """Return whether it is true on any rank."""
    if not dist.is_initialized():
        return value
    shared = torch.tensor([float(value)], device=_device())
    dist.all_reduce(shared)
    return bool(shared[0] > 0)


def share(module: nn.Module) -> None:
    """Give a module on every rank the weights and buffers of rank 0."""
    if dist.is_initialized():
        for tensor in (*module.parameters(), *module.buffers()):
            dist.broadcast(tensor.detach(), 0)


def _device() -> torch.device:
    """Return where NCCL or Gloo wants its tensors."""
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")


def average_gradients(parameters: Sequence[Tensor]) -> None:
    """Replace every gradient by its mean over all ranks."""
    if not dist.is_initialized():
        return
    grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
    flat = torch.cat([grad.reshape(-1) for grad in grads])
    dist.all_reduce(flat)
    flat /= world_size()
    at = 0
    for parameter in parameters:
        count = parameter.numel()
        parameter.grad = flat[at : at + count].view_as(parameter).clone()
        at += count

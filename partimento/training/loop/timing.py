"""How long a training step takes."""

from __future__ import annotations

import time

import numpy as np
import torch

from partimento.training.contract import Stage
from partimento.training.device import autocast, best_device
from partimento.training.loop.optimizer import PlayerOptimizer

__all__ = ["step_seconds"]

_TIMED_STEPS = 2


def step_seconds(stage: Stage) -> float:
    """Return the seconds of a step of a stage's first player, whose weights it changes.

    The state of torch's generator stays as it is.
    """
    player, device = stage.players[0], best_device()
    for module in player.modules:
        module.to(device)
    optimizer = PlayerOptimizer(player, stage.training)
    draw = np.random.default_rng(0)
    fastest = float("inf")
    with torch.random.fork_rng(devices=[]):
        for _ in range(1 + _TIMED_STEPS):  # the first sets things up
            began = time.monotonic()
            batch = {key: value.to(device) for key, value in stage.batches(draw).items()}
            with autocast(device):
                loss = player.loss(batch)
            optimizer.update(loss, 0, 1)
            fastest = min(fastest, time.monotonic() - began)
    return fastest

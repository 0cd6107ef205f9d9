"""Optimisation of one player: AdamW, the learning rate over time, clipping, averaged weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from partimento.errors import TrainingError
from partimento.runtime.presets import TrainingConfig
from partimento.training import distributed
from partimento.training.contract import Loss, Player

__all__ = ["PlayerOptimizer", "learning_rate_at"]


def learning_rate_at(training: TrainingConfig, step: int, total_steps: int) -> float:
    """Return the learning rate of a step: linear warm-up, then the schedule."""
    warm = min(1.0, (step + 1) / max(1, training.warmup_steps))
    if training.schedule == "constant":
        shape = 1.0
    elif training.schedule == "inverse_sqrt":
        shape = math.sqrt(max(1, training.warmup_steps) / max(step + 1, training.warmup_steps, 1))
    elif training.schedule == "linear":  # after the warm-up, to nothing at the last step
        left = (total_steps - step) / max(1, total_steps - training.warmup_steps)
        shape = min(1.0, max(0.0, left))
    else:
        shape = 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, total_steps))))
    return training.learning_rate * warm * shape


class PlayerOptimizer:
    """AdamW over one player's weights (no decay on vectors), with their moving average."""

    def __init__(self, player: Player, training: TrainingConfig) -> None:
        self.player, self.training = player, training
        self.named = [
            (f"{index}.{name}", weight)
            for index, module in enumerate(player.modules)
            for name, weight in module.named_parameters()
            if weight.requires_grad
        ]
        matrices = [weight for _, weight in self.named if weight.ndim >= 2]
        vectors = [weight for _, weight in self.named if weight.ndim < 2]
        groups = [
            {"params": matrices, "weight_decay": training.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        self.adam = torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=training.learning_rate,
            betas=(training.beta1, training.beta2),
            fused=True,
        )
        self.average = (
            {name: weight.detach().clone() for name, weight in self.named} if training.ema else {}
        )

    def update(
        self,
        loss: Loss,
        step: int,
        total_steps: int,
        commit: Callable[[], None] = lambda: None,
    ) -> float:
        """Descend one step; returns the gradients' norm before clipping.

        ``commit`` is called right before the weights change.
        """
        weights: list[Tensor] = [weight for _, weight in self.named]
        for weight in weights:
            weight.grad = None
        loss.total.backward()  # type: ignore[no-untyped-call]
        distributed.average_gradients(weights)
        norm = float(nn.utils.clip_grad_norm_(weights, self.training.clip))
        if not math.isfinite(norm):
            return norm  # the caller stops; the weights are still those of the last good step
        rate = learning_rate_at(self.training, step, total_steps)
        for group in self.adam.param_groups:
            group["lr"] = rate
        commit()
        self.adam.step()
        if self.average:
            # A young average would remember its random start, so it warms up with the steps.
            decay = min(self.training.ema, (step + 1) / (step + 10))
            with torch.no_grad():
                torch._foreach_lerp_(list(self.average.values()), weights, 1 - decay)
        return norm

    def swap_average(self) -> None:
        """Exchange the weights with their average; call twice to come back."""
        if not self.average:
            return
        with torch.no_grad():
            for name, weight in self.named:
                kept = weight.detach().clone()
                weight.copy_(self.average[name])
                self.average[name].copy_(kept)

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Yield all state by name: both moments, the step count and the average."""
        for name, weight in self.named:
            for key, value in self.adam.state.get(weight, {}).items():
                yield f"adam.{name}.{key}", torch.as_tensor(value)
            if self.average:
                yield f"average.{name}", self.average[name]

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take back what ``tensors`` gave.

        Raises:
            TrainingError: if it was given by an optimizer without an average.
        """
        for name, weight in self.named:
            for key in ("step", "exp_avg", "exp_avg_sq"):
                value = tensors.get(f"adam.{name}.{key}")
                if value is not None:
                    self.adam.state[weight][key] = value.to(weight.device)
            if self.average:
                if f"average.{name}" not in tensors:
                    raise TrainingError(
                        "the checkpoint has no averaged weights; resume with the ema it was "
                        "started with"
                    )
                self.average[name].copy_(tensors[f"average.{name}"])

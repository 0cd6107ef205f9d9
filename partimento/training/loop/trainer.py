"""The training loop: stages of players, with checkpoints, exact resume and honest progress.

Every random draw of a step comes from (seed, stage, step, rank) alone, so a run that was killed
and resumed gives the losses of an unbroken one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from partimento import seeds
from partimento.errors import TrainingError
from partimento.training import distributed
from partimento.training.contract import Batch, Stage
from partimento.training.device import autocast, best_device
from partimento.training.loop.checkpoints import read_checkpoint, write_checkpoint
from partimento.training.loop.log import Log
from partimento.training.loop.optimizer import PlayerOptimizer, learning_rate_at
from partimento.training.loop.progress import Progress
from partimento.training.loop.stop import StopRequest
from partimento.training.nn.freezing import frozen

__all__ = [
    "BEST",
    "CHECKPOINT",
    "SAVE_SECONDS",
    "Trainer",
    "TrainingOutcome",
    "all_modules",
    "finite",
    "part_prefixes",
]

CHECKPOINT = "checkpoint.safetensors"
BEST = "best.safetensors"
_WARM_STEPS = 4  # the first steps set things up and are no measure of the speed
_MEASURED_STEPS, _MEASURED_SECONDS = 12, 1.0
_MEASURED_SHARE = 0.05  # of the minutes; slow steps are measured no longer than this
_LONG_STEP_SECONDS = 1.5  # a longer step is given up on Ctrl-C, not finished
SAVE_SECONDS = 60.0
_OVERFIT = 1.005  # the last validation loss over the best one
_STALE_WARNING = 4  # validations without gain


@dataclass
class TrainingOutcome:
    """How training ended: ``finished``, or stopped early by the user; the best validation.

    ``steps`` are those of the last stage that ran.
    """

    finished: bool
    steps: int
    best: float | None
    figures: Mapping[str, float]
    overfits: bool = False


class Trainer:
    """Runs stages in order inside a folder that holds the checkpoint, the best weights, the log."""

    def __init__(
        self,
        stages: Sequence[Stage],
        folder: Path,
        seed: int,
        progress: Progress,
        save_seconds: float = SAVE_SECONDS,
        networks: Mapping[str, nn.Module] | None = None,
    ) -> None:
        self.stages, self.folder, self.seed, self.progress = stages, folder, seed, progress
        self.save_seconds = save_seconds
        self.device = best_device()
        self.modules = all_modules(stages, networks)
        self.parts = part_prefixes(self.modules, networks)
        self.stage_index, self.step = 0, 0
        self.total_steps: int | None = None
        self.best: float | None = None
        self.stale = 0
        self._between_steps = True  # no weight is ahead of the step count
        self._step_seconds = math.inf  # of the last step
        # Figures of a step that is taken, but not yet validated and logged.
        self._pending: dict[str, float] | None = None

    def run(self, resume: bool = False) -> TrainingOutcome:
        """Train every stage to its end.

        Ctrl-C, SIGTERM and SIGHUP save a checkpoint and return an unfinished outcome; a second of
        them leaves the checkpoint before.

        Raises:
            TrainingError: if a loss is not finite or a checkpoint cannot be written or read.
        """
        for module in self.modules.values():
            module.to(self.device)
        restored = self._restore() if resume else {}
        figures: Mapping[str, float] = {}
        overfits = False
        steps = self.step
        while self.stage_index < len(self.stages):
            stage = self.stages[self.stage_index]
            try:
                with StopRequest(self.progress.say) as stop:
                    figures, overfits = self._run_stage(stage, restored, stop)
            except KeyboardInterrupt:
                return TrainingOutcome(False, self.step, self.best, figures, overfits)
            steps, restored = self.step, {}
            self.stage_index, self.step, self.total_steps, self.stale = (
                self.stage_index + 1,
                0,
                None,
                0,
            )
        return TrainingOutcome(True, steps, self.best, figures, overfits)

    def _run_stage(
        self, stage: Stage, restored: dict[str, Tensor], stop: StopRequest
    ) -> tuple[Mapping[str, float], bool]:
        if stage.training.steps is None and stage.training.minutes is None:
            raise TrainingError(f"{stage.name}: its training config needs steps or minutes")
        with frozen(*stage.freezes):
            optimizers = self._optimizers(stage, restored)
            self.total_steps = self.total_steps or stage.training.steps
            if not restored:
                self.best = None
                if self._leads:  # from here on a run that is killed can be resumed
                    self._save(optimizers)
            self.progress.minutes = stage.training.minutes
            self.progress.begin(stage.name, self.step, self.total_steps)
            log = self._open_log(stage) if self._leads else None
            try:
                figures, overfits = self._steps(stage, optimizers, log, stop)
            except KeyboardInterrupt:
                if self._leads and self._between_steps and not stop.at_once:
                    self._save(optimizers)
                raise
            finally:
                self.progress.end()
                if log:
                    log.close()
            self._take_best(stage, optimizers)
        return figures, overfits

    def _optimizers(self, stage: Stage, restored: dict[str, Tensor]) -> list[PlayerOptimizer]:
        """Return the players' optimizers, every rank starting from the same weights."""
        for module in self.modules.values():
            distributed.share(module)
        optimizers = [
            PlayerOptimizer(player, player.training or stage.training) for player in stage.players
        ]
        for optimizer in optimizers:
            prefix = f"{optimizer.player.name}/"
            own = {k.removeprefix(prefix): v for k, v in restored.items() if k.startswith(prefix)}
            if own:
                optimizer.load(own)
        return optimizers

    def _steps(
        self,
        stage: Stage,
        optimizers: Sequence[PlayerOptimizer],
        log: Log | None,
        stop: StopRequest,
    ) -> tuple[Mapping[str, float], bool]:
        """Take the steps that are left; returns the last figures, and whether they grew worse."""
        figures: Mapping[str, float] = {}
        history: list[float] = []
        if stage.validate and self.stage_index and self.step == 0:
            # What the stage before has left stands for election too: no stage makes it worse.
            self._validate(stage, optimizers, stop)
            # Getting ready is no step: the time left is estimated from steps alone.
            self.progress.begin(stage.name, self.step, self.total_steps)
        first_step, saved = self.step, time.monotonic()
        started, is_warm = saved, False
        while self._pending is not None or not self._is_over(stage):
            if self._pending is None:
                self._pending = self._one_step(stage, optimizers, stop)
                self.step += 1
                self._between_steps = True
            if self.total_steps is None:
                taken, now = self.step - first_step, time.monotonic()
                is_long = now - started > _MEASURED_SHARE * 60 * (stage.training.minutes or 0)
                if not is_warm and (taken == _WARM_STEPS or is_long):
                    first_step, started, is_warm = self.step, now, True
                else:
                    elapsed = now - started
                    self.total_steps = self._steps_for(stage, taken, elapsed, is_warm and is_long)
            line = self._pending
            is_last = self.step == self.total_steps
            if stage.validate and (self.step % stage.training.validate_every == 0 or is_last):
                figures = self._validate(stage, optimizers, stop)
                line = line | {f"valid_{key}": value for key, value in figures.items()}
                history.append(figures["loss"])
            if log:
                log.write({"step": self.step, **finite(line)})
            self._pending = None
            self.progress.advance(self.step, self.total_steps, line)
            is_due = time.monotonic() - saved > self.save_seconds or self._is_over(stage)
            if self._leads and is_due:
                self._save(optimizers)
                saved = time.monotonic()
            if distributed.any_rank(stop.asked):
                raise KeyboardInterrupt
        if stage.training.patience and self.stale >= stage.training.patience:
            self.progress.say(f"no gain in {self.stale} validations: stopped at the best")
        return figures, len(history) > 3 and min(history) < history[-1] - 0.05

    def _is_over(self, stage: Stage) -> bool:
        if stage.training.patience and self.stale >= stage.training.patience:
            return True
        return self.total_steps is not None and self.step >= self.total_steps

    def _open_log(self, stage: Stage) -> Log:
        earlier = [each.name for each in self.stages[: self.stage_index]]
        written = self.step - (self._pending is not None)
        return Log(self.folder / "log.jsonl", stage.name, written, earlier)

    def _take_best(self, stage: Stage, optimizers: Sequence[PlayerOptimizer]) -> None:
        """Put the stage's best weights in, or their average where no validation chose them."""
        if stage.validate is None:
            for optimizer in optimizers:
                optimizer.swap_average()
            self._save_best({})
        elif self._leads:
            self._load_best()
        for module in self.modules.values():
            distributed.share(module)

    @property
    def _leads(self) -> bool:
        return distributed.rank() == 0

    def _one_step(
        self, stage: Stage, optimizers: Sequence[PlayerOptimizer], stop: StopRequest
    ) -> dict[str, float]:
        """Let every player learn once, and return the figures of the step.

        A stop ends a long step before the first weight changes; the resumed run takes it again.
        """
        line: dict[str, float] = {}
        draw = seeds.generator(self.seed, self.stage_index, self.step, distributed.rank())
        torch.manual_seed(int(draw.integers(2**62)))
        began = time.monotonic()
        is_long = self._step_seconds > _LONG_STEP_SECONDS

        def commit() -> None:
            stop.keep()
            self._between_steps = False

        for optimizer in optimizers:
            for _ in range(optimizer.player.updates):
                may_give_up = is_long and self._between_steps and distributed.world_size() == 1
                with stop.giving_up(may_give_up):
                    batch = self._to_device(stage.batches(draw))
                    with autocast(self.device):
                        loss = optimizer.player.loss(batch)
                    norm = optimizer.update(loss, self.step, self.total_steps or 10**9, commit)
                if not (math.isfinite(norm) and math.isfinite(float(loss.total.detach()))):
                    raise TrainingError(
                        f"{stage.name}: the loss of {optimizer.player.name} is not finite at step "
                        f"{self.step}; the last checkpoint is kept; start with a lower "
                        "learning_rate"
                    )
            name = optimizer.player.name
            line |= {f"{name}_{key}": float(value) for key, value in loss.parts.items()}
            line[f"{name}_loss"] = float(loss.total.detach())
            line[f"{name}_gradient_norm"] = norm
        line["learning_rate"] = learning_rate_at(
            stage.training, self.step, self.total_steps or 10**9
        )
        self._step_seconds = line["seconds"] = time.monotonic() - began
        return line

    def _to_device(self, batch: Batch) -> Batch:
        return {key: value.to(self.device) for key, value in batch.items()}

    def _steps_for(self, stage: Stage, taken: int, elapsed: float, is_enough: bool) -> int | None:
        """Return how many steps the minutes give; None until that can be estimated."""
        assert stage.training.minutes is not None
        is_told = is_enough or (taken >= _MEASURED_STEPS and elapsed >= _MEASURED_SECONDS)
        if not distributed.any_rank(is_told):
            return None
        speed = taken / max(1e-6, elapsed)
        steps = max(self.step + 1, int(stage.training.minutes * 60 * speed))
        return int(distributed.agree(float(steps)))

    def _validate(
        self, stage: Stage, optimizers: Sequence[PlayerOptimizer], stop: StopRequest
    ) -> Mapping[str, float]:
        assert stage.validate is not None
        for optimizer in optimizers:
            optimizer.swap_average()
        for module in self.modules.values():
            module.eval()
        try:
            may_give_up = distributed.world_size() == 1
            with torch.no_grad(), autocast(self.device), stop.giving_up(may_give_up):
                figures = dict(stage.validate())
            # All ranks must judge alike, or one would stop before the others.
            figures["loss"] = distributed.agree(figures["loss"])
            if not math.isfinite(figures["loss"]):
                raise TrainingError(
                    f"{stage.name}: the validation loss is not finite at step {self.step}; the "
                    "best weights before it are kept; start with a lower learning_rate"
                )
            figures = finite(figures)
            if self.best is None or figures["loss"] < self.best:
                self._save_best(figures)  # first: it may be interrupted
                self.best, self.stale = figures["loss"], 0
            else:
                self.stale += 1
                if self.stale == _STALE_WARNING:
                    self.progress.say(
                        f"no gain in {self.stale} validations: the model may be memorising the "
                        "pieces; the best weights are kept; Ctrl-C stops, "
                        "'partimento export' then gives the model"
                    )
        finally:
            for module in self.modules.values():
                module.train()
            for optimizer in optimizers:
                optimizer.swap_average()
        return figures

    def _save(self, optimizers: Sequence[PlayerOptimizer]) -> None:
        tensors = _weights(self.modules)
        for optimizer in optimizers:
            for key, value in optimizer.tensors():
                tensors[f"{optimizer.player.name}/{key}"] = value
        state = {
            "stage": self.stage_index,
            "step": self.step,
            "total_steps": self.total_steps,
            "best": self.best,
            "stale": self.stale,
            "seed": self.seed,
            "pending": self._pending,
        }
        write_checkpoint(self.folder / CHECKPOINT, tensors, state)

    def _save_best(self, figures: Mapping[str, float]) -> None:
        if self._leads:
            state = {
                "stage": self.stage_index,
                "step": self.step,
                "figures": dict(figures),
                "parts": self.parts,
            }
            write_checkpoint(self.folder / BEST, _weights(self.modules), state)

    def _load_best(self) -> None:
        if (self.folder / BEST).exists():
            tensors, _ = read_checkpoint(self.folder / BEST)
            _load_weights(self.modules, tensors)

    def _restore(self) -> dict[str, Tensor]:
        tensors, state = read_checkpoint(self.folder / CHECKPOINT)
        if state["seed"] != self.seed:
            raise TrainingError(
                f"the checkpoint was made with --seed {state['seed']}, not {self.seed}; "
                "resume with that seed"
            )
        _load_weights(self.modules, tensors)
        self.stage_index, self.step = int(state["stage"]), int(state["step"])
        self.total_steps, self.best = state["total_steps"], state["best"]
        self.stale, self._pending = int(state["stale"]), state.get("pending")
        return tensors


def all_modules(
    stages: Sequence[Stage], networks: Mapping[str, nn.Module] | None = None
) -> dict[str, nn.Module]:
    """Return every module of every stage, and every network, once under a stable name."""
    modules: dict[str, nn.Module] = {}
    seen: set[int] = set()
    for stage in stages:
        for player in stage.players:
            for index, module in enumerate(player.modules):
                if id(module) not in seen:
                    seen.add(id(module))
                    modules[f"{stage.name}.{player.name}.{index}"] = module
    for part, module in (networks or {}).items():  # one that no player updates
        if id(module) not in seen:
            seen.add(id(module))
            modules[f"part.{part}"] = module
    return modules


def part_prefixes(
    modules: Mapping[str, nn.Module], networks: Mapping[str, nn.Module] | None
) -> dict[str, str]:
    """Return for each part the name under which checkpoints keep its network."""
    names = {id(module): name for name, module in modules.items()}
    return {part: names[id(module)] for part, module in (networks or {}).items()}


def finite(figures: Mapping[str, float]) -> dict[str, float]:
    """Return the figures less those that are no number: JSON has no word for them."""
    return {name: value for name, value in figures.items() if math.isfinite(value)}


def _weights(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    return {
        f"{name}/{key}": value
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }


def _load_weights(modules: Mapping[str, nn.Module], tensors: Mapping[str, Tensor]) -> None:
    for name, module in modules.items():
        own = {
            key.removeprefix(f"{name}/"): value
            for key, value in tensors.items()
            if key.startswith(f"{name}/")
        }
        try:
            module.load_state_dict(own)
        except RuntimeError:
            raise TrainingError(
                "the checkpoint belongs to a network of another shape; use the options it was "
                "started with, or start without --resume"
            ) from None

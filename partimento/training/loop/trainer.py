"""The training loop: stages of players, with checkpoints, exact resume and honest progress.

Every random draw of a step comes from (seed, stage, step, rank) alone, so a run that was killed
and resumed gives the losses of an unbroken one.
"""

from __future__ import annotations

import contextlib
import json
import math
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from partimento import seeds
from partimento.errors import TrainingError
from partimento.files.atomic import atomic_path
from partimento.training import distributed
from partimento.training.contract import Batch, Stage
from partimento.training.device import autocast, best_device
from partimento.training.loop.checkpoints import read_checkpoint, write_checkpoint
from partimento.training.loop.optimizer import PlayerOptimizer, learning_rate_at
from partimento.training.loop.progress import Progress

__all__ = [
    "BEST",
    "CHECKPOINT",
    "Trainer",
    "TrainingOutcome",
    "all_modules",
    "finite",
    "part_prefixes",
]

CHECKPOINT = "checkpoint.safetensors"
BEST = "best.safetensors"
_WARM_STEPS = 4  # the first steps set things up and tell nothing of the speed
_MEASURED_STEPS, _MEASURED_SECONDS = 12, 1.0
_SAVE_SECONDS = 60.0
_OVERFIT = 1.005  # the last validation loss over the best one
_STALE_WARNING = 4  # validations without gain


@dataclass
class TrainingOutcome:
    """How training ended: ``finished``, or stopped early by the user; the best validation.

    ``steps`` are those of the last stage that ran; ``to_come`` names those that have not begun.
    """

    finished: bool
    steps: int
    best: float | None
    figures: Mapping[str, float]
    overfits: bool = False
    to_come: tuple[str, ...] = ()


class Trainer:
    """Runs stages in order inside a folder that holds the checkpoint, the best weights, the log."""

    def __init__(
        self,
        stages: Sequence[Stage],
        folder: Path,
        seed: int,
        progress: Progress,
        save_seconds: float = _SAVE_SECONDS,
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

    def run(self, resume: bool = False) -> TrainingOutcome:
        """Train every stage to its end.

        Ctrl-C saves a checkpoint and returns an unfinished outcome.

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
                with _StopSign() as stop:
                    figures, overfits = self._run_stage(stage, restored, stop)
            except KeyboardInterrupt:
                self.progress.say(
                    f"stopped at step {self.step}; --resume goes on from the last save"
                )
                to_come = tuple(later.name for later in self.stages[self.stage_index + 1 :])
                return TrainingOutcome(False, self.step, self.best, figures, overfits, to_come)
            steps, restored = self.step, {}
            self.stage_index, self.step, self.total_steps, self.stale = (
                self.stage_index + 1,
                0,
                None,
                0,
            )
        return TrainingOutcome(True, steps, self.best, figures, overfits)

    def _run_stage(
        self, stage: Stage, restored: dict[str, Tensor], stop: _StopSign
    ) -> tuple[Mapping[str, float], bool]:
        if stage.training.steps is None and stage.training.minutes is None:
            raise TrainingError(f"{stage.name}: its training config needs steps or minutes")
        with _frozen(stage.freezes):
            optimizers = self._optimizers(stage, restored)
            self.total_steps = self.total_steps or stage.training.steps
            if not restored:
                self.best = None
                if self.stage_index and self._leads:
                    self._save(optimizers)  # the best weights of this stage replace the last one's
            self.progress.begin(stage.name, self.step, self.total_steps)
            log = self._open_log(stage) if self._leads else None
            try:
                figures, overfits = self._steps(stage, optimizers, log, stop)
            except KeyboardInterrupt:
                if self._leads and self._between_steps:
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
        log: _Log | None,
        stop: _StopSign,
    ) -> tuple[Mapping[str, float], bool]:
        """Take the steps that are left; returns the last figures, and whether they grew worse."""
        figures: Mapping[str, float] = {}
        history: list[float] = []
        if stage.validate and self.stage_index and self.step == 0:
            # What the stage before has left stands for election too: no stage makes it worse.
            self._validate(stage, optimizers)
            # Getting ready is no step: the time left is told by steps alone.
            self.progress.begin(stage.name, self.step, self.total_steps)
        started, first_step, saved = time.monotonic(), self.step, time.monotonic()
        while not self._is_over(stage):
            line = self._one_step(stage, optimizers)
            self.step += 1
            if self.total_steps is None:
                taken = self.step - first_step
                if taken == _WARM_STEPS:
                    started = time.monotonic()
                self.total_steps = self._steps_for(
                    stage, taken - _WARM_STEPS, time.monotonic() - started
                )
            is_last = self.step == self.total_steps
            if stage.validate and (self.step % stage.training.validate_every == 0 or is_last):
                figures = self._validate(stage, optimizers)
                line |= {f"valid_{key}": value for key, value in figures.items()}
                history.append(figures["loss"])
            if log:
                log.write({"step": self.step, **finite(line)})
            self._between_steps = True
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

    def _open_log(self, stage: Stage) -> _Log:
        earlier = [each.name for each in self.stages[: self.stage_index]]
        return _Log(self.folder / "log.jsonl", stage.name, self.step, earlier)

    def _take_best(self, stage: Stage, optimizers: Sequence[PlayerOptimizer]) -> None:
        """Put the stage's best weights in, or their average where nothing told which are best."""
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

    def _one_step(self, stage: Stage, optimizers: Sequence[PlayerOptimizer]) -> dict[str, float]:
        line: dict[str, float] = {}
        draw = seeds.generator(self.seed, self.stage_index, self.step, distributed.rank())
        torch.manual_seed(int(draw.integers(2**62)))
        began = time.monotonic()
        for optimizer in optimizers:
            for _ in range(optimizer.player.updates):
                batch = self._to_device(stage.batches(draw))
                with autocast(self.device):
                    loss = optimizer.player.loss(batch)
                self._between_steps = False
                norm = optimizer.update(loss, self.step, self.total_steps or 10**9)
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
        line["seconds"] = time.monotonic() - began
        return line

    def _to_device(self, batch: Batch) -> Batch:
        return {key: value.to(self.device) for key, value in batch.items()}

    def _steps_for(self, stage: Stage, taken: int, elapsed: float) -> int | None:
        """Return how many steps the minutes give; None until that can be told."""
        assert stage.training.minutes is not None
        is_told = taken >= _MEASURED_STEPS and elapsed >= _MEASURED_SECONDS
        if not distributed.any_rank(is_told):
            return None
        speed = taken / max(1e-6, elapsed)
        steps = max(self.step + 1, int(stage.training.minutes * 60 * speed))
        return int(distributed.agree(float(steps)))

    def _validate(self, stage: Stage, optimizers: Sequence[PlayerOptimizer]) -> Mapping[str, float]:
        assert stage.validate is not None
        for optimizer in optimizers:
            optimizer.swap_average()
        for module in self.modules.values():
            module.eval()
        try:
            with torch.no_grad(), autocast(self.device):
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
                self.best, self.stale = figures["loss"], 0
                self._save_best(figures)
            else:
                self.stale += 1
                if self.stale == _STALE_WARNING:
                    self.progress.say(
                        f"no gain in {self.stale} validations: the model may be learning the "
                        "pieces by heart; the best weights are kept; Ctrl-C ends here"
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
        self.stale = int(state["stale"])
        return tensors


class _StopSign:
    """Turns the first Ctrl-C into the wish to stop between two steps; a second stops at once."""

    def __init__(self) -> None:
        self.asked = False
        self._handler: Any = None

    def __enter__(self) -> _StopSign:
        if threading.current_thread() is threading.main_thread():
            self._handler = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_error: object) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)

    def _ask(self, _number: int, _frame: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@contextmanager
def _frozen(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Keep the weights of modules as they are; afterwards they learn again."""
    weights = [w for module in modules for w in module.parameters() if w.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)


class _Log:
    """One JSON object a line; lines that a resumed run will write again are dropped first."""

    def __init__(self, path: Path, stage: str, step: int, earlier: Sequence[str]) -> None:
        self.path, self.stage = path, stage
        kept = [text for text in _lines(path) if _is_before(text, stage, step, earlier)]
        with atomic_path(path) as temporary:
            temporary.write_text("".join(f"{text}\n" for text in kept), encoding="utf-8")
        self.file = path.open("a", encoding="utf-8")
        self.board = _tensorboard(path.parent)

    def write(self, values: Mapping[str, float]) -> None:
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
        if self.board is not None:
            self.board.close()
        with contextlib.suppress(OSError):  # a full disk was told by ``write``
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

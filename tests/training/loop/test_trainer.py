"""The training loop: exact resume, clean stops, errors that keep what was there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from partimento.errors import PartimentoError, TrainingError
from partimento.runtime.presets import TrainingConfig
from partimento.training.contract import Batch, Loss
from partimento.training.loop import log as log_module
from partimento.training.loop import trainer as trainer_module
from partimento.training.loop.checkpoints import read_checkpoint, write_checkpoint
from partimento.training.loop.progress import Progress
from partimento.training.loop.trainer import BEST, CHECKPOINT, finite

from support.games import RECIPE, Regression, trainer


def log(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of the log but for what the clock says."""
    lines = [json.loads(text) for text in (folder / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def weights(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def assert_same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


class Stopping(Progress):
    """Presses Ctrl-C after a step."""

    def __init__(self, step: int, how: str = "raise", stage: str = "") -> None:
        super().__init__(quiet=True)
        self.stop_step, self.how, self.stop_stage = step, how, stage
        self.stage = ""
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def begin(self, stage: str, step: int, total: int | None) -> None:
        self.stage = stage

    def advance(self, step: int, total: int | None, figures: Mapping[str, float]) -> None:
        if self.stop_stage not in ("", self.stage):
            return
        if step == self.stop_step and self.how == "raise":
            raise KeyboardInterrupt
        if step == self.stop_step:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Regression]:
    """Return the folder and the game of a run of 12 steps."""
    folder = tmp_path_factory.mktemp("unbroken")
    game = Regression()
    outcome = trainer(folder, game.stage()).run()
    assert outcome.finished
    assert outcome.steps == 12
    return folder, game


def test_the_log_tells_every_step(unbroken: tuple[Path, Regression]) -> None:
    lines = log(unbroken[0])
    assert [line["step"] for line in lines] == list(range(1, 13))
    keys = {"stage", "step", "line_loss", "line_gradient_norm", "learning_rate"}
    assert all(keys <= line.keys() for line in lines)
    assert [line["step"] for line in lines if "valid_loss" in line] == [4, 8, 12]
    assert lines[-1]["line_loss"] < lines[0]["line_loss"]


@pytest.mark.parametrize("how", ["raise", "signal"])
@pytest.mark.parametrize("step", [6, 8])
def test_ctrl_c_saves_and_resume_is_exact(
    unbroken: tuple[Path, Regression], tmp_path: Path, step: int, how: str
) -> None:
    progress = Stopping(step, how)
    first = trainer(tmp_path, Regression().stage(), progress=progress, save_seconds=1e9)
    before = signal.getsignal(signal.SIGINT)  # a shell in the background ignores it
    outcome = first.run()
    assert (outcome.finished, outcome.steps) == (False, step)
    asked = ["finishing this step; again to stop now"] if how == "signal" else []
    assert progress.said == asked
    assert signal.getsignal(signal.SIGINT) is before
    game = Regression()
    assert trainer(tmp_path, game.stage()).run(resume=True).finished
    assert log(tmp_path) == log(unbroken[0])  # the same numbers, to the last bit
    assert_same(weights(game.network), weights(unbroken[1].network))
    for file in (CHECKPOINT, BEST):  # the averaged weights and both moments among them
        assert_same(*(read_checkpoint(folder / file)[0] for folder in (tmp_path, unbroken[0])))


KILLED = """
import os, sys
from pathlib import Path
from support.games import Regression, trainer
from partimento.training.loop.progress import Progress
class Killing(Progress):
    def advance(self, step, total, figures):
        if step == 7:
            os.kill(os.getpid(), 9)
trainer(Path(sys.argv[1]), Regression().stage(), progress=Killing(quiet=True)).run()
"""


def test_kill_9_and_resume_is_exact(unbroken: tuple[Path, Regression], tmp_path: Path) -> None:
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert len(log(tmp_path)) == 7  # one line more than the checkpoint knows of
    assert read_checkpoint(tmp_path / CHECKPOINT)[1]["step"] == 6
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"stage": "fit", "st')  # as a kill in the middle of a line leaves it
    game = Regression()
    trainer(tmp_path, game.stage()).run(resume=True)
    assert log(tmp_path) == log(unbroken[0])
    assert_same(weights(game.network), weights(unbroken[1].network))


def test_an_interrupt_inside_an_update_saves_nothing_torn(
    unbroken: tuple[Path, Regression], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    game = Regression()
    run = trainer(tmp_path, game.stage())
    step = torch.optim.AdamW.step

    def torn(self: torch.optim.AdamW, *given: Any) -> Any:
        step(self, *given)
        if run.step == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", torn)
        assert not run.run().finished
    assert read_checkpoint(tmp_path / CHECKPOINT)[1]["step"] == 5
    trainer(tmp_path, Regression().stage()).run(resume=True)
    assert log(tmp_path) == log(unbroken[0])


def test_a_restart_after_the_last_step_changes_nothing(
    unbroken: tuple[Path, Regression],
) -> None:
    folder, game = unbroken
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    again = Regression()
    outcome = trainer(folder, again.stage()).run(resume=True)
    assert (outcome.finished, outcome.steps, again.losses) == (True, 12, 0)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert_same(weights(again.network), weights(game.network))


def test_the_end_holds_the_best_weights(unbroken: tuple[Path, Regression]) -> None:
    folder, game = unbroken
    best, state = read_checkpoint(folder / BEST)
    losses = {line["step"]: line["valid_loss"] for line in log(folder) if "valid_loss" in line}
    assert state["figures"]["loss"] == min(losses.values())
    assert losses[state["step"]] == min(losses.values())
    assert_same({k.partition("/")[2]: v for k, v in best.items()}, weights(game.network))


def test_a_figure_that_is_no_number_is_not_written(tmp_path: Path) -> None:
    game = Regression()

    def validate() -> dict[str, float]:
        return {**game.validate(), "odd": float("nan"), "endless": float("inf"), "even": 2.0}

    stage = game.stage(validate=validate)
    outcome = trainer(tmp_path, stage).run()
    assert set(outcome.figures) == {"loss", "even"}
    assert read_checkpoint(tmp_path / BEST)[1]["figures"].keys() == {"loss", "even"}
    text = (tmp_path / "log.jsonl").read_text()
    assert "valid_even" in text
    assert "NaN" not in text
    assert "Infinity" not in text
    assert finite({"a": float("nan"), "b": 1.0}) == {"b": 1.0}


def test_seeds_tell_runs_apart_and_alike(unbroken: tuple[Path, Regression], tmp_path: Path) -> None:
    for name, seed in (("same", 3), ("other", 4)):
        (tmp_path / name).mkdir()
        trainer(tmp_path / name, Regression().stage(), seed=seed).run()
    assert log(tmp_path / "same") == log(unbroken[0])
    assert log(tmp_path / "other") != log(unbroken[0])


def stopped(folder: Path) -> Path:
    trainer(folder, Regression().stage(), progress=Stopping(6)).run()
    return folder / CHECKPOINT


def problem(folder: Path, *stages: Any, seed: int = 3) -> str:
    with pytest.raises(TrainingError) as caught:
        trainer(folder, *(stages or (Regression().stage(),)), seed=seed).run(resume=True)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("damage", ["empty", "cut", "random", "no state"])
def test_a_damaged_checkpoint(tmp_path: Path, damage: str) -> None:
    path = stopped(tmp_path)
    if damage == "no state":
        from safetensors.torch import save_file

        save_file({"x": torch.zeros(2)}, path)
    else:
        whole = path.read_bytes()
        path.write_bytes(
            {"empty": b"", "cut": whole[: len(whole) // 2], "random": b"\x07" * 99}[damage]
        )
    assert "is damaged" in problem(tmp_path)


def test_a_missing_checkpoint(tmp_path: Path) -> None:
    assert "does not exist; start without --resume" in problem(tmp_path)


def test_another_seed(tmp_path: Path) -> None:
    stopped(tmp_path)
    assert "was made with --seed 3, not 4" in problem(tmp_path, seed=4)


def test_a_network_of_another_shape(tmp_path: Path) -> None:
    stopped(tmp_path)
    game = Regression()
    game.network = nn.Sequential(nn.Linear(3, 9), nn.Linear(9, 1))
    assert "belongs to a network of another shape" in problem(tmp_path, game.stage())


def test_an_average_that_was_not_saved(tmp_path: Path) -> None:
    plain = Regression(RECIPE.model_copy(update={"ema": 0.0}))
    trainer(tmp_path, plain.stage(), progress=Stopping(6)).run()
    assert "has no averaged weights" in problem(tmp_path)


def test_a_full_disk_keeps_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stopped(tmp_path).read_bytes()

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        text = problem(tmp_path)
    assert "the disk is full" in text
    assert "the checkpoint before it is kept" in text
    assert (tmp_path / CHECKPOINT).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [BEST, CHECKPOINT, "log.jsonl"]
    )
    assert trainer(tmp_path, Regression().stage()).run(resume=True).finished


def test_a_full_disk_under_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    run = trainer(tmp_path, Regression().stage())
    opened = run._open_log(Regression().stage())
    opened.file.close()
    opened.file = Path("/dev/full").open("w")  # noqa: SIM115, the run closes it
    monkeypatch.setattr(run, "_open_log", lambda stage: opened)
    with pytest.raises(TrainingError, match=r"log\.jsonl cannot be written \(No space left"):
        run.run()


def test_a_first_checkpoint_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no checkpoint exists yet; start again"):
        write_checkpoint(tmp_path / "nowhere" / "x.safetensors", {"x": torch.zeros(1)}, {})


def test_a_loss_that_is_not_finite(tmp_path: Path) -> None:
    game = Regression()

    def loss(batch: Batch) -> Loss:
        made = game.loss(batch)
        return replace(made, total=made.total * float("nan")) if game.losses > 6 else made

    stage = game.stage(validate=None)
    stage = replace(stage, players=(replace(stage.players[0], loss=loss),))
    with pytest.raises(TrainingError, match="loss of line is not finite at step 6"):
        trainer(tmp_path, stage).run()
    tensors, state = read_checkpoint(tmp_path / CHECKPOINT)
    assert state["step"] == 6
    assert all(torch.isfinite(value).all() for value in tensors.values())


def test_a_config_without_an_end(tmp_path: Path) -> None:
    game = Regression(TrainingConfig())
    with pytest.raises(TrainingError, match="its training config needs steps or minutes"):
        trainer(tmp_path, game.stage()).run()
    assert game.losses == 0


def test_minutes_become_steps_once_the_speed_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer_module, "_MEASURED_SECONDS", 0.0)
    game = Regression(TrainingConfig(minutes=1e-5, validate_every=1000))
    outcome = trainer(tmp_path, game.stage()).run()
    # the minutes are over before the first step is: one step to warm up, one to measure, one more
    assert (outcome.finished, outcome.steps) == (True, 3)
    assert read_checkpoint(tmp_path / CHECKPOINT)[1]["total_steps"] == 3


def test_patience_stops_at_the_best_and_a_restart_knows(tmp_path: Path) -> None:
    def game() -> Regression:
        return Regression(
            TrainingConfig(
                steps=40,
                batch_size=4,
                learning_rate=1.0,
                warmup_steps=0,
                schedule="constant",
                validate_every=1,
                patience=2,
                ema=0.0,
            )
        )

    first = game()
    outcome = trainer(tmp_path, first.stage()).run()
    assert outcome.finished
    assert 2 < outcome.steps < 40
    again = game()
    assert trainer(tmp_path, again.stage()).run(resume=True).steps == outcome.steps
    assert again.losses == 0
    assert_same(weights(again.network), weights(first.network))


def test_stages_follow_each_other_and_resume_in_the_second(tmp_path: Path) -> None:
    short = RECIPE.model_copy(update={"steps": 5, "validate_every": 2})

    def stages() -> tuple[Any, ...]:
        game = Regression(short, "first")
        second = replace(game.stage(), name="second", validate=None)
        return game.stage(), second, game

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    *both, game = stages()
    trainer(whole, *both).run()
    assert [(line["stage"], line["step"]) for line in log(whole)] == [
        *(("first", step) for step in range(1, 6)),
        *(("second", step) for step in range(1, 6)),
    ]
    for stage, step in (("first", 5), ("second", 1)):  # at the end of one, early in the other
        *both, _ = stages()
        progress = Stopping(step, stage=stage)
        run = trainer(broken, *both, progress=progress)
        outcome = run.run(resume=stage == "second")
        assert not outcome.finished
    *both, again = stages()
    assert trainer(broken, *both).run(resume=True).finished
    assert log(broken) == log(whole)
    assert_same(weights(again.network), weights(game.network))


def test_without_validation_the_average_is_the_result(tmp_path: Path) -> None:
    game = Regression()
    trainer(tmp_path, game.stage(validate=None)).run()
    tensors, _ = read_checkpoint(tmp_path / CHECKPOINT)
    assert_same(
        {f"0.{name}": value for name, value in weights(game.network).items()},
        {k.removeprefix("line/average."): v for k, v in tensors.items() if "/average." in k},
    )


def test_tensorboard_is_told_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Board:
        told: ClassVar[list[tuple[str, int]]] = []
        closed = 0

        def add_scalar(self, name: str, _value: float, step: int) -> None:
            self.told.append((name, step))

        def close(self) -> None:
            Board.closed += 1

    monkeypatch.setattr(log_module, "_tensorboard", lambda folder: Board())
    trainer(tmp_path, Regression().stage()).run()
    assert [step for name, step in Board.told if name == "fit/line_loss"] == list(range(1, 13))
    assert [step for name, step in Board.told if name == "fit/valid_loss"] == [4, 8, 12]
    assert Board.closed == 1


def test_errors_of_the_trainer_are_of_the_tree() -> None:
    assert issubclass(TrainingError, PartimentoError)


def test_checkpoints_hold_what_was_put_in(tmp_path: Path) -> None:
    tensors = {"a": torch.arange(6.0).reshape(2, 3).T, "b": torch.tensor(3, dtype=torch.int64)}
    write_checkpoint(tmp_path / "x.safetensors", tensors, {"step": 3, "best": None})
    found, state = read_checkpoint(tmp_path / "x.safetensors")
    assert_same(found, tensors)
    assert state == {"step": 3, "best": None}


def interrupting(game: Regression, when: int) -> Any:
    """Return a validation during which Ctrl-C comes, the time after ``when`` times."""
    count = [0]

    def validate() -> Mapping[str, float]:
        count[0] += 1
        if count[0] == when:
            os.kill(os.getpid(), signal.SIGINT)
        return game.validate()

    return validate


def test_ctrl_c_gives_up_a_validation_that_the_resumed_run_makes(
    unbroken: tuple[Path, Regression], tmp_path: Path
) -> None:
    game = Regression()
    stage = game.stage(validate=interrupting(game, 2))
    outcome = trainer(tmp_path, stage, save_seconds=1e9).run()
    assert (outcome.finished, outcome.steps) == (False, 8)
    assert len(log(tmp_path)) == 7  # step 8 is taken, but not yet logged
    assert trainer(tmp_path, Regression().stage()).run(resume=True).finished
    assert log(tmp_path) == log(unbroken[0])


def test_ctrl_c_gives_up_a_long_step(
    unbroken: tuple[Path, Regression], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer_module, "_LONG_STEP_SECONDS", -1.0)
    game = Regression()

    def loss(batch: Batch) -> Loss:
        if game.losses == 7:  # five steps and a validation before
            os.kill(os.getpid(), signal.SIGINT)
        return game.loss(batch)

    stage = replace(game.stage(), players=(replace(game.stage().players[0], loss=loss),))
    outcome = trainer(tmp_path, stage, save_seconds=1e9).run()
    assert not outcome.finished
    assert read_checkpoint(tmp_path / CHECKPOINT)[1]["step"] == len(log(tmp_path))
    assert trainer(tmp_path, Regression().stage()).run(resume=True).finished
    assert log(tmp_path) == log(unbroken[0])


def test_a_second_ctrl_c_leaves_the_save_before(tmp_path: Path) -> None:
    class Twice(Stopping):
        def advance(self, step: int, total: int | None, figures: Mapping[str, float]) -> None:
            if step == 3:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)

    outcome = trainer(tmp_path, Regression().stage(), progress=Twice(0), save_seconds=1e9).run()
    assert not outcome.finished
    assert read_checkpoint(tmp_path / CHECKPOINT)[1]["step"] == 0

"""``partimento train`` stopped and resumed: the folder remembers what the run was begun with."""

from __future__ import annotations

import json
import os
import shlex
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from partimento import api, files
from partimento import training_runs as runs
from partimento.cli.main import main
from partimento.errors import ConfigError, TrainingError
from partimento.training.loop.progress import Progress
from partimento.training.loop.trainer import CHECKPOINT

from support.tiny_models import song

BEGIN = (
    "train music_transformer music -o out --preset tiny --steps 4 --seed 3 --threads 1 "
    "--set transpose=0 --set network.width=16 --set training.validate_every=2"
)


def run(command: str) -> int:
    return main(shlex.split(command))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with music of our own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "music").mkdir()
    for seed in range(3):
        files.write(song(seed, bars=2), tmp_path / "music" / f"{seed}.mid")
    return tmp_path


@pytest.fixture
def handler() -> Iterator[None]:
    """Leave Ctrl-C as it was; CI may ignore it, so tests say what it does."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int, presses: int = 1) -> None:
    """Press Ctrl-C after a step."""

    def advance(
        _self: Progress, at: int, _total: int | None, _figures: Mapping[str, float]
    ) -> None:
        if at == step:
            for _ in range(presses):
                os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Progress, "advance", advance)


def steps(out: Path) -> list[int]:
    lines = (out / "training" / "log.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines]


def test_a_stopped_run_is_resumed_by_its_folder_alone(
    here: Path,
    handler: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with monkeypatch.context() as patch:
        stop_at(patch, 3)
        assert run(BEGIN) == 130
    assert steps(here / "out") == [1, 2, 3]
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == (
        "Stopped; out is an unfinished training run, saved at step 3 of 4; "
        "go on with: partimento train --resume -o out; "
        "or export what it has learned: partimento export out -o NEW"
    )
    assert json.loads((here / "out" / "training" / "run.json").read_text()) == {
        "preset": "tiny", "data": [str(here / "music")], "seed": 3, "threads": 1,
    }  # fmt: skip
    (here / "else").mkdir()
    monkeypatch.chdir(here / "else")
    assert run("train --resume -o ../out") == 0
    assert steps(here / "out") == [1, 2, 3, 4]
    trained = json.loads((here / "out" / "config.json").read_text())["trained"]
    assert (trained["seed"], trained["steps"], trained["corpora"]) == (3, 4, ["music"])
    # The options of the beginning may be given again; the run is at its end.
    monkeypatch.chdir(here)
    again = "train music_transformer music --preset tiny --seed 3 --set network.width=16"
    assert run(f"{again} --resume -o out") == 0
    assert steps(here / "out") == [1, 2, 3, 4]


def test_a_second_ctrl_c_and_one_before_the_first_step_exit_alike(
    here: Path,
    handler: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stopped(*_given: object, **_more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files.Corpus, "preflight", stopped)
        assert run(BEGIN) == 130
    assert capsys.readouterr().err == (
        "training music_transformer, preset tiny, on music (3 pieces)\n"
        "Stopped before the first save; nothing was learned\n"
    )
    assert not (here / "out").exists()
    with monkeypatch.context() as patch:
        stop_at(patch, 1, presses=2)
        assert run(BEGIN) == 130
    told = capsys.readouterr().err.splitlines()[-1]
    # The second press saves nothing: what is there is the save before the first step.
    assert "saved at step 0 of 4; go on with: partimento train --resume -o out" in told
    with monkeypatch.context() as patch:
        patch.setattr(runs, "resumed", stopped)  # as in the middle of anything
        assert run("train --resume -o out") == 130


def begun(out: Path, data: Path, **known: object) -> None:
    """Make what is left of a run, without training one."""
    runs.remember(out, runs.Run("music_transformer", (data,), "tiny", 3))
    (out / runs.CHECKPOINT).write_bytes(b"")
    preset = {"system": "music_transformer", "preset": {"transpose": 4}, **known}
    (out / "training" / "preset.json").write_text(json.dumps(preset))


def test_what_is_left_out_is_remembered_and_what_contradicts_is_refused(here: Path) -> None:
    out, music = here / "out", here / "music"
    with pytest.raises(TrainingError, match="out holds no run to resume"):
        runs.resumed(out, None, ())
    begun(out, music)
    found = runs.resumed(out, None, ())
    assert found == runs.Run("music_transformer", (str(music),), "tiny", 3, None, {"transpose": 4})
    assert runs.resumed(out, "music_transformer", ["music"], "tiny").values == {"transpose": 4}
    assert runs.resumed(out, None, (), "default", 5, 2) == runs.Run(
        "music_transformer", (str(music),), "default", 5, 2
    )  # another preset or seed is refused by the training loop, which knows what differs
    with pytest.raises(TrainingError, match=r"with music_transformer \(not performance_rnn\)"):
        runs.resumed(out, "performance_rnn", ())
    with pytest.raises(TrainingError, match=r"begun with the data .*music \(not jsb_chorales\)"):
        runs.resumed(out, None, ["jsb_chorales"])
    music.rename(here / "moved")
    assert runs.resumed(out, None, ["moved"]).data == ("moved",)
    with pytest.raises(TrainingError, match="holds a run already"):
        runs.begun(out, "music_transformer", ["moved"])


def test_a_run_that_forgot_asks_for_what_it_lacks(here: Path) -> None:
    out, music = here / "out", here / "music"
    begun(out, music)
    (out / "training" / "run.json").unlink()
    with pytest.raises(TrainingError, match="does not remember its data and seed; give all that"):
        runs.resumed(out, None, ())
    assert runs.resumed(out, None, [music], seed=3).data == (music,)
    (out / "training" / "preset.json").unlink()
    with pytest.raises(TrainingError, match="does not remember its system and options"):
        runs.resumed(out, None, [music])
    assert runs.resumed(out, "music_transformer", [music]).values is None
    with pytest.raises(ConfigError, match="name the system to train"):
        api.train(None, (), here / "new")


def test_known_corpora_keep_their_names(here: Path) -> None:
    names = ("jsb_chorales", "openscore_lieder:part=piano,x", "./nottingham")
    runs.remember(here / "out", runs.Run("hum", names))
    kept = json.loads((here / "out" / "training" / "run.json").read_text())["data"]
    assert kept == [*names[:2], str(here / "nottingham")]
    with pytest.raises(ConfigError, match=r"data\.openscore_lieder\.x: unknown option; known: pd"):
        runs.open_data(names[1])


def test_the_checkpoint_of_training_is_the_one_that_is_looked_for() -> None:
    assert runs.CHECKPOINT.name == CHECKPOINT


def test_an_unfinished_run_is_named_as_one(
    here: Path, handler: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        stop_at(patch, 3)
        assert run(BEGIN) == 130
    capsys.readouterr()
    told = "out is an unfinished training run, saved at step 3 of 4; go on with: partimento train"
    assert run("generate --model out -o x.mid") == 1
    assert told in capsys.readouterr().err
    monkeypatch.setenv("PARTIMENTO_MODELS", str(here))
    monkeypatch.setenv("COLUMNS", "300")
    assert run("models") == 0
    assert f"{here / 'out'} is an unfinished training run" in capsys.readouterr().out
    assert run("export out -o model") == 0
    assert (here / "model" / "config.json").is_file()


def test_a_refused_training_leaves_no_folder(here: Path) -> None:
    (here / "empty").mkdir()
    (here / "bad").mkdir()
    (here / "bad" / "x.mid").write_bytes(b"MThd")
    for wrong in (
        "train music_transformer empty -o out",
        "train music_transformer bad -o out --preset tiny",
        "train music_transformer music -o out --preset tiny --steps 1000000000000000000000",
        "train music_transformer music -o out --preset tiny --minutes nan",
        "train music_transformer music -o out --preset tiny --minutes inf",
        "train music_transformer music -o out --preset tiny --set training.batch_size=100000",
        "train music_transformer music -o out --preset tiny --set training.learning_rate=NaN",
        "train music_transformer music -o out --preset tiny --start-from nowhere",
        "train music_transformer music -o out --preset tiny --seed -1",
        "train music_transformer music -o out --preset tiny --threads 0",
    ):
        assert run(wrong) == 1, wrong
        assert not (here / "out").exists(), wrong


def test_stale_temporary_checkpoints_are_removed(here: Path) -> None:
    training = here / "out" / "training"
    training.mkdir(parents=True)
    stale = training / ".checkpoint-abcd1234.safetensors"
    stale.write_bytes(b"")
    assert run(BEGIN) == 0
    assert not stale.exists()


def test_steps_and_settings_keep_the_other_options(here: Path) -> None:
    assert run(f"{BEGIN} --set recipe.batch_size=3") == 0
    kept = json.loads((here / "out" / "training" / "preset.json").read_text())["preset"]["training"]
    assert (kept["steps"], kept["batch_size"], kept["length"]) == (4, 3, 64)

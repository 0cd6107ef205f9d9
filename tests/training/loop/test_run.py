"""From a folder of music to a model folder that plays: the whole run, small."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from partimento.errors import FileError, TrainingError
from partimento.files.corpora.corpus import Corpus
from partimento.music import Promises
from partimento.runtime.contract import Request, SamplingControls
from partimento.runtime.model_folder import ModelFolder
from partimento.runtime.presets import TokenPreset
from partimento.runtime.tokens.performer import TokenPerformer
from partimento.seeds import generator
from partimento.training.loop.progress import Progress
from partimento.training.loop.run import load_best, train
from partimento.training.tokens.task import TokenTask, sequence_nll

from support.tiny_models import (
    RECIPE,
    chorales,
    corpus,
    grid_preset,
    lstm,
    song,
    training_task_of,
    transformer,
)

PRESET = grid_preset(transformer(dropout=0.1))


def said() -> tuple[io.StringIO, Progress]:
    stream = io.StringIO()
    return stream, Progress(stream)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TokenTask, str]:
    """Return a trained model's folder, its training_task, and what was said."""
    out = tmp_path_factory.mktemp("runs") / "small"
    training_task = training_task_of(PRESET)
    stream, progress = said()
    outcome = train(training_task, [chorales()], out, seed=5, progress=progress, threads=1)
    assert outcome.finished
    return out, training_task, stream.getvalue()


def test_a_run_leaves_a_model_and_what_training_needs(
    made: tuple[Path, TokenTask, str],
) -> None:
    out, _, text = made
    assert sorted(path.name for path in out.iterdir()) == [
        "card.md", "config.json", "copies.index", "decoder.int8.onnx", "training",
    ]  # fmt: skip
    assert sorted(path.name for path in (out / "training").iterdir()) == [
        "best.safetensors", "checkpoint.safetensors", "copies.index", "log.jsonl", "preset.json",
        "tokens.npz",
    ]  # fmt: skip
    assert "3 pieces to learn from (768 tokens), 1 to validate" in text
    assert f"{out} is a model now" in text
    remembered = json.loads((out / "training" / "preset.json").read_text())
    assert TokenPreset.model_validate(remembered["preset"]) == PRESET


def test_the_config_tells_how_it_was_made(made: tuple[Path, TokenTask, str]) -> None:
    config = ModelFolder.open(made[0]).config
    assert config["trained"]["steps"] == 12
    assert config["trained"]["seed"] == 5
    assert config["trained"]["corpora"] == ["toy"]
    assert config["system"] == "music_transformer"
    assert "for 12 steps" in (made[0] / "card.md").read_text()


def test_the_model_plays(made: tuple[Path, TokenTask, str]) -> None:
    performer = TokenPerformer.load(ModelFolder.open(made[0]), threads=1)
    request = Request(promises=Promises(bars=2))
    pieces = list(performer.stream(request, SamplingControls(), generator(0)))
    assert [piece.length_ticks for piece in pieces] == [1920, 1920]


def test_the_graph_that_plays_scores_like_the_network(
    made: tuple[Path, TokenTask, str],
) -> None:
    _, training_task, _ = made
    training_task.network.eval()
    tokens, features = training_task.sets["valid"].piece(0)
    tokens, features = tokens[:32], features[:32]
    performer = TokenPerformer.load(ModelFolder.open(made[0]), threads=1)
    wanted = sequence_nll(
        training_task.network,
        training_task.representation,
        tokens,
        features,
        training_task.local_width,
        24,
    )
    found = performer.nll(tokens)
    assert found.shape == (32,)
    assert abs(found[:24].mean() - wanted[:24].mean()) < 0.01 * wanted[:24].mean()


def test_a_run_is_not_overwritten_and_resumes_to_the_same(
    made: tuple[Path, TokenTask, str],
) -> None:
    out = made[0]
    with pytest.raises(TrainingError, match="holds a run already; use --resume"):
        train(training_task_of(PRESET), [chorales()], out, seed=5, progress=said()[1])
    before = (out / "decoder.int8.onnx").read_bytes()
    outcome = train(
        training_task_of(PRESET), [chorales()], out, seed=5, resume=True, progress=said()[1]
    )
    assert outcome.finished
    assert (out / "decoder.int8.onnx").read_bytes() == before


def test_a_run_is_resumed_with_the_options_it_was_begun_with(
    made: tuple[Path, TokenTask, str],
) -> None:
    out = made[0]
    before = (out / "training" / "preset.json").read_bytes()
    steps = PRESET.training.steps
    longer = PRESET.model_copy(
        update={"training": PRESET.training.model_copy(update={"steps": 99})}
    )
    with pytest.raises(TrainingError, match=rf"begun with training\.steps {steps} \(not 99\)"):
        train(training_task_of(longer), [chorales()], out, seed=5, resume=True, progress=said()[1])
    assert (out / "training" / "preset.json").read_bytes() == before


def test_a_run_without_a_validation_has_no_weights_to_give(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no validated weights yet"):
        load_best(training_task_of(PRESET), tmp_path)


def test_seeds_make_models_alike(made: tuple[Path, TokenTask, str], tmp_path: Path) -> None:
    train(training_task_of(PRESET), [chorales()], tmp_path / "small", seed=5, progress=said()[1])
    same = ModelFolder.open(tmp_path / "small")
    assert same.hash == ModelFolder.open(made[0]).hash


def test_training_goes_on_from_an_earlier_run(
    made: tuple[Path, TokenTask, str], tmp_path: Path
) -> None:
    later, fresh = training_task_of(PRESET), training_task_of(PRESET)
    training = RECIPE.model_copy(update={"steps": 1, "learning_rate": 1e-9, "ema": 0.0})
    later.preset = PRESET.model_copy(update={"training": training})
    train(later, [chorales()], tmp_path / "later", start_from=made[0], progress=said()[1])
    load_best(fresh, made[0])
    for name, value in fresh.network.state_dict().items():
        if name.startswith("head."):  # each run calibrates its own
            continue
        np.testing.assert_allclose(later.network.state_dict()[name], value, atol=1e-6)
    other = training_task_of(grid_preset(transformer(width=32)))
    with pytest.raises(TrainingError, match="network of another shape"):
        load_best(other, made[0])


def test_training_goes_on_from_a_model_folder(
    made: tuple[Path, TokenTask, str], tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(made[0], folder, ignore=shutil.ignore_patterns("training"))
    later, fresh = training_task_of(PRESET), training_task_of(PRESET)
    training = RECIPE.model_copy(update={"steps": 1, "learning_rate": 1e-9, "ema": 0.0})
    later.preset = PRESET.model_copy(update={"training": training})
    train(later, [chorales()], tmp_path / "later", start_from=folder, progress=said()[1])
    load_best(fresh, made[0])
    for name, value in fresh.network.state_dict().items():
        if not name.startswith("head."):  # each run calibrates its own
            bound = float(value.abs().max()) / 64  # the graph holds eight bits
            np.testing.assert_allclose(later.network.state_dict()[name], value, atol=bound)
    with pytest.raises(TrainingError, match="no run with validated weights and no model folder"):
        train(later, [chorales()], tmp_path / "no", start_from=tmp_path, progress=said()[1])


def test_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="holds no run to resume"):
        train(training_task_of(PRESET), [chorales()], tmp_path, resume=True, progress=said()[1])


def test_nothing_to_learn_from(tmp_path: Path) -> None:
    empty = Corpus("empty", "", ())
    with pytest.raises(TrainingError, match="no piece to learn from"):
        train(training_task_of(PRESET), [empty], tmp_path / "out", progress=said()[1])


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be made"):
        train(training_task_of(PRESET), [chorales()], tmp_path / "file", progress=said()[1])


def test_one_piece_is_enough(tmp_path: Path) -> None:
    preset = grid_preset(lstm(), representation={"name": "performance_events"})
    stream, progress = said()
    train(
        training_task_of(preset), [corpus([song(0)], valid=0)], tmp_path / "one", progress=progress
    )
    assert "the last tenth of each piece is held out" in stream.getvalue()
    assert ModelFolder.open(tmp_path / "one").config["network"]["kind"] == "recurrent"

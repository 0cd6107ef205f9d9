"""The toy through the whole program: several prompts, conditions, drafts, codes, named networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from partimento import api, catalog
from partimento.errors import ConfigError, FileError, MusicError, NotSupported
from partimento.generation.options import MusicalOptions
from partimento.music import Score
from partimento.recipe import parse_recipe
from partimento.runtime.codes import Codes
from partimento.runtime.conditions import LabelsCondition, StyleCondition, TextCondition
from partimento.runtime.contract import Draft, Task
from partimento.runtime.model_folder import ModelFolder
from partimento.training.loop.checkpoints import read_checkpoint, tensors_under
from partimento.training.loop.progress import Progress
from partimento.training.loop.run import load_best, train
from partimento.training.loop.trainer import BEST
from partimento.training.loop.warm_start import begin_from

from support.tiny_models import song, songs, system_task

HIGH, LOW = StyleCondition("high"), StyleCondition("low")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a trained toy, which is its model folder."""
    out = tmp_path_factory.mktemp("toys") / "toy-model"
    progress = Progress(quiet=True)
    outcome = train(system_task("toy"), [songs(4)], out, seed=1, threads=1, progress=progress)
    assert outcome.finished
    return out


@pytest.fixture
def toy(run: Path, monkeypatch: pytest.MonkeyPatch) -> api.Instrument:
    """Return the trained toy, found by its name."""
    monkeypatch.setenv(catalog.MODELS_VARIABLE, str(run))
    return api.load("toy-model", threads=1)


def mean_pitch(score: Score) -> float:
    return float(np.mean([note.pitch for note in score.notes]))


# --- several networks in one training task ---


def networks_of(weights: dict[str, torch.Tensor], parts: dict[str, str]) -> dict[str, Any]:
    return {part: tensors_under(weights, prefix) for part, prefix in parts.items()}


def test_the_best_weights_of_every_part_are_kept(run: Path) -> None:
    tensors, state = read_checkpoint(run / "training" / BEST)
    assert list(state["parts"]) == ["denoiser", "encoder", "decoder"]
    task = system_task("toy")
    load_best(task, run)
    for part, weights in networks_of(tensors, state["parts"]).items():
        for name, value in task.networks[part].state_dict().items():
            torch.testing.assert_close(value, weights[name])


def test_another_run_begins_from_all_parts(run: Path) -> None:
    best, later = system_task("toy"), system_task("toy")
    load_best(best, run)
    begin_from(later, run)
    for part, network in later.networks.items():
        for name, value in network.state_dict().items():
            torch.testing.assert_close(value, best.networks[part].state_dict()[name])


def test_the_graphs_are_the_networks(run: Path, tmp_path: Path) -> None:
    task = system_task("toy")
    load_best(task, run)
    folder = task.export(tmp_path / "fp32", {}, ("fp32",))
    player: Any = catalog.find_card("toy").load(folder, precision="fp32")  # type: ignore[call-arg]
    for part, network in task.networks.items():
        x = np.random.default_rng(0).normal(size=(5, network[0].in_features)).astype(np.float32)  # type: ignore[index,union-attr]
        with torch.no_grad():
            wanted = network(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(player._run(part, x), wanted, atol=1e-5)


# --- conditions ---


def test_a_style_steers_the_music(toy: api.Instrument) -> None:
    pitches = {
        style.style: np.mean(
            [mean_pitch(toy.generate(bars=4, conditions=[style], seed=s).score) for s in range(4)]
        )
        for style in (HIGH, LOW)
    }
    assert pitches["high"] > pitches["low"] + 0.5


def test_a_condition_that_is_not_declared_is_refused_by_name(toy: api.Instrument) -> None:
    with pytest.raises(NotSupported, match="toy takes no condition text; it takes: labels, style"):
        toy.generate(bars=1, conditions=[TextCondition("calm")])
    with pytest.raises(NotSupported, match="takes no condition text"):
        toy.interpolate(song(0), song(1), conditions=[TextCondition("calm")])
    with pytest.raises(MusicError, match="two style conditions"):
        toy.generate(bars=1, conditions=[HIGH, LOW])
    with pytest.raises(ConfigError, match="conditions"):
        toy.generate(bars=1, conditions=["high"])  # type: ignore[list-item]


def test_conditions_are_replayed(toy: api.Instrument, tmp_path: Path) -> None:
    conditions = [LOW, LabelsCondition({"density": 0.3})]
    result = toy.generate(bars=2, conditions=conditions, seed=4)
    assert result.recipe.conditions == {"style": "low", "labels": {"density": 0.3}}
    assert api.replay(result.save(tmp_path / "made.mid")).is_same()


# --- drafts and codes ---


def test_drafts_reach_only_who_asks(toy: api.Instrument) -> None:
    plan = toy.plan(Task.GENERATE, MusicalOptions(bars=2), {"steps": 5}, seed=3)
    drafts: list[Draft] = []
    seen = toy.perform(plan, on_draft=drafts.append)
    assert [draft.level for draft in drafts] == [0, 1, 2, 3]
    assert all(draft.piece.length_ticks == 2 * 1920 for draft in drafts)  # type: ignore[union-attr]
    assert toy.perform(plan).score == seen.score
    assert all(isinstance(piece, Score) for piece in toy.pieces(plan))
    assert all(isinstance(piece, Score) for piece in toy.stream(bars=2, seed=3))


def test_codes_are_saved_and_loaded(toy: api.Instrument, tmp_path: Path) -> None:
    result = toy.generate(bars=2, seed=3)
    codes = result.codes
    assert codes is not None
    assert codes.system == "toy"
    assert codes.arrays["latents"].shape == (8, 4)
    again = Codes.load(codes.save(tmp_path / "codes.npz"))
    np.testing.assert_array_equal(again.arrays["latents"], codes.arrays["latents"])
    assert parse_recipe(again.recipe, "codes.npz") == result.recipe


# --- tasks of several prompts ---


def test_an_interpolation_goes_from_one_end_to_the_other(toy: api.Instrument) -> None:
    first, second = song(0, bars=1), song(1, bars=1)
    result = toy.interpolate(first, second, steps=5, seed=0)
    assert len(result.pieces) == 5
    assert result.score.length_ticks == 5 * 1920
    back = toy.interpolate(second, first, steps=5, seed=0)
    tracks = [piece.tracks for piece in result.pieces]
    assert [piece.tracks for piece in back.pieces] == tracks[::-1]
    for steps in (1, 0, 2000):
        with pytest.raises(MusicError, match=r"steps must be in 2\.\.1024"):
            toy.interpolate(first, second, steps=steps)


def test_a_transfer_takes_on_the_style(toy: api.Instrument) -> None:
    content = song(2, bars=2)
    low = toy.transfer(content, conditions=[LOW]).score
    high = toy.transfer(content, conditions=[HIGH]).score
    assert low.length_ticks == high.length_ticks == content.length_ticks
    assert mean_pitch(low) < mean_pitch(high)
    assert toy.transfer(content, like=song(3)).score.notes
    with pytest.raises(NotSupported, match="needs a piece to be like, or a style"):
        toy.transfer(content)


def test_what_was_made_from_two_prompts_is_replayed(toy: api.Instrument, tmp_path: Path) -> None:
    paths = [api.write(song(at, bars=1), tmp_path / f"{at}.mid") for at in (0, 1)]
    walk = toy.interpolate(*paths, steps=3, seed=5)
    assert [record.path for record in walk.recipe.prompts] == [str(path) for path in paths]
    made = walk.save(tmp_path / "walk.mid")
    assert api.replay(made).is_same()
    paths[1].write_bytes(paths[0].read_bytes())
    with pytest.raises(FileError, match="the prompt has changed"):
        api.replay(made)


def test_a_task_is_refused_with_the_models_that_can(toy: api.Instrument) -> None:
    with pytest.raises(NotSupported, match=r"toy cannot render; it can .*; models that can: "):
        toy.render_score(song(0))
    with pytest.raises(NotSupported, match=r"toy cannot humanize; .*; models that can: tts-gan"):
        toy.plan(Task.HUMANIZE, MusicalOptions(), {}, prompt=song(0))
    assert "toy-model" in catalog.models_that(Task.INTERPOLATE)
    assert catalog.default_model(Task.TRANSFER) == "toy-model"


def test_promises_and_bars_are_not_asked_of_tasks_of_prompts(toy: api.Instrument) -> None:
    with pytest.raises(NotSupported, match="bars, key cannot be asked of transfer"):
        toy.plan(Task.TRANSFER, MusicalOptions(bars=2, key="C"), {}, prompt=song(0))
    with pytest.raises(MusicError, match=r"interpolate takes 2\.\.2 prompts, not 1"):
        toy.plan(Task.INTERPOLATE, MusicalOptions(), {}, prompt=song(0), steps=3)
    with pytest.raises(MusicError, match="one prompt can be used here, not 2"):
        toy.plan(Task.CONTINUE, MusicalOptions(), {}, prompt=(song(0), song(1)))


def test_the_folder_names_its_networks(run: Path) -> None:
    assert set(ModelFolder.open(run).config["files"]) == {
        "denoiser.int8.onnx",
        "encoder.int8.onnx",
        "decoder.int8.onnx",
    }

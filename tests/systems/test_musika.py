"""Musika: one run through all its stages, what it writes, how it goes on, the published sizes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from partimento import api
from partimento.config import validate_config
from partimento.errors import ConfigError, TrainingError
from partimento.files.audio.sound_files import write_audio
from partimento.files.corpora.corpus import Corpus, open_corpus
from partimento.music import Audio
from partimento.runtime.audio.presets import MusikaPreset
from partimento.runtime.model_folder import ModelFolder
from partimento.systems.musika import CARD, PRESETS
from partimento.systems.musika.training import MusikaTask, training_task
from partimento.training.loop.checkpoints import read_checkpoint, write_checkpoint
from partimento.training.loop.progress import Progress
from partimento.training.loop.run import load_best, train
from partimento.training.loop.trainer import BEST, all_modules

from support.doc_pages import ROOT, rows
from support.tiny_models import corpus, song
from support.two_ranks import run_two_ranks

TINY = PRESETS["tiny"]


def music() -> Corpus:
    return corpus([song(seed, bars=3) for seed in range(3)])


def silent(_text: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a whole run of the tiny preset."""
    out = tmp_path_factory.mktemp("musika") / "run"
    outcome = train(training_task(TINY), [music()], out, progress=Progress(quiet=True))
    assert outcome.finished
    return out


def test_a_run_goes_through_all_its_stages(run: Path) -> None:
    lines = [json.loads(text) for text in (run / "training" / "log.jsonl").read_text().splitlines()]
    stages = list(dict.fromkeys(line["stage"] for line in lines))
    assert stages == ["codec", "discriminator", "latents"]
    losses = [value for line in lines for name, value in line.items() if name.endswith("_loss")]
    assert np.isfinite(losses).all()


def test_a_run_can_be_listened_to(run: Path) -> None:
    demos = {path.name for path in (run / "training" / "demo").iterdir()}
    assert demos >= {"codec-001.png", "codec-001.wav", "latents-001.png", "latents-001.wav"}


def test_what_is_written_can_be_played(run: Path) -> None:
    folder = ModelFolder.open(run)
    assert {"decoder.int8.onnx", "encoder.int8.onnx", "generator.int8.onnx"} <= set(
        folder.config["files"]
    )
    network = folder.config["network"]
    assert network["codec"]["latent_width"] == TINY.codec.latent_width
    assert len(network["conditions"]["density"]) == 11
    assert folder.config["trained"]["minutes"] > 0
    made = api.load(str(run)).generate(seconds=0.5, seed=3)
    assert made.audio.samples.shape == (2, 22_050)


def test_the_best_weights_come_back(run: Path) -> None:
    again = training_task(TINY)
    again.recall(run / "training")
    state = load_best(again, run)
    assert np.isfinite(state["figures"]["loss"])
    assert set(again.sets) == {"train", "valid", "test"}


def test_an_exported_run_plays_the_scale_it_learnt_and_tells_its_data(
    run: Path, tmp_path: Path
) -> None:
    begun = tmp_path / "run"
    shutil.copytree(run, begun)
    (begun / "config.json").unlink()
    tensors, state = read_checkpoint(begun / "training" / BEST)
    name = next(each for each in tensors if each.endswith("decoder.scaling.mean"))
    tensors[name] = tensors[name] + 1  # as of a run that began with another's codec
    write_checkpoint(begun / "training" / BEST, tensors, state)
    out = api.export(begun, tmp_path / "out")
    trained = ModelFolder.open(run).config["trained"]
    assert ModelFolder.open(out).config["trained"]["corpora"] == trained["corpora"]
    loud, usual = (
        api.load(str(each)).generate(seconds=0.5, seed=3).audio.samples for each in (out, run)
    )
    assert np.abs(loud).mean() > 1.5 * np.abs(usual).mean()


def test_sound_too_short_for_the_game_is_refused_before_training(tmp_path: Path) -> None:
    songs = tmp_path / "songs"
    songs.mkdir()
    draw = np.random.default_rng(0)
    for name in "abc":
        noise = Audio((0.1 * draw.standard_normal((2, 66_150))).astype(np.float32), 44_100)
        write_audio(noise, songs / f"{name}.wav")
    with pytest.raises(TrainingError, match=r"longest piece has 1\.5 seconds"):
        training_task(TINY).prepare([open_corpus(songs)], tmp_path, silent)


def test_a_damaged_recording_is_read_as_far_as_it_can_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    songs = tmp_path / "songs"
    songs.mkdir()
    draw = np.random.default_rng(0)
    noise = Audio((0.1 * draw.standard_normal((2, 352_800))).astype(np.float32), 44_100)
    path = songs / "cut.flac"
    write_audio(noise, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    short = {
        f"{each}.steps": 1 for each in ("training", "codec_training", "discriminator_training")
    }
    api.train("musika", [songs], tmp_path / "out", preset="tiny", overrides=short)
    assert "read as far as possible: songs/cut.flac" in capsys.readouterr().err


def test_modules_stand_once_and_the_codec_is_what_is_played() -> None:
    made = training_task(TINY)
    modules = all_modules(made.stages())
    assert made.network in modules.values()
    assert len({id(module) for module in modules.values()}) == len(modules)
    assert any(module is made.game.network for module in modules.values())


def test_the_scale_of_features_is_that_of_the_music(tmp_path: Path) -> None:
    made = training_task(TINY)
    before = made.network.decoder.scaling.mean.clone()
    made.prepare([music()], tmp_path, silent)
    after = made.network.decoder.scaling.mean
    assert not torch.equal(before, after)
    torch.testing.assert_close(after, made.network.encoder.scaling.mean)
    assert after[0, :100].mean() > after[0, -100:].mean()


def test_nothing_to_hear_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no sound"):
        training_task(TINY).prepare([Corpus("none", "CC0-1.0", ())], tmp_path, silent)


def test_minutes_are_shared_out() -> None:
    preset = validate_config(
        MusikaPreset, {"training": {"minutes": 10}, "codec_training": {"steps": 7}}, "test"
    )
    configs = preset.trainings()
    assert [each.minutes for each in configs] == [5, 2, 3]
    assert all(each.steps is None for each in configs)
    stages = MusikaTask(preset).stages()
    assert [stage.training.minutes for stage in stages] == [5, 2, 3]


def test_the_sizes_of_the_presets() -> None:
    with torch.device("meta"):
        made = training_task(PRESETS["ensemble"])
    weights = [*made.network.parameters(), *made.game.network.parameters()]
    assert 6e6 < sum(weight.numel() for weight in weights) < 8 * 2**20  # a byte each
    with torch.device("meta"):
        paper = training_task(PRESETS["paper"])
    published = sum(weight.numel() for weight in paper.network.parameters())
    assert round(published / 1e6, 1) == 28.1  # 4.8 + 12.7 + 4.0 + 6.6
    with pytest.raises(ConfigError, match="flowing"):
        paper.stages()


def test_the_page_has_the_generators_sizes() -> None:
    """The third column of the presets' table; the codec's is held by the tests of all pages."""
    page = (ROOT / "docs" / "systems" / "musika.md").read_text()
    told = {row[0].strip("`"): row[2] for row in rows(page) if len(row) == 5}
    for name, preset in PRESETS.items():
        with torch.device("meta"):
            network = training_task(preset).game.network
        assert told[name] == f"{sum(weight.numel() for weight in network.parameters()):,}"


def test_the_card() -> None:
    assert CARD.makes == "audio"
    assert CARD.paper.year == 2022


RANK = """
import os, sys
from pathlib import Path
from safetensors.torch import save_file
from systems.test_musika import TINY, music
from partimento.systems.musika.training import training_task
from partimento.training.loop.progress import Progress
from partimento.training.loop.run import train

if __name__ == "__main__":
    out, made = Path(sys.argv[1]), training_task(TINY)
    assert train(made, [music()], out / "run", progress=Progress(quiet=True), threads=1).finished
    weights = {**made.network.state_dict(), **made.game.network.state_dict(prefix="game.")}
    weights = {name: value.contiguous() for name, value in weights.items()}
    save_file(weights, out / f"{os.environ['RANK']}.safetensors")
"""


def test_two_ranks_end_with_the_same_weights(tmp_path: Path) -> None:
    run_two_ranks(RANK, tmp_path, Path(__file__).parent)
    first, second = (load_file(tmp_path / f"{rank}.safetensors") for rank in (0, 1))
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], rtol=0, atol=0, msg=name)
    assert api.load(str(tmp_path / "run")).generate(seconds=0.2, seed=1).audio.duration_seconds > 0

"""Jukebox: one run through all its stages, what it writes, the published sizes and losses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from partimento import api
from partimento.errors import ConfigError, TrainingError
from partimento.files.corpora.corpus import Corpus
from partimento.representations.sound_labels import (
    labels_of_name,
    letters_of,
    lyrics_window,
    time_bins,
)
from partimento.runtime.audio_tokens.presets import JukeboxPreset
from partimento.runtime.model_folder import ModelFolder
from partimento.systems.jukebox import CARD, PRESETS
from partimento.systems.jukebox.published_codec import (
    PublishedVQVAE,
    reconstruction_loss,
    spectral_loss,
    top_k_loss,
)
from partimento.systems.jukebox.training import JukeboxTask, training_task
from partimento.training.loop.progress import Progress
from partimento.training.loop.run import train

from support.tiny_models import corpus, roughen, song

TINY = PRESETS["tiny"]
NAMES = {"artists": ("unknown", "Ann", "Bob"), "genres": ("unknown", "slow", "loud")}


def untrained(out: Path) -> Path:
    """Write a tiny model of random weights far from zero, and return its folder."""
    torch.manual_seed(0)
    task = JukeboxTask(TINY.model_copy(update=NAMES))
    for network in task.networks.values():
        roughen(network)
        for name, value in network.named_parameters():
            if "norm" not in name:
                torch.nn.init.normal_(value, std=0.5)
    return task.export(out, {}).path


def silent(_text: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a whole run of the tiny preset."""
    out = tmp_path_factory.mktemp("jukebox") / "run"
    music = corpus([song(seed, bars=3) for seed in range(3)])
    outcome = train(training_task(TINY), [music], out, progress=Progress(quiet=True))
    assert outcome.finished
    return out


def test_a_run_goes_through_all_its_stages(run: Path) -> None:
    lines = [json.loads(text) for text in (run / "training" / "log.jsonl").read_text().splitlines()]
    stages = list(dict.fromkeys(line["stage"] for line in lines))
    assert stages == ["codec", "prior1", "prior0"]
    losses = [value for line in lines for name, value in line.items() if name.endswith("_loss")]
    assert np.isfinite(losses).all()
    assert {"level0_perplexity", "level1_dead", "valid_perplexity_0"} <= set(lines[5])
    assert "valid_bigram" in lines[-1]
    assert (run / "training" / "demo" / "codec-001.wav").exists()


def test_what_is_written_can_be_played(run: Path) -> None:
    folder = ModelFolder.open(run)
    assert folder.config["network"]["artists"] == ["unknown"]
    assert {"prior_0", "prior_1", "encoder_1", "decoder_0", "conditions_1"} <= set(folder.parts)
    made = api.load(str(run)).generate(seconds=0.5, seed=3)
    assert made.audio.samples.shape == (2, 22_050)
    assert made.codes is not None


def test_nothing_to_hear_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no sound"):
        training_task(TINY).prepare([Corpus("none", "CC0-1.0", ())], tmp_path, silent)


def test_minutes_and_steps_are_shared_out() -> None:
    preset = JukeboxPreset(training=TINY.training.model_copy(update={"minutes": 20}))
    assert [each.minutes for each in preset.trainings()] == pytest.approx([11, 3, 3, 3])
    each = PRESETS["games"].trainings()
    assert [config.steps for config in each] == [4000, 1000, 2000, 3000]
    config = JukeboxPreset(training=TINY.training.model_copy(update={"steps": 10}))
    assert [config.steps for config in config.trainings()] == [40, 10, 10, 10]


def test_the_published_sizes() -> None:
    with torch.device("meta"):
        paper = training_task(PRESETS["paper"])
    codecs = [sum(w.numel() for w in each.parameters()) for each in paper.codecs]
    books = 3 * 2048 * 64
    assert round((sum(codecs) + books) / 1e6) == 2  # "2 million parameters"
    priors = [sum(w.numel() for w in each.parameters()) for each in paper.priors]
    assert [round(count / 1e9) for count in priors[:2]] == [1, 1]  # "1 billion" each
    layers = sum(w.numel() for w in paper.priors[2].layers.parameters())
    assert round(layers / 1e9) == 5  # "5 billion"
    with pytest.raises(ConfigError, match="spectral"):
        paper.stages()


@pytest.mark.parametrize("level", [0, 1, 2])
def test_the_published_codec_has_its_hop(level: int) -> None:
    config = PRESETS["paper"].codec.model_copy(update={"width": 4, "depth": 1, "code_width": 6})
    torch.manual_seed(0)
    made = PublishedVQVAE(config, level)
    samples = 0.1 * torch.randn(2, 4 * config.hops[level])
    said, quantised = made(samples)
    assert said.shape == samples.shape
    assert quantised.codes.shape == (2, 4)
    made.eval()
    codes = made.encode(samples)
    torch.testing.assert_close(made.decode(codes), made(samples)[0])


def test_the_published_losses() -> None:
    torch.manual_seed(0)
    true, made = 0.1 * torch.randn(2, 8000), 0.1 * torch.randn(2, 8000)
    squares = (made - true).square()
    largest = squares.sort(dim=1, descending=True).values[:, :100].mean()
    torch.testing.assert_close(top_k_loss(made, true, 100), largest)
    assert float(reconstruction_loss(true, true)) == pytest.approx(0, abs=1e-6)
    assert float(spectral_loss(-true, true)) == pytest.approx(0, abs=1e-4)  # magnitudes alone
    assert reconstruction_loss(made, true) > reconstruction_loss(0.5 * (made + true), true)


def test_labels_come_of_names() -> None:
    found = labels_of_name("songs/rock/live/Ann Bee - A title - live")
    assert (found.artist, found.genres) == ("Ann Bee", ("rock", "live"))
    assert labels_of_name("songs/a title").artist == "unknown"
    assert labels_of_name("songs/1/2/3/4/5/6/x - y").genres == ("2", "3", "4", "5", "6")


def test_time_is_told_in_bins() -> None:
    bins = time_bins(np.array([0.0, 50.0, 99.9, 700.0]), 100.0)
    assert bins[:, 0].tolist() == [21, 21, 21, 21]  # 100 of 600 seconds
    assert bins[:, 1].tolist() == [0, 10, 21, 127]
    assert bins[:, 2].tolist() == [0, 64, 127, 127]


def test_lyrics_are_seen_about_their_place() -> None:
    letters = letters_of("abcdefghij")
    assert lyrics_window(letters, 4, 0.5).tolist() == letters[3:7].tolist()
    assert lyrics_window(letters, 4, 0.0).tolist() == letters[:4].tolist()
    assert lyrics_window(letters, 4, 1.0).tolist() == letters[6:].tolist()
    assert lyrics_window(letters[:2], 4, 0.9).tolist() == [0, 0, *letters[:2].tolist()]
    assert letters_of("a€").tolist() == letters_of("a ").tolist()


def test_the_card() -> None:
    assert CARD.makes == "audio"
    assert CARD.has_codes
    assert CARD.paper.year == 2020

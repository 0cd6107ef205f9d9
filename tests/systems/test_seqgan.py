"""SeqGAN: its three stages, what is reported of them, and what cannot be learnt from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from partimento import catalog
from partimento.config import validate_config
from partimento.errors import ConfigError, TrainingError
from partimento.files.corpora.corpus import Corpus
from partimento.music import Promises
from partimento.music.transform import join
from partimento.runtime.contract import Request
from partimento.runtime.model_folder import ModelFolder
from partimento.runtime.presets import TransformerConfig
from partimento.systems.seqgan.card import PRESETS, SeqGanPreset
from partimento.systems.seqgan.training import SeqGan, training_task
from partimento.training.loop.progress import Progress
from partimento.training.loop.run import train
from partimento.training.nn.discriminators.convolution import (
    ConvDiscriminator,
    Highway,
    PrefixDiscriminator,
)

from support.tiny_models import corpus, song

TINY = PRESETS["tiny"]


def melodies(count: int = 5, bars: int = 4) -> Corpus:
    return corpus([song(seed, bars) for seed in range(count)])


def prepared(folder: Path, music: Corpus | None = None, **changes: Any) -> SeqGan:
    torch.manual_seed(0)
    made = training_task(TINY.model_copy(update=changes))
    folder.mkdir(parents=True, exist_ok=True)
    made.prepare([music or melodies()], folder, lambda text: None)
    return made


class StopAt(Progress):
    """Presses Ctrl-C after a step of a stage."""

    def __init__(self, stage: str, step: int) -> None:
        super().__init__(quiet=True)
        self.at, self.stage = (stage, step), ""

    def begin(self, stage: str, step: int, total: int | None) -> None:
        self.stage = stage

    def advance(self, step: int, total: int | None, figures: Mapping[str, float]) -> None:
        if (self.stage, step) == self.at:
            raise KeyboardInterrupt


def lines(out: Path) -> list[dict[str, Any]]:
    text = (out / "training" / "log.jsonl").read_text().splitlines()
    return [
        {key: value for key, value in json.loads(line).items() if key != "seconds"} for line in text
    ]


def test_a_run_ends_in_a_model_that_plays(tmp_path: Path) -> None:
    out = tmp_path / "run"
    outcome = train(training_task(TINY), [melodies()], out, seed=1, progress=Progress(quiet=True))
    assert outcome.finished
    log = lines(out)
    assert [line["stage"] for line in log] == ["likelihood"] * 30 + ["discriminator"] * 4 + [
        "adversarial"
    ] * 4
    assert {"bleu", "self_bleu", "diversity", "novelty", "score_real", "score_made"} <= {
        key.removeprefix("valid_") for key in log[-1]
    }
    assert {
        "generator_reward",
        "generator_entropy",
        "discriminator_real",
        "discriminator_fake",
    } <= set(log[-1])
    card = catalog.find_card("seqgan")
    performer = card.load(ModelFolder.open(out))
    request = Request(promises=Promises(bars=2))
    pieces = performer.stream(request, card.controls(), np.random.default_rng(0))
    whole = join(list(pieces))  # type: ignore[arg-type]
    assert [track.name for track in whole.tracks if track.notes] == ["Melody"]


@pytest.mark.parametrize(
    ("stage", "baseline"),
    [("discriminator", "batch_mean"), ("adversarial", "batch_mean"), ("adversarial", "learned")],
)
def test_a_run_that_was_stopped_goes_on_as_if_it_were_not(
    stage: str, baseline: str, tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    preset = TINY.model_copy(update={"baseline": baseline})
    train(training_task(preset), [melodies()], whole, seed=1, progress=Progress(quiet=True))
    stopped = train(training_task(preset), [melodies()], parts, seed=1, progress=StopAt(stage, 3))
    assert not stopped.finished
    train(
        training_task(preset),
        [melodies()],
        parts,
        seed=1,
        resume=True,
        progress=Progress(quiet=True),
    )
    assert lines(parts) == lines(whole)


def test_the_rollout_policy_begins_as_the_generator_and_lags(tmp_path: Path) -> None:
    made = prepared(tmp_path)
    likelihood, alone, game = made.stages()
    assert [stage.name for stage in (likelihood, alone, game)] == [
        "likelihood", "discriminator", "adversarial",
    ]  # fmt: skip
    alone.players[0].loss(alone.batches(np.random.default_rng(0)))
    head, behind = made.network.head.weight, made.behind.head.weight
    assert torch.equal(head, behind)
    with torch.no_grad():
        head.add_(1.0)
    game.players[0].loss(game.batches(np.random.default_rng(0)))
    torch.testing.assert_close(behind, head - 0.8)


@pytest.mark.parametrize(
    "changes", [{"baseline": "none"}, {"baseline": "learned"}, {"baseline": "rank"}]
)
def test_every_baseline_gives_a_gradient(changes: dict[str, Any], tmp_path: Path) -> None:
    made = prepared(tmp_path, entropy_weight=0.1, teacher_weight=0.5, spacing=3, **changes)
    game = made.stages()[2]
    loss = game.players[0].loss(game.batches(np.random.default_rng(0)))
    loss.total.backward()
    assert all(weight.grad is not None for weight in made.network.parameters())
    assert all(weight.grad is None for weight in made.discriminator.parameters())
    assert {"policy", "nll", "reward", "entropy"} <= set(loss.parts)


def test_a_discriminator_learns_to_tell_and_the_generator_to_please(tmp_path: Path) -> None:
    """Each side against a frozen opponent."""
    made = prepared(tmp_path, entropy_weight=0.0)
    _, alone, game = made.stages()
    draw = np.random.default_rng(0)
    adam = torch.optim.Adam(made.discriminator.parameters(), lr=1e-2)
    for _ in range(60):
        loss = alone.players[0].loss(alone.batches(draw))
        adam.zero_grad()
        loss.total.backward()
        adam.step()
    assert loss.parts["right"] > 0.9
    before = float(game.players[0].loss(game.batches(draw)).parts["reward"])
    adam = torch.optim.Adam(made.network.parameters(), lr=2e-2)
    for _ in range(25):
        pleased = game.players[0].loss(game.batches(draw))
        adam.zero_grad()
        pleased.total.backward()
        adam.step()
    assert float(pleased.parts["reward"]) > before + 0.2


def test_collapse_is_told_and_never_the_best(tmp_path: Path) -> None:
    made = prepared(tmp_path)
    heard: list[str] = []
    made.say = heard.append
    validate = made.stages()[2].validate
    assert validate is not None
    fine = validate()
    assert len(heard) == 1
    with torch.no_grad():
        made.network.head.bias[40] += 50.0  # one pitch for ever
    collapsed = validate()
    assert collapsed["diversity"] < 0.5
    assert collapsed["loss"] > max(1.0, fine["loss"])
    assert "the generator collapsed" in heard[-1]


def test_a_reward_that_is_no_number_is_told(tmp_path: Path) -> None:
    made = prepared(tmp_path)
    game = made.stages()[2]
    with torch.no_grad():
        made.discriminator.head.bias.fill_(float("nan"))
    with pytest.raises(TrainingError, match="reward is not finite"):
        game.players[0].loss(game.batches(np.random.default_rng(0)))


def test_music_that_is_too_short_or_too_little(tmp_path: Path) -> None:
    long = TINY.training.model_copy(update={"length": 40})
    with pytest.raises(TrainingError, match=r"no piece has the 40 steps.*longest has 32"):
        prepared(tmp_path / "a", training=long)
    with pytest.raises(TrainingError, match="a discriminator needs 8 sequences of 8 steps"):
        prepared(tmp_path / "b", melodies(2, bars=3))


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"representation": {"name": "bar_events"}}, "plays melody_steps"),
        ({"network": {"layers": 2, "width": 32, "heads": 4, "kv_heads": 4}}, "is an LSTM"),
        ({"training": {"steps": 3, "length": 6}}, "kernels span 8 tokens and training.length is 6"),
    ],
)
def test_presets_that_cannot_be(values: dict[str, Any], problem: str) -> None:
    whole = {"representation": {"name": "melody_steps"}, "network": {"layers": 1}, **values}
    with pytest.raises(ConfigError, match=problem):
        validate_config(SeqGanPreset, whole)


def test_the_discriminator_of_the_paper() -> None:
    """Twelve widths of filters over embeddings of 64, and a highway of their 1,720 answers."""
    preset = PRESETS["paper"]
    with torch.device("meta"):
        made = training_task(preset).discriminator
    filters = sum(64 * span * count + count for span, count in preset.discriminator.kernels)
    assert sum(count for _, count in preset.discriminator.kernels) == 1720
    count = sum(weight.numel() for weight in made.parameters())
    assert count == 90 * 64 + filters + 2 * (1720 * 1720 + 1720) + 1720 + 1


def test_soft_tokens_are_heard_as_tokens() -> None:
    discriminator = ConvDiscriminator(5, 6, 4, ((2, 3), (3, 2))).eval()
    tokens = torch.randint(0, 5, (3, 6))
    soft = torch.nn.functional.one_hot(tokens, 5).float()
    torch.testing.assert_close(discriminator(soft), discriminator(tokens))
    with pytest.raises(TrainingError, match="span 3 tokens, the sequences have 2"):
        ConvDiscriminator(5, 2, 4, ((2, 3), (3, 2)))


def test_a_highway_begins_by_letting_through() -> None:
    x = torch.randn(4, 6)
    torch.testing.assert_close(Highway(6)(x), x, atol=0.6, rtol=0)


def test_a_discriminator_of_prefixes_hears_nothing_that_comes_later() -> None:
    config = TransformerConfig(layers=1, width=16, heads=2, kv_heads=2, feedforward=16)
    discriminator = PrefixDiscriminator(config, 5).eval()
    tokens = torch.randint(0, 5, (2, 6))
    changed = tokens.clone()
    changed[:, 4:] = (tokens[:, 4:] + 1) % 5
    torch.testing.assert_close(discriminator(changed)[:, :4], discriminator(tokens)[:, :4])
    assert (discriminator(changed)[:, 4] != discriminator(tokens)[:, 4]).all()
    soft = torch.nn.functional.one_hot(tokens, 5).float()
    torch.testing.assert_close(discriminator(soft), discriminator(tokens))

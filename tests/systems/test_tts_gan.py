"""TTS-GAN: the sizes of the paper, what it learns from, how it collapses, and its graph.

Li et al. 2022 give the networks of figure 2; the counts are those of the authors' program. The
generator: noise of 100 to 150 x 10, learned places, three blocks of width 10 with feed-forward
layers of 40, and a head to three values. The discriminator: patches of 15 x 3 to 50, a token and
eleven places, three blocks of width 50, a norm and a head.
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from partimento.config import validate_config
from partimento.errors import ConfigError, TrainingError
from partimento.files.corpora.corpus import Corpus
from partimento.metrics.curve_distances import autocorrelations, compare_curves, js_distance, spread
from partimento.music import Note, Score, Track
from partimento.runtime.curves.generator import (
    SeriesGenerator,
    SeriesNetwork,
    SeriesPreset,
    draw_grain,
)
from partimento.runtime.model_folder import ModelFolder
from partimento.systems.tts_gan import PRESETS
from partimento.systems.tts_gan import training as tts
from partimento.systems.tts_gan.networks import discriminator, network
from partimento.training.curves.data import load_series, save_series
from partimento.training.curves.task import COLLAPSED
from partimento.training.loop.checkpoints import read_checkpoint
from partimento.training.loop.progress import Progress
from partimento.training.loop.run import train
from partimento.training.loop.trainer import BEST
from partimento.training.loop.warm_start import begin_from
from partimento.training.nn.quantiles import Calibration
from partimento.training.nn.transformer_encoder import EncoderAttention
from partimento.training.objectives.energy import energy_score

from support.tiny_models import corpus, groove

TINY = PRESETS["tiny"]


def played(count: int = 4, valid: int = 1, **changes: Any) -> Corpus:
    return corpus([groove(seed, **changes) for seed in range(count)], valid)


def prepared(folder: Path, preset: SeriesPreset = TINY) -> tts.TTSGANTask:
    training_task = tts.training_task(preset)
    training_task.prepare([played()], folder, lambda _text: None)
    return training_task


def count(module: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def block(width: int) -> int:
    """Return the weights of a block: two norms, four projections, two layers four times as wide."""
    return 4 * width + 4 * width * (width + 1) + 2 * 4 * width * width + 5 * width


def test_paper_has_the_sizes_of_the_paper() -> None:
    with torch.device("meta"):
        generator, judge = network(PRESETS["paper"]), discriminator(PRESETS["paper"])
    assert count(generator) == 101 * 1500 + 1500 + 3 * block(10) + 33 == 157_023
    assert count(judge) == 46 * 50 + 50 + 11 * 50 + 3 * block(50) + 100 + 51 == 95_001


@pytest.mark.parametrize("name", list(PRESETS))
def test_every_preset_can_be_built(name: str) -> None:
    with torch.device("meta"):
        assert count(network(PRESETS[name])) > 1000
        assert count(discriminator(PRESETS[name])) > 1000


def test_attention_is_scaled_by_the_width_of_a_head() -> None:
    attention = EncoderAttention(8, 4, 0.0)
    x = torch.randn(2, 5, 8)
    q, k, v = attention.query(x), attention.key(x), attention.value(x)
    wanted = torch.zeros(2, 5, 8)
    for head in range(4):
        part = slice(2 * head, 2 * head + 2)
        logits = q[..., part] @ k[..., part].transpose(1, 2) / math.sqrt(2)
        wanted[..., part] = torch.softmax(logits, -1) @ v[..., part]
    torch.testing.assert_close(attention(x), attention.out(wanted))


@pytest.mark.parametrize("name", ["tiny", "paper"])
@pytest.mark.parametrize("calibrated", [False, True])
def test_the_exported_graph_is_the_network(tmp_path: Path, name: str, calibrated: bool) -> None:
    training_task = tts.training_task(PRESETS[name])
    draw = torch.Generator().manual_seed(1)
    for weight in training_task.network.parameters():
        weight.data.add_(0.3 * torch.randn(weight.shape, generator=draw))
    calibration = training_task.network.calibration
    assert isinstance(calibration, Calibration)
    if calibrated:
        for value in range(len(calibration.base)):
            calibration.fit(value, torch.randn(300), torch.rand(200))
    folder = training_task.export(tmp_path / "hand", {}, ("fp32", "int8"))
    config, curves = training_task.preset.network, training_task.curves
    given = [
        torch.randn(3, config.latent),
        torch.randn(3, curves.steps, config.grain),
        torch.randn(3, curves.steps, curves.feature_count),
    ]
    training_task.network.eval()
    with torch.no_grad():
        wanted = training_task.network(*given).numpy()
    player = SeriesGenerator.load(folder, curves, 1, "fp32")
    assert wanted.std() > 0.05
    made = player.windows(*(part.numpy() for part in given))
    np.testing.assert_allclose(made, wanted, atol=2e-4)
    rounded = SeriesGenerator.load(folder, curves, 1, "int8")
    assert np.abs(rounded.windows(*(part.numpy() for part in given)) - wanted).mean() < 0.2


def test_calibration_maps_quantiles_and_begins_as_nothing() -> None:
    calibration = Calibration(2)
    x = torch.randn(1, 400, 2)
    torch.testing.assert_close(calibration(x), x)
    real = torch.rand(500) ** 2
    for value in range(2):
        calibration.fit(value, x[0, :, value], real)
    mapped = calibration(x)
    levels = torch.linspace(0.05, 0.95, 9)
    for value in range(2):
        got = torch.quantile(mapped[0, :, value], levels)
        torch.testing.assert_close(got, torch.quantile(real, levels), atol=0.03, rtol=0)
        order = x[0, :, value].argsort()
        assert (torch.diff(mapped[0, order, value]) >= -1e-4).all()
    assert float(calibration(torch.full((1, 1, 2), 99.0)).max()) <= 1.01


def test_discriminator_and_generator_pull_apart(tmp_path: Path) -> None:
    training_task = prepared(tmp_path)
    training_task.discriminator.eval()  # dropout would draw again
    batch = training_task.stages()[0].batches(np.random.default_rng(0))
    loss = training_task.discriminator_loss(batch)
    torch.testing.assert_close(
        loss.total,
        (training_task.judged(batch["values"], batch) - 1).square().mean()
        + training_task.judged(training_task.made(batch), batch).square().mean(),
    )
    made = training_task.made(batch)
    silent = batch["mask"].repeat(1, 1, 2) == 0
    assert made[silent].abs().max() == 0
    training_task.game_loss(batch).total.backward()  # type: ignore[no-untyped-call]
    assert all(weight.grad is None for weight in training_task.discriminator.parameters())
    assert all(weight.requires_grad for weight in training_task.discriminator.parameters())


def test_the_energy_score_is_least_for_the_distribution_itself() -> None:
    """One cell, fair coins: what draws them fairly scores better than any other coin."""
    mask = torch.ones(4000, 4, 1)
    draw = torch.Generator().manual_seed(0)

    def coins(share: float) -> torch.Tensor:
        return (torch.rand(mask.shape, generator=draw) < share).float() * 2 - 1

    real = coins(0.5)
    scores = [float(energy_score(coins(p), coins(p), real, mask)) for p in (0.1, 0.5, 0.8)]
    assert scores[1] == min(scores)
    still = torch.zeros(2, 8, 3, requires_grad=True)
    energy_score(still, still * 1.0, torch.zeros(2, 8, 3), torch.ones(2, 8, 3)).backward()  # type: ignore[no-untyped-call]
    assert still.grad is not None
    assert torch.isfinite(still.grad).all()


def test_the_energy_score_is_added_where_it_is_asked(tmp_path: Path) -> None:
    training_task = prepared(tmp_path, TINY.model_copy(update={"energy": 2.0}))
    loss = training_task.game_loss(training_task.stages()[0].batches(np.random.default_rng(0)))
    total = loss.parts["game"] + 2 * loss.parts["energy"]
    torch.testing.assert_close(loss.total.detach(), total)


def test_a_generator_that_says_one_thing_has_collapsed(tmp_path: Path) -> None:
    told: list[str] = []
    training_task = tts.training_task(TINY)
    training_task.prepare([played()], tmp_path, told.append)
    before = training_task.stages()[0].validate
    assert before is not None
    training_task.network.eval()
    with torch.no_grad():
        for part in ("latent", "grain", "score"):
            getattr(training_task.network, part).weight.zero_()
        figures = before()
    assert figures["spread"] < COLLAPSED
    assert figures["loss"] > 1.0
    assert "collapsed" in told[-1]
    assert "last good weights are kept" in told[-1]


def test_a_validation_tells_its_figures(tmp_path: Path) -> None:
    told: list[str] = []
    training_task = tts.training_task(TINY)
    training_task.prepare([played()], tmp_path, told.append)
    validate = training_task.stages()[0].validate
    assert validate is not None
    with torch.no_grad():
        figures = validate()
    assert told[-1].startswith("generated curves: js_velocity ")
    for name in ("js_offset", "spread", "discriminator_real", "discriminator_made"):
        assert f"  {name} {figures[name]:.3f}" in told[-1]


def test_a_run_that_collapsed_from_the_start_leaves_no_model(tmp_path: Path) -> None:
    still = TINY.training.model_copy(update={"steps": 1, "learning_rate": 1e-9})
    training_task = tts.training_task(TINY.model_copy(update={"training": still}))
    drawn = tts.TTSGANTask.fresh

    def silent(self: tts.TTSGANTask) -> tts.TTSGANTask:
        made = drawn(self)
        torch.nn.init.zeros_(made.network.get_parameter("head.weight"))
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tts.TTSGANTask, "fresh", silent)
        with pytest.raises(TrainingError, match="collapsed from the start, so no model is written"):
            train(training_task, [played()], tmp_path / "run", progress=Progress(quiet=True))
    assert not (tmp_path / "run" / "config.json").exists()
    with pytest.raises(TrainingError, match="collapsed from the start"):
        training_task.export(tmp_path / "out", {"valid_spread": 0.1})


def test_training_goes_on_from_a_calibrated_run_without_its_calibration(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    few = TINY.model_copy(update={"training": TINY.training.model_copy(update={"steps": 2})})
    train(tts.training_task(few), [played()], first, seed=1, progress=Progress(quiet=True))
    model = tmp_path / "model"
    shutil.copytree(first, model, ignore=shutil.ignore_patterns("training"))
    identity = torch.randn(1, 3, 6)
    for start in (first, model):
        later = tts.training_task(few)
        begin_from(later, start)
        learnt = read_checkpoint(first / "training" / BEST)[0]
        places = next(name for name in learnt if "generator" in name and name.endswith("/places"))
        torch.testing.assert_close(later.network.get_parameter("places"), learnt[places])
        calibration = later.network.calibration
        assert isinstance(calibration, Calibration)
        torch.testing.assert_close(calibration(identity), identity)
    train(
        tts.training_task(few), [played()], second, start_from=first, progress=Progress(quiet=True)
    )
    figures = [ModelFolder.open(folder).config["trained"] for folder in (first, second)]
    assert figures[1]["valid_js_velocity"] < figures[0]["valid_js_velocity"] + 0.1


def test_finishing_twice_is_finishing_once(tmp_path: Path) -> None:
    training_task = prepared(tmp_path)
    first = training_task.finish()
    before = {name: value.clone() for name, value in training_task.network.state_dict().items()}
    assert training_task.finish() == first
    for name, value in training_task.network.state_dict().items():
        assert torch.equal(value, before[name])


def test_finishing_brings_made_values_onto_the_data(tmp_path: Path) -> None:
    training_task = prepared(tmp_path)
    validate = training_task.stages()[0].validate
    assert validate is not None
    training_task.network.eval()
    with torch.no_grad():
        before = validate()
    after = training_task.finish()
    assert after["valid_js_velocity"] < 0.9 * before["js_velocity"]
    assert after["valid_js_offset"] < 0.9 * before["js_offset"]
    assert tts.training_task(TINY).finish() == {}


def test_the_free_network_learns_from_curves_without_gaps(tmp_path: Path) -> None:
    network_ = {"kind": "free", "width": 10, "heads": 5, "layers": 1, "latent": 4, "patch": 8}
    preset = validate_config(
        SeriesPreset,
        {
            "representation": {"name": "performance_curves", "steps": 16, "channels": "pooled"},
            "network": network_,
            "training": TINY.training.model_dump(),
        },
    )
    training_task = prepared(tmp_path, preset)
    values = training_task.stages()[0].batches(np.random.default_rng(0))["values"].numpy()
    assert values.shape == (4, 16, 3)
    onset = values[..., 2] > 0
    gap = np.flatnonzero(~onset[0, 1:-1] & onset[0, :-2] & onset[0, 2:]) + 1
    around = (values[0, gap - 1, :2] + values[0, gap + 1, :2]) / 2
    np.testing.assert_allclose(values[0, gap, :2], around, atol=1e-5)
    training_task.finish()


def test_music_that_was_not_played_is_refused(tmp_path: Path) -> None:
    cases = {
        "no dynamics": played(loud=0),
        "no timing": played(late=0),
        "too few for a discriminator": played(2, bars=1),
    }
    for problem, music in cases.items():
        with pytest.raises(TrainingError, match=problem):
            tts.training_task(TINY).prepare([music], tmp_path, lambda _text: None)
    empty = corpus([Score(), Score()])
    with pytest.raises(TrainingError, match="no piece to learn from"):
        tts.training_task(TINY).prepare([empty], tmp_path, lambda _text: None)
    assert list(tmp_path.iterdir()) == []


def test_a_few_pieces_validate_on_their_tails(tmp_path: Path) -> None:
    told: list[str] = []
    training_task = tts.training_task(TINY)
    training_task.prepare([played(4, valid=0)], tmp_path, told.append)
    assert any("last tenth" in text for text in told)
    assert training_task.facts["pieces"] == {"train": 4, "valid": 4, "test": 0}
    assert 0.4 < training_task.level < 0.7
    other = tts.training_task(TINY)
    other.recall(tmp_path)
    assert other.level == training_task.level


def test_encoded_music_comes_back(tmp_path: Path) -> None:
    training_task = prepared(tmp_path)
    save_series(tmp_path / "x.npz", training_task.sets, {"a": 1})
    assert load_series(tmp_path / "x.npz", 16, {"a": 2}) is None
    again = load_series(tmp_path / "x.npz", 16, {"a": 1})
    assert again is not None
    for split, found in training_task.sets.items():
        for one, two in zip(found.pieces, again[split].pieces, strict=True):
            for name in ("velocity", "offset", "onset", "condition"):
                np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    (tmp_path / "x.npz").write_bytes(b"cut")
    assert load_series(tmp_path / "x.npz", 16) is None


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"width": 30, "heads": 4}, "heads must divide the width"),
        ({"discriminator_width": 30, "discriminator_heads": 4}, "the discriminator's 30"),
        ({"widht": 3}, "unknown option"),
    ],
)
def test_sizes_that_cannot_be(values: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        validate_config(SeriesNetwork, values)


def test_presets_that_cannot_be() -> None:
    odd = TINY.model_copy(update={"network": TINY.network.model_copy(update={"patch": 5})})
    with pytest.raises(ConfigError, match="must divide the 16 steps"):
        tts.training_task(odd)
    free = TINY.model_copy(update={"network": TINY.network.model_copy(update={"kind": "free"})})
    with pytest.raises(ConfigError, match="pooled"):
        tts.training_task(free)


def test_distances_of_what_is_alike_and_apart() -> None:
    draw = np.random.default_rng(0)
    first, second = draw.random((2, 5000))
    assert js_distance(first, first, 0, 1) == 0
    assert js_distance(first, second, 0, 1) < 0.1
    assert js_distance(first * 0.4, 0.6 + second * 0.4, 0, 1) == pytest.approx(1)
    assert js_distance(first, np.zeros(0), 0, 1) == 1
    mask = np.ones((6, 32, 1), dtype=bool)
    swing = np.tile(np.array([0.2, 0.8], dtype=np.float32), 16)[None, :, None].repeat(6, 0)
    np.testing.assert_allclose(autocorrelations(swing, mask, 1), -1, atol=1e-5)
    np.testing.assert_allclose(autocorrelations(swing, mask, 2), 1, atol=1e-5)
    noise = draw.random((6, 32, 1)).astype(np.float32)
    still = compare_curves((swing, noise - 0.5, mask), (swing, noise - 0.5, mask))
    assert still.total == 0
    assert compare_curves((swing, noise, mask), (noise, noise, mask)).velocity > 0.5
    assert spread(swing, mask) < 1e-6
    assert spread(noise, mask) > 0.2
    assert spread(noise, ~mask) == 0


@pytest.mark.parametrize(("side", "share"), [(0, 0.2), (1, 0.3)])
def test_each_side_wins_against_a_frozen_opponent(tmp_path: Path, side: int, share: float) -> None:
    """Its loss falls to a fifth; a generator, which reaches -1..1 alone, wins less."""
    training_task = prepared(tmp_path)
    (stage,) = training_task.stages()
    for module in (training_task.discriminator, training_task.network):
        module.eval()  # dropout would be in the way of memorisation
    batch = stage.batches(np.random.default_rng(0))
    if side:  # a discriminator that has an opinion to be won over
        training_task.discriminator.head.bias.data.fill_(-1.0)
        training_task.discriminator.head.weight.data.mul_(4.0)
    player = stage.players[side]
    adam = torch.optim.Adam([w for m in player.modules for w in m.parameters()], lr=2e-2)
    losses: list[float] = []
    while len(losses) < 200 and not (losses and losses[-1] < share * losses[0]):
        loss = player.loss(batch).total
        losses.append(float(loss.detach()))
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
    assert losses[-1] < share * losses[0]


def test_half_of_the_grain_drifts() -> None:
    grain = draw_grain(np.random.default_rng(0), 4000, 12, 4)
    assert grain.shape == (4000, 12, 4)
    np.testing.assert_allclose(grain.std((0, 1)), 1, atol=0.05)
    following = (grain[:, 1:] * grain[:, :-1]).mean((0, 1))
    np.testing.assert_allclose(following, [0, 0.95, 0, 0.7], atol=0.05)


def test_a_file_gone_wrong_is_left_out(tmp_path: Path) -> None:
    endless = Score((Track("Drums", (Note(10**9, 36, 10),), is_drum=True),))
    music = corpus([endless, *(groove(seed) for seed in range(4))])
    told: list[str] = []
    training_task = tts.training_task(TINY)
    training_task.prepare([music], tmp_path, told.append)
    assert training_task.facts["pieces"]["train"] == 3
    assert any("left out" in text for text in told)

"""Transformer GAN: its routes, its game, and what it tells a user whom it cannot serve."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from partimento.config import validate_config
from partimento.errors import ConfigError, TrainingError
from partimento.files.corpora.corpus import Corpus
from partimento.runtime.presets import TrainingConfig
from partimento.systems.transformer_gan.card import PRESETS, GamePreset, SequenceDiscriminatorConfig
from partimento.systems.transformer_gan.training import TransformerGan, training_task
from partimento.training.loop.checkpoints import read_checkpoint
from partimento.training.loop.progress import Progress
from partimento.training.loop.run import train
from partimento.training.nn.discriminators.sequence import DiscriminatorScores
from partimento.training.policy_gradient.discriminator_gradients import AnchoredSteps, ExpectedSteps
from partimento.training.policy_gradient.game import GivenWalks, distinct_share
from partimento.training.policy_gradient.reinforce import lagging_copy
from partimento.training.policy_gradient.sample_metrics import MadeFigures

from support.tiny_models import GRID, chorales, relative_pitch, roughen, songs, transformer

SMALL = TrainingConfig(
    steps=2, batch_size=2, length=32, learning_rate=1e-3, warmup_steps=1, validate_every=2, ema=0.5
)


def preset(**changes: Any) -> GamePreset:
    """Return a game over four voices in a grid of seven pitches."""
    values = {
        "representation": {"name": "countdown", "base": GRID, "bars": 2},
        "network": transformer(dropout=0.1),
        "training": SMALL,
        "likelihood": SMALL,
        "discriminator": SequenceDiscriminatorConfig(
            network=transformer(layers=1, dropout=0.1, local_width=3),
            training=SMALL.model_copy(update={"ema": 0.0}),
        ),
        "validated": 4,
        "served_in": 2,
        "kept": 2,
        "spacing": 8,
        "rollouts": 2,
        "transpose": 1,
    }
    return GamePreset.model_validate({**values, **changes})


def prepared(folder: Path, music: Corpus | None = None, **changes: Any) -> TransformerGan:
    torch.manual_seed(0)
    game = training_task(preset(**changes))
    roughen(game.network, 0.3)
    folder.mkdir(parents=True, exist_ok=True)
    game.prepare([music or chorales(5)], folder, lambda text: None)
    return game


class Likes(nn.Module):
    """A discriminator that holds fixed values (V,) of the tokens, whatever came before."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.values = values

    def forward(
        self, columns: Tensor, tokens: Tensor, mask: Tensor | None = None
    ) -> DiscriminatorScores:
        if not tokens.is_floating_point():
            tokens = nn.functional.one_hot(tokens, len(self.values)).float()
        steps = tokens @ self.values
        values = self.values.expand(*steps.shape, -1)
        return DiscriminatorScores(steps.mean(1), steps, values)


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "tiny"])
def test_presets_can_be_built(name: str) -> None:
    with torch.device("meta"):
        game = training_task(PRESETS[name])
    names = [stage.name for stage in game.stages()]
    assert names == ["likelihood", "discriminator", "adversarial"][3 - len(names) :]
    assert (len(names) == 3) == (PRESETS[name].likelihood is not None)


def test_presets_that_do_not_fit_are_refused() -> None:
    values = preset().model_dump()
    with pytest.raises(ConfigError, match=r"at most training\.batch_size"):
        validate_config(
            GamePreset, {**values, "discriminator": {**values["discriminator"], "training": {}}}
        )
    with pytest.raises(ConfigError, match=r"config\.route"):
        validate_config(GamePreset, {**values, "route": "wasserstein"})
    heard = {"network": {**values["discriminator"]["network"], "relative_outputs": 1}}
    with pytest.raises(ConfigError, match="leave relative_inputs and relative_outputs to"):
        validate_config(
            GamePreset, {**values, "discriminator": {**values["discriminator"], **heard}}
        )


def test_the_expected_gradient_is_that_of_the_expectation(tmp_path: Path) -> None:
    game = prepared(tmp_path)
    made = game.game.of(game.game.real(np.random.default_rng(0), 3))
    values = torch.randn(game.vocabulary, generator=torch.Generator().manual_seed(1))
    head = game.network.head.weight

    def gradient(total: Tensor) -> Tensor:
        return torch.autograd.grad(total, head)[0]

    found = gradient(ExpectedSteps().loss(game.game, Likes(values), (made, made), 0.0).total)
    log_g = game.game.log_probabilities(made)
    wanted = gradient(-(log_g.exp() @ values)[made.scored].mean())
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


def test_an_anchored_generator_comes_to_rest_at_what_is_best(tmp_path: Path) -> None:
    game = prepared(tmp_path)
    made = game.game.of(game.game.real(np.random.default_rng(0), 3))
    reference = lagging_copy(game.network)
    values = torch.randn(game.vocabulary, generator=torch.Generator().manual_seed(1))
    values[game.representation.start_token] = 0.0

    def gradient(strength: float) -> Tensor:
        route = AnchoredSteps(reference, strength)
        total = route.loss(game.game, Likes(values), (made, made), 0.0).total
        return torch.autograd.grad(total, game.network.head.bias)[0]

    assert gradient(0.0).abs().max() < 1e-6  # no opinion: nothing to leave the reference for
    assert gradient(0.5).abs().max() > 1e-3
    with torch.no_grad():
        game.network.head.bias += 0.5 * values  # reference x exp(0.5 x values)
    assert gradient(0.5).abs().max() < 1e-6
    assert gradient(1.0).abs().max() > 1e-3


@pytest.mark.parametrize("route", ["expected_steps", "steps", "monte_carlo", "terminal", "gumbel"])
def test_every_route_leads_to_what_the_discriminator_likes(route: str, tmp_path: Path) -> None:
    game = prepared(tmp_path, route=route, teacher_weight=0.0)
    liked = torch.full((game.vocabulary,), -2.0)
    liked[3] = 2.0
    game.discriminator = Likes(liked)  # type: ignore[assignment]
    batch = game.game.real(np.random.default_rng(0), 16)
    adam = torch.optim.Adam(game.network.parameters(), lr=2e-3)

    def share() -> float:
        torch.manual_seed(5)
        tokens = game.game.make(batch)[:, int(batch["prompt"][0]) :]
        return float((tokens == 3).float().mean())

    before = share()
    for _ in range(12):
        made = game.game.sequences(game.game.make(batch), batch["features"], batch["prompt"])
        adam.zero_grad()
        game.route.loss(
            game.game, game.discriminator, (game.game.of(batch), made), 0.2
        ).total.backward()
        adam.step()
    assert share() > before + 0.1


def test_made_sequences_share_prompt_and_features_with_real_ones(tmp_path: Path) -> None:
    game = prepared(tmp_path, from_nothing=0.0)
    batch = game.game.real(np.random.default_rng(0), 4)
    prompt = int(batch["prompt"][0])
    assert 8 <= prompt <= 16
    assert prompt % 4 == 0
    game.state.renew(game.game, batch, 2)
    real, made = game.state.pair(game.game, game.state.serve(2))
    assert torch.equal(real.tokens[:, :prompt], made.tokens[:, :prompt])
    assert not torch.equal(real.tokens, made.tokens)
    assert not made.scored[:, :prompt].any()
    assert made.scored[:, prompt:].all()
    assert torch.equal(real.features, made.features)
    # what is served next is the rest of the same store
    game.state.renew(game.game, game.game.real(np.random.default_rng(1), 4), 2)
    again, _ = game.state.pair(game.game, game.state.serve(2))
    assert torch.equal(torch.cat([real.tokens, again.tokens]), batch["targets"])
    # and then a new block, while the discriminator remembers the old one
    new = game.game.real(np.random.default_rng(1), 4)
    game.state.renew(game.game, new, 2)
    assert torch.equal(
        game.state.pair(game.game, game.state.serve(2))[0].tokens, new["targets"][:2]
    )
    assert sorted(game.state.some(8).tolist()) == list(range(8))
    scored = [game.state.pair(game.game, torch.arange(8))[at].scored.sum(1) for at in (0, 1)]
    assert torch.equal(scored[0], scored[1])
    assert (scored[0] == 32 - torch.cat([batch["prompt"], new["prompt"]])).all()


def test_nothing_is_scored_behind_the_end_of_a_piece(tmp_path: Path) -> None:
    torch.manual_seed(0)
    game = training_task(PRESETS["tiny"])
    game.prepare([songs(4)], tmp_path, lambda text: None)
    end = game.representation.end_token
    assert end is not None
    tokens = torch.full((1, 8), end + 1)
    tokens[0, 4] = tokens[0, 6] = end
    scored = game.game.sequences(
        tokens, torch.zeros(1, 8, 2, dtype=torch.long), torch.ones(1)
    ).scored
    assert scored.tolist() == [[False, True, True, True, True, False, False, False]]


def test_given_walks_follow_the_features() -> None:
    features = torch.arange(12).view(2, 3, 2)
    walks = GivenWalks(features)
    state = walks.begin(2, torch.device("cpu"))
    for at in range(3):
        assert torch.equal(walks.features(state), features[:, at])
        state = walks.push(state, torch.zeros(2, dtype=torch.long))


def test_distinct_share_counts_runs() -> None:
    assert distinct_share(np.zeros((2, 20), dtype=np.int64), 4) == 1 / 34
    assert distinct_share(np.arange(40).reshape(2, 20), 4) == 1.0


def run(folder: Path, stop: int = 0, resume: bool = False, **changes: Any) -> list[dict[str, Any]]:
    """Train into a folder, pressing Ctrl-C after so many steps; return the lines of the log."""

    class Stops(Progress):
        count = 0

        def advance(self, *args: Any) -> None:
            self.count += 1
            if self.count == stop:
                raise KeyboardInterrupt

    train(
        training_task(preset(**changes)), [chorales(5)], folder, threads=1, resume=resume,
        progress=Stops(quiet=True),
    )  # fmt: skip
    lines = (folder / "training" / "log.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def test_a_run_ends_in_a_model_that_plays(tmp_path: Path) -> None:
    log = run(tmp_path / "run")
    assert [line["stage"] for line in log] == [
        *["likelihood"] * 2,
        *["discriminator"] * 2,
        *["adversarial"] * 2,
    ]
    last = log[-1]
    told = (
        "discriminator_right_steps",
        "generator_score_steps",
        "valid_diversity",
        "valid_score_steps",
    )
    assert set(told) <= set(last)
    text = (tmp_path / "run" / "config.json").read_text()
    assert "NaN" not in text + (tmp_path / "run" / "training" / "log.jsonl").read_text()
    folder = json.loads(text)
    assert folder["system"] == "transformer_gan"
    assert folder["preset"]["route"] == "expected_steps"


def test_a_generator_of_relative_pitch_trains_and_plays(tmp_path: Path) -> None:
    log = run(tmp_path / "run", network=relative_pitch())
    assert log[-1]["stage"] == "adversarial"
    folder = json.loads((tmp_path / "run" / "config.json").read_text())
    assert folder["preset"]["network"]["relative_outputs"] == 4


def test_a_stopped_run_goes_on_as_if_it_had_not(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole")
    for stop in (3, 5):
        parts = tmp_path / f"stopped-{stop}"
        run(parts, stop=stop)
        assert run(parts, resume=True) == whole


def test_an_anchored_run_lets_the_discriminator_rest_and_resumes(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", route="anchored_steps")
    assert not any("discriminator_loss" in line for line in whole if line["stage"] == "adversarial")
    run(tmp_path / "parts", stop=5, route="anchored_steps")
    assert run(tmp_path / "parts", resume=True, route="anchored_steps") == whole


def test_a_learned_baseline_is_kept_by_the_checkpoint(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"route": "steps", "baseline": "learned"}
    whole = run(tmp_path / "whole", **changes)
    run(tmp_path / "parts", stop=5, **changes)
    assert run(tmp_path / "parts", resume=True, **changes) == whole
    tensors, _ = read_checkpoint(tmp_path / "parts" / "training" / "checkpoint.safetensors")
    (seen,) = [value for name, value in tensors.items() if name.endswith("/seen")]
    assert (seen > 0).all()


def test_a_generator_that_repeats_itself_is_told(tmp_path: Path) -> None:
    game = prepared(tmp_path)
    with torch.no_grad():
        game.network.head.bias[2] += 100.0
    with pytest.raises(TrainingError, match="collapsed"):
        game._validate()


def test_a_validation_tells_the_discriminator_and_the_generator_apart(tmp_path: Path) -> None:
    game = prepared(tmp_path)
    told: list[str] = []
    game.say = told.append
    liked = torch.zeros(game.vocabulary)
    with torch.no_grad():
        game.network.head.bias[3] += 4.0
    liked[3] = -2.0  # what the generator likes best gives it away
    game.discriminator = Likes(liked)  # type: ignore[assignment]
    found = game._validate()
    assert found["discriminator_right_whole"] == 1.0
    assert 0.4 < found["discriminator_right_steps"] <= 1.0
    assert -2.0 < found["score_steps"] < -0.5
    for name in (
        "discriminator_right_steps",
        "discriminator_right_whole",
        "score_steps",
        "score_whole",
    ):
        assert f"  {name} {found[name]:.3f}" in told[-1]


def test_novelty_is_left_out_where_nothing_is_long_enough_to_be_copied(tmp_path: Path) -> None:
    for length in (32, 256):
        training = SMALL.model_copy(update={"length": length})
        game = prepared(tmp_path / str(length), training=training)
        found = MadeFigures(game.game, 4, game.index)()
        assert ("novelty" in found) == (length == 256)
        assert all(np.isfinite(value) for value in found.values())


def test_figures_are_the_same_each_time(tmp_path: Path) -> None:
    game = prepared(tmp_path)
    figures = MadeFigures(game.game, 4)
    first, second = figures(), figures()
    assert first == second
    assert first["loss"] == pytest.approx(1 - first["overlap"])
    assert 0 < first["overlap"] <= 1


def test_a_generator_begins_as_it_plays_at_a_temperature(tmp_path: Path) -> None:
    game = prepared(tmp_path, start_temperature=0.5)
    batch = game.game.real(np.random.default_rng(0), 4)
    real = game.game.of(batch)
    before = game.game.log_probabilities(real)
    game.stages()[1].players[0].loss(batch)
    wanted = torch.log_softmax(before / 0.5, dim=-1)
    torch.testing.assert_close(game.game.log_probabilities(real), wanted, rtol=1e-4, atol=1e-4)
    game.stages()[1].players[0].loss(batch)
    torch.testing.assert_close(game.game.log_probabilities(real), wanted, rtol=1e-4, atol=1e-4)


def test_too_little_music_is_refused(tmp_path: Path) -> None:
    long = SMALL.model_copy(update={"length": 512})
    with pytest.raises(TrainingError, match="a discriminator needs 2 pieces of 512 tokens"):
        prepared(tmp_path / "short", training=long)
    with pytest.raises(TrainingError, match="not 1; the longest has 256"):
        prepared(tmp_path / "few", chorales(2))


def test_a_generator_that_has_learnt_nothing_is_refused(tmp_path: Path) -> None:
    game = prepared(tmp_path, likelihood=None)
    with torch.no_grad():
        game.network.head.weight.mul_(20.0)
    stage = game.stages()[0]
    assert stage.name == "discriminator"
    with pytest.raises(TrainingError, match="--start-from"):
        stage.players[0].loss(stage.batches(np.random.default_rng(0)))

"""Stages of several players: a toy GAN, whose sides take turns, and a frozen part."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from partimento.runtime.presets import TrainingConfig
from partimento.training.contract import Batch, Loss, Player, Stage
from partimento.training.loop.checkpoints import read_checkpoint
from partimento.training.loop.trainer import BEST

from support.games import trainer

RECIPE = TrainingConfig(steps=6, learning_rate=0.02, warmup_steps=0, ema=0.5, weight_decay=0.5)


class Game:
    """A generator of two linear layers, the first frozen; the discriminator updates thrice."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.encoder, self.decoder = nn.Linear(2, 4), nn.Linear(4, 3)
        self.discriminator = nn.Linear(3, 1)
        self.turns: list[str] = []

    def batches(self, draw: np.random.Generator) -> Batch:
        real = draw.normal(3.0, 0.5, size=(16, 3)).astype(np.float32)
        noise = draw.normal(size=(16, 2)).astype(np.float32)
        return {"real": torch.from_numpy(real), "noise": torch.from_numpy(noise)}

    def fake(self, batch: Batch) -> Tensor:
        made: Tensor = self.decoder(torch.tanh(self.encoder(batch["noise"])))
        return made.float()

    def discriminator_loss(self, batch: Batch) -> Loss:
        self.turns.append("discriminator")
        real, fake = (
            self.discriminator(batch["real"]),
            self.discriminator(self.fake(batch).detach()),
        )
        total = torch.relu(1 - real).mean() + torch.relu(1 + fake).mean()
        return Loss(total, {"real": real.mean().detach()})

    def generator_loss(self, batch: Batch) -> Loss:
        self.turns.append("generator")
        return Loss(-self.discriminator(self.fake(batch)).mean())

    def stage(self) -> Stage:
        players = (
            Player("discriminator", (self.discriminator,), self.discriminator_loss, updates=3),
            Player("generator", (self.encoder, self.decoder), self.generator_loss),
        )
        return Stage("game", players, RECIPE, self.batches, freezes=(self.encoder,))


def copied(module: nn.Module) -> list[Tensor]:
    return [weight.detach().clone() for weight in module.parameters()]


def moved(module: nn.Module, before: list[Tensor]) -> list[bool]:
    pairs = zip(module.parameters(), before, strict=True)
    return [not torch.equal(weight, old) for weight, old in pairs]


def test_players_take_their_turns(tmp_path: Path) -> None:
    game = Game()
    trainer(tmp_path, game.stage()).run()
    assert game.turns == ["discriminator", "discriminator", "discriminator", "generator"] * 6


def test_every_side_learns_and_the_frozen_part_does_not(tmp_path: Path) -> None:
    game = Game()
    frozen, decoder, discriminator = (
        copied(m) for m in (game.encoder, game.decoder, game.discriminator)
    )
    trainer(tmp_path, game.stage()).run()
    assert not any(moved(game.encoder, frozen))
    assert all(moved(game.decoder, decoder))
    assert all(moved(game.discriminator, discriminator))


def test_what_was_frozen_learns_in_the_next_stage(tmp_path: Path) -> None:
    game = Game()
    frozen = copied(game.encoder)
    free = replace(game.stage(), name="free", freezes=())
    run = trainer(tmp_path, game.stage(), free)
    run.run()
    assert all(weight.requires_grad for weight in game.encoder.parameters())
    assert all(moved(game.encoder, frozen))


def test_each_side_beats_a_frozen_opponent(tmp_path: Path) -> None:
    """D's loss falls below a tenth, and G raises the score of its fakes."""
    game = Game()
    training = RECIPE.model_copy(update={"steps": 60, "weight_decay": 0.0, "learning_rate": 0.1})
    whole = game.stage()
    for index, opponent in enumerate(((game.encoder, game.decoder), (game.discriminator,))):
        stage = replace(
            whole,
            name=str(index),
            players=(whole.players[index],),
            training=training,
            freezes=opponent,
        )
        batch = game.batches(np.random.default_rng(0))
        before = float(whole.players[index].loss(batch).total.detach())
        trainer(tmp_path, stage).run()
        after = float(whole.players[index].loss(batch).total.detach())
        assert after < 0.1 * before if index == 0 else after < before - 1


class Crash(Exception):
    """What stops a run without warning."""


def test_a_game_resumes_exactly_after_a_crash(tmp_path: Path) -> None:
    whole, broken, again = Game(), Game(), Game()
    for name in ("whole", "broken"):
        (tmp_path / name).mkdir()
    trainer(tmp_path / "whole", whole.stage()).run()

    def crash(batch: Batch) -> Loss:
        if len(broken.turns) == 4 * 3 + 2:  # in the discriminator's third turn of the fourth step
            raise Crash
        return broken.discriminator_loss(batch)

    stage = broken.stage()
    stage = replace(stage, players=(replace(stage.players[0], loss=crash), stage.players[1]))
    with pytest.raises(Crash):
        trainer(tmp_path / "broken", stage).run()
    trainer(tmp_path / "broken", again.stage()).run(resume=True)
    assert len(again.turns) == 4 * 3
    for name in ("encoder", "decoder", "discriminator"):
        assert not any(moved(getattr(again, name), copied(getattr(whole, name))))


def test_a_network_that_no_player_updates_is_kept_with_the_best(tmp_path: Path) -> None:
    game, still = Game(), nn.Linear(2, 2)
    networks = {"decoder": game.decoder, "teacher": still}
    trainer(tmp_path, game.stage(), networks=networks).run()
    tensors, state = read_checkpoint(tmp_path / BEST)
    assert state["parts"] == {"decoder": "game.generator.1", "teacher": "part.teacher"}
    torch.testing.assert_close(tensors["part.teacher/weight"], still.weight.detach())
    torch.testing.assert_close(tensors["game.generator.1/weight"], game.decoder.weight.detach())

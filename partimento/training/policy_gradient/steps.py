"""One step of generator and discriminator of sequences: their inputs and losses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import nn

from partimento.errors import TrainingError
from partimento.training.contract import Batch, Loss
from partimento.training.objectives.likelihood import next_token_loss
from partimento.training.policy_gradient.discriminator_gradients import (
    Pair,
    Route,
    discriminator_of_pairs,
    mean_scores,
)
from partimento.training.policy_gradient.game import Game, GameState, Sequences
from partimento.training.policy_gradient.reinforce import follow
from partimento.training.policy_gradient.rollouts import without_dropout
from partimento.training.tokens.temperature_scaling import divide_head

__all__ = ["GamePlay"]

_UNTAUGHT = 0.7  # of the loss of blind guessing: a generator at it has learnt nothing


class GamePlay:
    """The losses of both sides; a training_task that has these parts plays by them."""

    preset: Any
    network: nn.Module
    discriminator: nn.Module
    reference: nn.Module  # the generator as the discriminator samples it
    state: GameState
    game: Game
    route: Route
    vocabulary: int

    @property
    def is_anchored(self) -> bool:
        """Whether the discriminator rests while the generator learns."""
        return bool(self.preset.route == "anchored_steps")

    def _batch(self, draw: np.random.Generator) -> Batch:
        return self.game.real(draw, self.state.block)

    def _discriminator_alone(self, batch: Batch) -> Loss:
        """Return the discriminator's loss; the store is used up more slowly than by a generator."""
        loss = self._discriminator_loss(batch)
        self.state.serve(self.preset.training.batch_size // 2)
        return loss

    def _discriminator_loss(self, batch: Batch) -> Loss:
        """Return the loss on real against made: of each prefix (local) and of the whole."""
        if not self.state.begun:
            self._begin(batch)
        self.state.renew(self.game, batch, self.preset.training.batch_size)
        rows = self.state.some(self.preset.discriminator.training.batch_size)
        real, made = self.state.pair(self.game, rows)
        of_real, of_made = (self.discriminator(x.columns, x.tokens, x.scored) for x in (real, made))
        return discriminator_of_pairs(of_real, of_made, real.scored | made.scored)

    @torch.no_grad()
    def _heard(self, pairs: Iterable[Pair]) -> dict[str, float]:
        """Return the accuracy of the discriminator, and its mean log-odds of generated sequences.

        Of the pairs that are held out, not of those that either side learnt from.
        """
        found: list[dict[str, float]] = []
        with without_dropout(self.discriminator):
            for real, made in pairs:
                of_real, of_made = (
                    self.discriminator(x.columns, x.tokens, x.scored) for x in (real, made)
                )
                right = discriminator_of_pairs(of_real, of_made, real.scored | made.scored).parts
                parts = {f"discriminator_{name}": value for name, value in right.items()}
                parts |= mean_scores(of_made, made)
                found.append({name: float(value) for name, value in parts.items()})
        return {name: float(np.mean([each[name] for each in found])) for name in found[0]}

    def _begin(self, batch: Batch) -> None:
        """Let the generator begin as it plays at the preset's temperature.

        Raises:
            TrainingError: if it knows nothing yet.
        """
        with torch.no_grad():
            nll = float(self._teacher(self.game.of(batch)).total)
        if self.preset.likelihood is None and nll > _UNTAUGHT * float(np.log(self.vocabulary)):
            raise TrainingError(
                f"the generator has learnt nothing yet ({nll:.2f} nats a token): begin from a "
                "trained model with --start-from, or take a preset that has a likelihood stage"
            )
        divide_head(self.network, self.preset.start_temperature)
        follow(self.reference, self.network, 0.0)
        self.state.begun.fill_(1)

    def _teacher(self, real: Sequences) -> Loss:
        return next_token_loss(self.network(real.columns), real.tokens, real.scored)

    def _generator_loss(self, batch: Batch) -> Loss:
        """Return the loss by the preset's route, and teacher forcing in the same step."""
        preset, size = self.preset, self.preset.training.batch_size
        if self.is_anchored:
            rows = self.state.some(size)  # what the discriminator saw last
        else:
            self.state.renew(self.game, batch, size)
            rows = self.state.serve(size)
        pair = self.state.pair(self.game, rows)
        progress = int(self.state.steps) / (preset.training.steps or 1000)
        with without_dropout(self.discriminator):
            loss = self.route.loss(self.game, self.discriminator, pair, min(1.0, progress))
        self.state.steps += 1
        weight = 1.0 if self.is_anchored else preset.reward_weight
        total, parts = weight * loss.total, dict(loss.parts)
        if preset.teacher_weight:
            teacher = self._teacher(pair[0])
            total = total + preset.teacher_weight * teacher.total
            parts |= teacher.parts
        return Loss(total, parts)

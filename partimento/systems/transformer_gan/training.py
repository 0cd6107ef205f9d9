"""Training of a Transformer GAN: likelihood, D alone, then G against D.

Equations and where they live::

    J = E[R] and its gradient        -> training/policy_gradient/reinforce.py         reinforce
    the reward of each step (REGS)   -> policy_gradient/discriminator_gradients.py  regs
    its expectation over all tokens  -> policy_gradient/discriminator_gradients.py  ExpectedSteps
    the same, anchored               -> policy_gradient/discriminator_gradients.py  AnchoredSteps
    Monte-Carlo search               -> policy_gradient/discriminator_gradients.py  searching
    straight-through Gumbel-softmax  -> policy_gradient/discriminator_gradients.py  StraightGumbel
    loss of D, global, local -> policy_gradient/discriminator_gradients.py  discriminator_of_pairs
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from partimento.errors import TrainingError
from partimento.files.corpora.corpus import Corpus
from partimento.metrics.copying import CopyIndex
from partimento.runtime.model_folder import ModelFolder
from partimento.systems.transformer_gan.card import GamePreset
from partimento.systems.transformer_gan.networks import discriminator, network
from partimento.training.contract import Player, Stage
from partimento.training.export.writer import COPIES, export_token_model
from partimento.training.policy_gradient.discriminator_gradients import (
    AnchoredSteps,
    Route,
    route_of,
)
from partimento.training.policy_gradient.game import Game, GameState
from partimento.training.policy_gradient.reinforce import baseline_of, lagging_copy
from partimento.training.policy_gradient.sample_metrics import COLLAPSED, MadeFigures
from partimento.training.policy_gradient.steps import GamePlay
from partimento.training.tokens.task import TokenTask

__all__ = ["TransformerGan", "training_task"]


class TransformerGan(GamePlay):
    """A token model trained by likelihood where its preset says so, then adversarially."""

    system = "transformer_gan"

    def __init__(self, preset: GamePreset) -> None:
        self.preset = preset
        own = preset.model_copy(update={"training": preset.likelihood or preset.training})
        self.model = TokenTask(self.system, own, network)
        self.network = self.model.network
        self.representation, self.vocabulary = self.model.representation, self.model.vocabulary
        self.local_width = self.model.local_width
        block = preset.training.batch_size * preset.served_in
        width = len(self.representation.feature_sizes)
        self.state = GameState(block, preset.kept, preset.training.length, width)
        self.game = Game(self.model, preset.training.length, preset.from_nothing)
        sizes = self.vocabulary, self.representation.feature_sizes, self.game.intervals
        self.discriminator = discriminator(preset.discriminator.network, self.local_width, *sizes)
        self.reference = lagging_copy(self.network)  # the generator as the discriminator samples it
        self.baseline = baseline_of(preset.baseline, preset.training.length)
        self.route = self._route()
        self.figures: MadeFigures | None = None
        self.index: CopyIndex | None = None
        self.say: Callable[[str], None] = print

    def _route(self) -> Route:
        preset = self.preset
        if self.is_anchored:
            return AnchoredSteps(self.reference, preset.reward_weight)
        return route_of(preset.route, self.baseline, preset.rollouts, preset.spacing)

    def fresh(self) -> TransformerGan:
        """Return another training task of the same preset, with newly initialised weights."""
        return type(self)(self.preset)

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The one network."""
        return {"network": self.network}

    @property
    def facts(self) -> dict[str, Any]:
        """What is known of the data."""
        return self.model.facts

    @property
    def instruments(self) -> list[int]:
        """The instruments that the model may be asked to play; [] where it has none."""
        return self.model.instruments

    def prepare(self, corpora: Sequence[Corpus], folder: Path, say: Callable[[str], None]) -> None:
        """Read and encode the corpora, or take what an earlier run in ``folder`` encoded.

        Raises:
            TrainingError: if nothing can be learnt from, or too little for a discriminator.
        """
        self.model.prepare(corpora, folder, say)
        self.game.check()
        self.say, self.index = say, CopyIndex.load(folder / COPIES)

    def recall(self, folder: Path) -> None:
        """Take the data that a run in ``folder`` encoded, where it is still there."""
        self.model.recall(folder)

    def stages(self) -> tuple[Stage, ...]:
        """Return likelihood where the preset has it, the discriminator alone, and the game."""
        preset = self.preset
        learns = preset.discriminator.training
        alone = Player("discriminator", (self.discriminator, self.state), self._discriminator_alone)
        discriminator = Player(
            "discriminator",
            (self.discriminator, self.state),
            self._discriminator_loss,
            preset.discriminator.updates,
            learns,
        )
        frozen = (self.reference,) if self.is_anchored else self.baseline.modules_to_keep
        own = (self.network, *frozen)
        other = Player("generator", own, self._generator_loss)
        players = (other,) if self.is_anchored else (discriminator, other)
        resting = (self.discriminator,) if self.is_anchored else ()
        game = Stage(
            "adversarial", players, preset.training, self._batch, self._validate, freezes=resting
        )
        before = Stage("discriminator", (alone,), learns, self._batch, freezes=(self.network,))
        first = self.model.stages() if preset.likelihood else ()
        return (*first, before, game)

    def finish(self) -> dict[str, float]:
        """Keep the weights of the adversarial stage: they are to be sampled as they are."""
        return {}

    def export(
        self,
        out: Path,
        facts: Mapping[str, Any],
        precisions: tuple[str, ...] = ("int8",),
        run: Path | None = None,
    ) -> ModelFolder:
        """Write the generator as a model folder, which plays as any token model's does."""
        return export_token_model(self, out, facts, precisions, run)

    def _validate(self) -> Mapping[str, float]:
        """Return and report the figures of what the generator makes, and of the discriminator.

        Raises:
            TrainingError: if it has collapsed.
        """
        self.figures = self.figures or MadeFigures(self.game, self.preset.validated, self.index)
        found = self.figures()
        found |= self._heard(self.figures.pairs())
        shown = "  ".join(f"{name} {found[name]:.3f}" for name in found if name != "loss")
        self.say(f"generated music: {shown}")
        if found["diversity"] < COLLAPSED:
            raise TrainingError(
                f"the generator collapsed: its diversity is {found['diversity']:.2f} of the data's;"
                " the last good weights are kept (partimento export takes them); begin again with "
                "a lower training.learning_rate or a higher teacher_weight"
            )
        return found


def training_task(preset: GamePreset) -> TransformerGan:
    """Return the training task of a preset."""
    return TransformerGan(preset)

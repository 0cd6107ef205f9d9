"""Training of SeqGAN: algorithm 1 of Yu et al. 2016 as three stages.

Lines of the algorithm and where they live::

    1      random weights                     -> SeqGan.__init__
    2      pre-train G by likelihood          -> stage "likelihood"   TokenTask.stages
    3      beta <- theta                      -> SeqGan._discriminator_alone
    4, 5   pre-train D on both      -> stage "discriminator"  SeqGan._discriminator_alone
    7-11   g-steps: sample, Q by Eq. 4, Eq. 8 -> stage "adversarial"  SeqGan._policy
    12-15  d-steps: sample, Eq. 5             -> stage "adversarial"  SeqGan._discriminator_loss
    16     beta <- theta, lagging             -> SeqGan._policy

    Eq. 4      -> training/policy_gradient/reinforce.py  MonteCarlo.values
    Eq. 5      -> training/policy_gradient/reinforce.py  discriminator_loss
    Eq. 6 to 8 -> training/policy_gradient/reinforce.py  reinforce
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from partimento.files.corpora.corpus import Corpus
from partimento.systems.seqgan.card import SeqGanPreset
from partimento.systems.seqgan.networks import discriminator, network
from partimento.training.contract import Batch, Loss, Player, Stage
from partimento.training.device import autocast
from partimento.training.policy_gradient.reinforce import (
    MonteCarlo,
    baseline_of,
    discriminator_loss,
    entropy,
    follow,
    lagging_copy,
    reinforce,
    with_teacher,
)
from partimento.training.policy_gradient.rollouts import TokenPolicy, policy_of, without_dropout
from partimento.training.policy_gradient.windows import COLLAPSED, SequenceWindows
from partimento.training.tokens.task import TokenTask

__all__ = ["SeqGan", "training_task"]


class SeqGan(TokenTask):
    """A melody model that learns by likelihood, and then from a discriminator."""

    preset: SeqGanPreset

    def __init__(self, preset: SeqGanPreset) -> None:
        super().__init__("seqgan", preset, network)
        self.length = preset.training.length
        self.discriminator = discriminator(preset.discriminator, self.vocabulary, self.length)
        self.behind = lagging_copy(self.network)  # the rollout policy's network
        self.baseline = baseline_of(preset.baseline, self.length)
        self.windows: SequenceWindows | None = None
        self.say: Callable[[str], None] = print

    def fresh(self) -> SeqGan:
        """Return another training task of the same preset, with newly initialised weights."""
        return type(self)(self.preset)

    def prepare(self, corpora: Sequence[Corpus], folder: Path, say: Callable[[str], None]) -> None:
        """Read and encode the corpora, or take what an earlier run in ``folder`` encoded.

        Raises:
            TrainingError: if there is too little for a discriminator, or no piece has T tokens.
        """
        super().prepare(corpora, folder, say)
        self.say, self.windows = say, SequenceWindows(self.sets, self.length, self.preset.validated)

    def stages(self) -> tuple[Stage, ...]:
        """Return likelihood, the discriminator alone, and the game."""
        preset = self.preset
        (first,) = super().stages()
        alone = Player("discriminator", (self.discriminator,), self._discriminator_alone)
        own = (self.network, self.behind, *self.baseline.modules_to_keep)
        g_steps = Player("generator", own, self._policy)
        learns = preset.discriminator.training
        d_steps = Player(
            "discriminator",
            (self.discriminator,),
            self._discriminator_loss,
            preset.discriminator_updates,
            learns,
        )
        return (
            first,
            Stage(
                "discriminator",
                (alone,),
                learns,
                self._real(learns.batch_size),
                freezes=(self.network,),
            ),
            Stage(
                "adversarial",
                (g_steps, d_steps),
                preset.game,
                self._real(max(preset.game.batch_size, learns.batch_size)),
                self._figures,
            ),
        )

    def finish(self) -> dict[str, float]:
        """Keep the weights of the adversarial stage: they are to be sampled as they are."""
        return {}

    def policy(self) -> TokenPolicy:
        """Return the generator as a policy."""
        return policy_of(self.network, self.representation, self.local_width)

    def _real(self, size: int) -> Callable[[np.random.Generator], Batch]:
        return lambda draw: {"targets": self._prepared.real(draw, size)}

    @property
    def _prepared(self) -> SequenceWindows:
        if self.windows is None:
            self.windows = SequenceWindows(self.sets, self.length, self.preset.validated)
        return self.windows

    def _discriminator_alone(self, batch: Batch) -> Loss:
        """Return the discriminator's loss; the rollout policy is the generator as it is."""
        follow(self.behind, self.network, 0.0)
        return self._discriminator_loss(batch)

    def _discriminator_loss(self, batch: Batch) -> Loss:
        """Return the discriminator's loss on real sequences and as many newly made."""
        real = batch["targets"][: self.preset.discriminator.training.batch_size]
        with autocast(real.device, enabled=False):
            made = self.policy().sample(*real.shape)
            loss = discriminator_loss(self.discriminator(real), self.discriminator(made))
            return Loss(
                loss.total + self.preset.discriminator.penalty * self.discriminator.penalty(),
                loss.parts,
            )

    def _policy(self, batch: Batch) -> Loss:
        """Return the generator's loss on sequences that it makes.

        Raises:
            TrainingError: if the discriminator's reward is not finite.
        """
        preset, policy = self.preset, self.policy()
        real = batch["targets"][: preset.game.batch_size]
        with autocast(real.device, enabled=False), without_dropout(self.discriminator):
            follow(self.behind, self.network, preset.lag)
            tokens = policy.sample(*real.shape)
            values = self._search().values(tokens)
            logs = policy.log_probabilities(tokens)
            chosen = logs.gather(-1, tokens[..., None])[..., 0]
            loss = reinforce(chosen, self.baseline.advantages(values))
            mean, spread = values[:, -1].mean(), entropy(logs)
            parts = {**loss.parts, "reward": mean, "entropy": spread.detach()}
            total = loss.total / self.length - preset.entropy_weight * spread
            if not preset.teacher_weight:
                return Loss(total, parts)
            taught = -policy.log_probabilities(real).gather(-1, real[..., None]).mean()
            teacher = Loss(taught, {"nll": taught.detach()})
            return with_teacher(Loss(total, parts), teacher, preset.teacher_weight)

    def _search(self) -> MonteCarlo:
        preset = self.preset
        lagging = policy_of(self.behind, self.representation, self.local_width)
        starts = range(preset.spacing, self.length, preset.spacing)
        return MonteCarlo(
            lagging,
            lambda tokens: torch.sigmoid(self.discriminator(tokens)),
            preset.rollouts,
            starts,
        )

    @torch.no_grad()
    def _figures(self) -> Mapping[str, float]:
        """Return and log the metrics of generated sequences (``SequenceWindows.figures``)."""
        windows, device = self._prepared, next(self.network.parameters()).device
        uniforms = windows.uniforms().to(device)
        real = torch.from_numpy(windows.valid).to(device)
        with autocast(device, enabled=False), without_dropout(self.discriminator):
            made = self.policy().sample(len(uniforms), self.length, uniforms)
            beliefs = [
                float(torch.sigmoid(self.discriminator(each)).mean()) for each in (real, made)
            ]
        figures = windows.figures(made.cpu().numpy())
        figures |= {"score_real": beliefs[0], "score_made": beliefs[1]}
        shown = "  ".join(f"{name} {figures[name]:.3f}" for name in figures if name != "loss")
        self.say(f"generated music: {shown}")
        if figures["diversity"] < COLLAPSED:
            self.say(
                f"the generator collapsed: its diversity is {figures['diversity']:.2f} of the "
                "data's; the last good weights are kept; a lower game.learning_rate or a "
                "teacher_weight helps"
            )
        return figures


def training_task(preset: SeqGanPreset) -> SeqGan:
    """Return the training task of a preset."""
    return SeqGan(preset)

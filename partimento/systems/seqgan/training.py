"""Training of SeqGAN: algorithm 1 of Yu et al. 2016 as three stages.

Lines of the algorithm and where they live::

    1      random weights                     -> SeqGan.__init__
    2      pre-train G by likelihood          -> stage "likelihood"   TokenTrainee.stages
    3      beta <- theta                      -> SeqGan._critic_alone
    4, 5   pre-train D on made and real       -> stage "critic"       SeqGan._critic_alone
    7-11   g-steps: sample, Q by Eq. 4, Eq. 8 -> stage "adversarial"  SeqGan._policy
    12-15  d-steps: sample, Eq. 5             -> stage "adversarial"  SeqGan._criticise
    16     beta <- theta, lagging             -> SeqGan._policy

    Eq. 4      -> training/policy_gradient/reinforce.py  MonteCarlo.values
    Eq. 5      -> training/policy_gradient/reinforce.py  critic_loss
    Eq. 6 to 8 -> training/policy_gradient/reinforce.py  reinforce
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from partimento.files.corpora.corpus import Corpus
from partimento.systems.seqgan import SeqGanPreset
from partimento.systems.seqgan.networks import critic, network
from partimento.training.contract import Batch, Loss, Player, Stage
from partimento.training.device import autocast
from partimento.training.policy_gradient.reinforce import (
    MonteCarlo,
    baseline_of,
    critic_loss,
    entropy,
    follow,
    lagging_copy,
    reinforce,
    with_teacher,
)
from partimento.training.policy_gradient.rollouts import TokenPolicy, policy_of, without_dropout
from partimento.training.policy_gradient.windows import COLLAPSED, Windows
from partimento.training.tokens.task import TokenTrainee

__all__ = ["SeqGan", "trainee"]


class SeqGan(TokenTrainee):
    """A melody model that learns by likelihood, and then from a critic."""

    preset: SeqGanPreset

    def __init__(self, preset: SeqGanPreset) -> None:
        super().__init__("seqgan", preset, network)
        self.length = preset.recipe.length
        self.critic = critic(preset.critic, self.vocabulary, self.length)
        self.behind = lagging_copy(self.network)  # the rollout policy's network
        self.baseline = baseline_of(preset.baseline, self.length)
        self.windows: Windows | None = None
        self.say: Callable[[str], None] = print

    def fresh(self) -> SeqGan:
        """Return another trainee of the same preset, its weights drawn anew."""
        return type(self)(self.preset)

    def prepare(self, corpora: Sequence[Corpus], folder: Path, say: Callable[[str], None]) -> None:
        """Read and encode the corpora, or take what an earlier run in ``folder`` encoded.

        Raises:
            TrainingError: if there is too little for a critic, or no piece has T tokens.
        """
        super().prepare(corpora, folder, say)
        self.say, self.windows = say, Windows(self.sets, self.length, self.preset.validated)

    def stages(self) -> tuple[Stage, ...]:
        """Return likelihood, the critic alone, and the game."""
        preset = self.preset
        (first,) = super().stages()
        alone = Player("critic", (self.critic,), self._critic_alone)
        own = (self.network, self.behind, *self.baseline.modules_to_keep)
        g_steps = Player("generator", own, self._policy)
        learns = preset.critic.recipe
        d_steps = Player("critic", (self.critic,), self._criticise, preset.critic_updates, learns)
        return (
            first,
            Stage(
                "critic", (alone,), learns, self._real(learns.batch_size), freezes=(self.network,)
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
        """Leave the weights as the critic left them: they are meant to be sampled as they are."""
        return {}

    def policy(self) -> TokenPolicy:
        """Return the generator as a policy."""
        return policy_of(self.network, self.representation, self.local_width)

    def _real(self, size: int) -> Callable[[np.random.Generator], Batch]:
        return lambda draw: {"targets": self._prepared.real(draw, size)}

    @property
    def _prepared(self) -> Windows:
        if self.windows is None:
            self.windows = Windows(self.sets, self.length, self.preset.validated)
        return self.windows

    def _critic_alone(self, batch: Batch) -> Loss:
        """Return the critic's loss; the rollout policy is the generator as it is."""
        follow(self.behind, self.network, 0.0)
        return self._criticise(batch)

    def _criticise(self, batch: Batch) -> Loss:
        """Return the critic's loss on real sequences and as many newly made."""
        real = batch["targets"][: self.preset.critic.recipe.batch_size]
        with autocast(real.device, enabled=False):
            made = self.policy().sample(*real.shape)
            loss = critic_loss(self.critic(real), self.critic(made))
            return Loss(loss.total + self.preset.critic.penalty * self.critic.penalty(), loss.parts)

    def _policy(self, batch: Batch) -> Loss:
        """Return the generator's loss on sequences that it makes.

        Raises:
            TrainingError: if the critic's reward is not finite.
        """
        preset, policy = self.preset, self.policy()
        real = batch["targets"][: preset.game.batch_size]
        with autocast(real.device, enabled=False), without_dropout(self.critic):
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
            lagging, lambda tokens: torch.sigmoid(self.critic(tokens)), preset.rollouts, starts
        )

    @torch.no_grad()
    def _figures(self) -> Mapping[str, float]:
        """Return the figures of what the generator makes (``Windows.figures``), and tell them."""
        windows, device = self._prepared, next(self.network.parameters()).device
        uniforms = windows.uniforms().to(device)
        real = torch.from_numpy(windows.valid).to(device)
        with autocast(device, enabled=False), without_dropout(self.critic):
            made = self.policy().sample(len(uniforms), self.length, uniforms)
            beliefs = [float(torch.sigmoid(self.critic(each)).mean()) for each in (real, made)]
        figures = windows.figures(made.cpu().numpy())
        figures |= {"score_real": beliefs[0], "score_made": beliefs[1]}
        told = "  ".join(f"{name} {figures[name]:.3f}" for name in figures if name != "loss")
        self.say(f"made music: {told}")
        if figures["diversity"] < COLLAPSED:
            self.say(
                f"the generator collapsed: its diversity is {figures['diversity']:.2f} of the "
                "data's; the last good weights are kept; a lower game.learning_rate or a "
                "teacher_weight helps"
            )
        return figures


def trainee(preset: SeqGanPreset) -> SeqGan:
    """Return the trainee of a preset."""
    return SeqGan(preset)

"""Routes by which a discriminator's opinion of sequences becomes a gradient for their generator.

Shapes: B sequences, L tokens, V the vocabulary. What a discriminator holds of a prefix is a
log-odds: an estimate of log p(real prefix) - log p(made prefix), in nats. To raise it on average is
to lower the divergence KL(made || real), so what it says needs no scale of its own beside a
likelihood's.

Every made sequence has a real one to match, and the discriminator learns which of the two is which:
the relativistic loss of Jolicoeur-Martineau 2018 (arXiv 1807.00734, Eq. 3). What holds of both,
such as the place in the piece, is no news then. A reward is the belief that the made one is the
real one.

=================  ==============================================================================
``ExpectedSteps``  every token that could have come is weighed by the discriminator at each step,
and the
                   gradient is that of the expectation over them: no sampling variance is left in
                   the step, and its baseline is exact ("expected policy gradients", Ciosek and
                   Whiteson 2018, arXiv 1801.03326; here the state is the prefix)
``AnchoredSteps``  the same, held to the generator that the discriminator knows: what is best then
has a
                   closed form, and the generator learns it as it would learn data
``Rewarded``       REINFORCE on the tokens that came, with any credit and baseline of
                   ``objectives/policy.py``: each step's reward (REGS), search, terminal reward
``StraightGumbel`` the discriminator's gradient straight through the tokens (``policy_gumbel``)
=================  ==============================================================================
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from partimento.training.contract import Loss
from partimento.training.nn.discriminators.sequence import DiscriminatorScores
from partimento.training.policy_gradient.game import Game, Sequences
from partimento.training.policy_gradient.gumbel import (
    gumbel_given,
    gumbel_temperature,
    straight_through,
)
from partimento.training.policy_gradient.reinforce import (
    Baseline,
    Credit,
    MonteCarlo,
    StepRewards,
    TerminalReward,
    finite_rewards,
    reinforce,
)

__all__ = [
    "AnchoredSteps",
    "CreditOf",
    "ExpectedSteps",
    "Pair",
    "Rewarded",
    "Route",
    "StraightGumbel",
    "discriminator_of_pairs",
    "mean_scores",
    "regs",
    "route_of",
    "searching",
    "terminal",
]

_SCORED_AT_ONCE = 64

Pair = tuple[Sequences, Sequences]  # real ones, and made ones that match them
CreditOf = Callable[[Game, nn.Module, Pair], Credit]


class Route(ABC):
    """How a generator learns from a discriminator."""

    @abstractmethod
    def loss(self, game: Game, discriminator: nn.Module, pair: Pair, progress: float) -> Loss:
        """Return the loss on a pair (real, made), nats a token; ``progress`` is 0..1."""


class ExpectedSteps(Route):
    """The reward of each step, expected over every token that could have come."""

    def loss(self, game: Game, discriminator: nn.Module, pair: Pair, progress: float) -> Loss:
        """Return -sum_v G(v | prefix) (D(prefix v) - E_G D), over places that are scored."""
        made = pair[1]
        log_g = game.log_probabilities(made)  # (B, L, V)
        with torch.no_grad():
            scores: DiscriminatorScores = discriminator(made.columns, made.tokens, made.scored)
            values = finite_rewards(scores.values)
            expected = (log_g.exp() * values).sum(-1, keepdim=True)
        gain = (log_g.exp() * (values - expected)).sum(-1)  # zero; its gradient is not
        total = -gain[made.scored].mean()
        return Loss(total, mean_scores(scores, made))


class AnchoredSteps(Route):
    """Expected steps with a penalty for leaving ``reference``, the generator D was trained on.

    The best G of  strength x E_G[D] - KL(G || reference)  at a prefix is  reference x exp(strength
    x D), up to its sum (Abdolmaleki et al. 2018, arXiv 1806.06920, section 3). With a strength of 1
    and a perfect discriminator that is the real distribution itself. The generator learns it by
    cross-entropy, so it cannot run past what the discriminator has seen, and the discriminator can
    rest.
    """

    def __init__(self, reference: nn.Module, strength: float) -> None:
        self.reference, self.strength = reference, strength

    def loss(self, game: Game, discriminator: nn.Module, pair: Pair, progress: float) -> Loss:
        """Return the cross-entropy to the best generator, over places that are scored."""
        made = pair[1]
        with torch.no_grad():
            scores: DiscriminatorScores = discriminator(made.columns, made.tokens, made.scored)
            values = finite_rewards(scores.values)
            best = game.log_probabilities(made, self.reference) + self.strength * values
            aim = torch.softmax(best, dim=-1)
        log_g = game.log_probabilities(made)
        # A token that cannot be has log-probability -inf, and is never aimed at.
        each = -(aim * log_g.clamp(min=-1e4)).sum(-1)
        return Loss(each[made.scored].mean(), mean_scores(scores, made))


class Rewarded(Route):
    """REINFORCE with a credit, which is made for each batch, and a baseline."""

    def __init__(self, credit: CreditOf, baseline: Baseline) -> None:
        self.credit, self.baseline = credit, baseline

    def loss(self, game: Game, discriminator: nn.Module, pair: Pair, progress: float) -> Loss:
        """Return the loss of policy gradient, a token."""
        made = pair[1]
        with torch.no_grad():
            scores: DiscriminatorScores = discriminator(made.columns, made.tokens, made.scored)
        values = self.credit(game, discriminator, pair).values(made.tokens)
        chosen = game.log_probabilities(made).gather(-1, made.tokens[..., None])[..., 0]
        scored = made.scored
        loss = reinforce(
            torch.where(scored, chosen, torch.zeros_like(chosen)),
            self.baseline.advantages(values),
            scored,
        )
        places = scored.float().sum() / len(scored)
        return Loss(loss.total / places, mean_scores(scores, made))


class StraightGumbel(Route):
    """The discriminator's gradient through sampled tokens; ``temperature`` of the progress 0..1."""

    def __init__(self, temperature: Callable[[float], float]) -> None:
        self.temperature = temperature

    def loss(self, game: Game, discriminator: nn.Module, pair: Pair, progress: float) -> Loss:
        """Return minus the discriminator's mean log-odds, of steps and of the whole."""
        made = pair[1]
        log_g = game.log_probabilities(made)
        temperature = self.temperature(progress)
        hot = straight_through(gumbel_given(log_g, made.tokens), temperature)
        given = F.one_hot(made.tokens, hot.shape[-1]).to(hot)
        hot = torch.where(made.scored[..., None], hot, given)
        # The discriminator's own weights take no gradient here.
        frozen = {name: value.detach() for name, value in discriminator.named_parameters()}
        frozen |= dict(discriminator.named_buffers())
        scores: DiscriminatorScores = functional_call(
            discriminator, frozen, (made.columns, hot, made.scored)
        )
        total = -(scores.steps[made.scored].mean() + scores.whole.mean())
        finite_rewards(total)
        return Loss(total, mean_scores(scores, made))


def mean_scores(scores: DiscriminatorScores, made: Sequences) -> dict[str, Tensor]:
    """Return what the log reports: the mean log-odds that the discriminator gives the generator."""
    return {
        "score_steps": scores.steps.detach()[made.scored].mean(),
        "score_whole": scores.whole.detach().mean(),
    }


def discriminator_of_pairs(
    real: DiscriminatorScores, made: DiscriminatorScores, is_scored: Tensor
) -> Loss:
    """Return D's loss: softplus(fake - real), of each prefix (local) and of the whole.

    ``is_scored`` (B, L) is True where the discriminator scores either. The parts are how often
    it is right.
    """
    local = (real.steps - made.steps)[is_scored]
    whole = real.whole - made.whole
    parts = {
        "right_steps": (local > 0).float().mean().detach(),
        "right_whole": (whole > 0).float().mean().detach(),
    }
    return Loss(F.softplus(-local).mean() + F.softplus(-whole).mean(), parts)


def regs(game: Game, discriminator: nn.Module, pair: Pair) -> Credit:
    """Return the reward for each generated step: D's probability of each prefix, 0..1."""
    real, made = pair
    with torch.no_grad():
        theirs: DiscriminatorScores = discriminator(real.columns, real.tokens, real.scored)

    def reward(tokens: Tensor) -> Tensor:
        scores: DiscriminatorScores = discriminator(made.columns, tokens, made.scored)
        return torch.sigmoid(scores.steps - theirs.steps)

    return StepRewards(reward)


def terminal(game: Game, discriminator: nn.Module, pair: Pair) -> Credit:
    """Return the discriminator's belief in the whole as every token's worth."""
    return TerminalReward(_belief_in_the_whole(game, discriminator, pair, []))


def searching(count: int, spacing: int) -> CreditOf:
    """Return the credit of ``count`` completions of every ``spacing``-th prefix past the prompt."""

    def credit(game: Game, discriminator: nn.Module, pair: Pair) -> Credit:
        made = pair[1]
        starts = list(range(int(made.prompt.max()) + spacing, made.tokens.shape[1], spacing))
        reward = _belief_in_the_whole(game, discriminator, pair, starts)
        return MonteCarlo(game.policy(made.features), reward, count, starts)

    return credit


def _belief_in_the_whole(
    game: Game, discriminator: nn.Module, pair: Pair, starts: list[int]
) -> Callable[[Tensor], Tensor]:
    """Return a reward: tokens (R, L) -> beliefs (R,) that they are the real ones, 0..1.

    The R sequences are those of the made, or completions of them (S, B, N) laid flat.
    """
    real, made = pair
    with torch.no_grad():
        theirs: DiscriminatorScores = discriminator(real.columns, real.tokens, real.scored)

    def reward(tokens: Tensor) -> Tensor:
        batch = len(made.tokens)
        rows = torch.arange(batch, device=tokens.device)
        if len(tokens) != batch:
            rows = rows.repeat_interleave(len(tokens) // (batch * len(starts))).repeat(len(starts))
        found = []
        for at in range(0, len(tokens), _SCORED_AT_ONCE):
            of = rows[at : at + _SCORED_AT_ONCE]
            here = tokens[at : at + _SCORED_AT_ONCE]
            part = game.sequences(here, made.features[of], made.prompt[of])
            scores: DiscriminatorScores = discriminator(part.columns, part.tokens, part.scored)
            found.append(torch.sigmoid(scores.whole - theirs.whole[of]))
        return torch.cat(found)

    return reward


def route_of(name: str, baseline: Baseline, rollouts: int, spacing: int) -> Route:
    """Return the route of a name, but ``AnchoredSteps``; what it has no use for is left aside."""
    if name == "expected_steps":
        return ExpectedSteps()
    if name == "gumbel":
        return StraightGumbel(lambda progress: gumbel_temperature(int(1000 * progress), 1000))
    credits = {"steps": regs, "terminal": terminal, "monte_carlo": searching(rollouts, spacing)}
    return Rewarded(credits[name], baseline)

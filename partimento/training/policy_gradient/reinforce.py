"""Learning from rewards: REINFORCE over token sequences, its credits, baselines and cures.

Shapes: B sequences, L tokens each, V the vocabulary, N rollouts a prefix.

Equations of Yu et al. 2016 (SeqGAN, arXiv 1609.05473)::

    Eq. 2  J = E[R]; its gradient -> reinforce
    Eq. 4  action values by search -> MonteCarlo.values
    Eq. 5  the discriminator's loss       -> discriminator_loss
    Eq. 6, 7, 8  policy gradient   -> reinforce

A credit gives each token of a sequence its value; a baseline or a ranking shapes the values into
advantages; ``reinforce`` makes a loss of them. Nothing but the credit differs between SeqGAN
(``MonteCarlo``) and the reward for each generated step (``StepRewards``, Li et al. 2017,
arXiv 1701.06547, section 3.2); ``TerminalReward`` is the plainest.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from partimento.errors import TrainingError
from partimento.training import distributed
from partimento.training.contract import Loss
from partimento.training.policy_gradient.rollouts import TokenPolicy

__all__ = [
    "Baseline",
    "BatchMean",
    "Credit",
    "LearnedBaseline",
    "MonteCarlo",
    "NoBaseline",
    "RankedBaseline",
    "StepRewards",
    "TerminalReward",
    "baseline_of",
    "discriminator_loss",
    "entropy",
    "finite_rewards",
    "follow",
    "lagging_copy",
    "ranked",
    "reinforce",
    "with_teacher",
]

M = TypeVar("M", bound=nn.Module)
_ROWS = 512  # sequences that a discriminator reads at once: what it makes of more leaves the cache
Reward = Callable[[Tensor], Tensor]  # tokens (R, L) -> rewards (R,) or (R, L)


class Credit(ABC):
    """What each token of a sequence is worth."""

    @abstractmethod
    def values(self, tokens: Tensor) -> Tensor:
        """Return (B, L) of tokens (B, L), without gradient.

        Raises:
            TrainingError: if a reward is not finite.
        """


class TerminalReward(Credit):
    """Every token is worth what the whole sequence is."""

    def __init__(self, reward: Reward) -> None:
        self.reward = reward

    @torch.no_grad()
    def values(self, tokens: Tensor) -> Tensor:
        """Return the reward of each sequence, at each of its places."""
        return finite_rewards(self.reward(tokens))[:, None].expand(tokens.shape).clone()


class MonteCarlo(Credit):
    """A token is worth what ``policy`` makes of the prefix that ends with it, on average.

    ``starts`` are the lengths of the prefixes that are searched, all of them without; a token
    between two of them has the value of the next. The last token has the whole sequence's reward.
    """

    def __init__(
        self,
        policy: TokenPolicy,
        reward: Reward,
        count: int,
        starts: Sequence[int] | None = None,
    ) -> None:
        self.policy, self.reward, self.count, self.starts = policy, reward, count, starts

    @torch.no_grad()
    def values(self, tokens: Tensor, uniforms: Tensor | None = None) -> Tensor:  # Eq. 4
        """Return (B, L); ``uniforms`` (S, B, N, L) decide the rollouts where they are given."""
        batch, length = tokens.shape
        starts = list(range(1, length)) if self.starts is None else list(self.starts)
        final = finite_rewards(self.reward(tokens))  # (B,)
        out = final[:, None].expand(batch, length).clone()
        if starts:
            ends = self.policy.rollouts(tokens, self.count, uniforms, starts)  # (S, B, N, L)
            rows = ends.flatten(0, 2)
            parts = [rows[at : at + _ROWS] for at in range(0, len(rows), _ROWS)]
            found = finite_rewards(torch.cat([self.reward(part) for part in parts]))
            means = found.view(ends.shape[:3]).mean(-1)  # (S, B)
            # Prefixes of last + 1 to start tokens take the value of the prefix of ``start`` tokens.
            last = 0
            for start, mean in zip(starts, means, strict=True):
                out[:, last:start] = mean[:, None]
                last = start
        return out


class StepRewards(Credit):
    """REGS: a discriminator of prefixes gives each token its reward, in one pass over the sequence.

    ``reward`` takes tokens (B, L) to (B, L), the value of the prefix that ends at each place.
    """

    def __init__(self, reward: Reward) -> None:
        self.reward = reward

    @torch.no_grad()
    def values(self, tokens: Tensor) -> Tensor:
        """Return the discriminator's rewards (B, L)."""
        rewards = finite_rewards(self.reward(tokens))
        if rewards.shape != tokens.shape:
            raise ValueError(f"a reward a step is {tuple(tokens.shape)}, not {rewards.shape}")
        return rewards


class Baseline(ABC):
    """Turns values into advantages."""

    @property
    def modules_to_keep(self) -> tuple[nn.Module, ...]:
        """What the generator's player must hold for it."""
        return (self,) if isinstance(self, nn.Module) else ()

    @abstractmethod
    def advantages(self, values: Tensor) -> Tensor:
        """Return (B, L) of values (B, L)."""


class NoBaseline(Baseline):
    """The values themselves, as published."""

    def advantages(self, values: Tensor) -> Tensor:
        """Return the values."""
        return values


class BatchMean(Baseline):
    """Each place's values less their mean over the other sequences of the batch.

    Leaving the sequence itself out keeps the gradient unbiased (Kool et al. 2019).
    """

    def advantages(self, values: Tensor) -> Tensor:
        """Return advantages whose mean over the batch is zero; one sequence alone has none."""
        rows = len(values)
        centred = values - values.mean(0, keepdim=True)
        return centred * rows / (rows - 1) if rows > 1 else centred


class RankedBaseline(Baseline):
    """Values by their rank in the batch; see ``ranked``."""

    def __init__(self, sharpness: float = 12.0) -> None:
        self.sharpness = sharpness

    def advantages(self, values: Tensor) -> Tensor:
        """Return the ranked values, less their mean."""
        out = ranked(values, self.sharpness)
        return out - out.mean(0, keepdim=True)


class LearnedBaseline(nn.Module, Baseline):
    """Each place's values less what the batches so far had there, the recent ones counting most.

    Hand the module to the generator's player, so that checkpoints keep what it has learnt. What
    it knows comes from earlier batches alone, so the gradient stays unbiased.
    """

    def __init__(self, length: int, keep: float = 0.9) -> None:
        super().__init__()
        self.keep = keep
        self.total: Tensor
        self.seen: Tensor
        self.register_buffer("total", torch.zeros(length))
        self.register_buffer("seen", torch.zeros(length))  # below 1 while it is young

    @property
    def expected(self) -> Tensor:
        """What is expected of each place (length,); 0 before the first batch."""
        return self.total / self.seen.clamp(min=1e-6)

    @torch.no_grad()
    def advantages(self, values: Tensor) -> Tensor:
        """Return values less what was expected of them, and learn from them."""
        length = values.shape[1]
        out = values - self.expected[:length]
        mean = distributed.average(values.mean(0))
        self.total[:length].lerp_(mean, 1 - self.keep)
        self.seen[:length].lerp_(torch.ones_like(mean), 1 - self.keep)
        return out


def baseline_of(name: str, length: int) -> Baseline:
    """Return a baseline by its name, for sequences of at most ``length`` tokens."""
    if name == "learned":
        return LearnedBaseline(length)
    return {"none": NoBaseline, "batch_mean": BatchMean, "rank": RankedBaseline}[name]()


def ranked(values: Tensor, sharpness: float = 12.0) -> Tensor:
    """Return (B, L) in 0..1: each place's values by rank, sigma(sharpness (1/2 - rank/B)).

    Rank 0 is the best of the batch; equal values share the mean of their ranks. The scale of a
    discriminator that grew sure of itself is gone (Guo et al. 2018, LeakGAN, arXiv 1709.08624, Eq.
    9).
    """
    rows = len(values)
    above = (values[None] > values[:, None]).sum(1)  # (B, L): how many are better
    equal = (values[None] == values[:, None]).sum(1)
    rank = above + (equal - 1) / 2
    return torch.sigmoid(sharpness * (0.5 - (rank + 0.5) / rows))


def reinforce(chosen: Tensor, advantages: Tensor, mask: Tensor | None = None) -> Loss:  # Eq. 8
    """Return the loss whose gradient is the policy gradient, up to sign.

    ``chosen`` (B, L) are the log-probabilities of the tokens; places where ``mask`` is False
    count nothing. -1/B sum_b sum_t log G(y_t | y_1..t-1) A_t.
    """
    weight = advantages.detach()
    if mask is not None:
        weight = weight * mask
    total = -(chosen * weight).sum() / len(chosen)
    return Loss(total, {"policy": total.detach()})


def entropy(log_probabilities: Tensor) -> Tensor:
    """Return the mean entropy, in nats a token, of distributions (..., V)."""
    mass = log_probabilities.exp()
    # A token that cannot be has log-probability -inf, and adds nothing.
    each = torch.where(mass > 0, mass * log_probabilities.clamp(min=-1e4), mass)
    return -each.sum(-1).mean()


def with_teacher(policy: Loss, teacher: Loss, weight: float) -> Loss:
    """Return a policy loss and, beside it in the same step, ``weight`` of teacher forcing."""
    parts = {**policy.parts, **teacher.parts}
    return Loss(policy.total + weight * teacher.total, parts)


def discriminator_loss(real: Tensor, fake: Tensor) -> Loss:  # Eq. 5
    """Return the cross-entropy of a discriminator's logits on real and made sequences, any shape.

    The parts are the discriminator's mean beliefs that each is real, and how often it is right.
    """
    of_real = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
    of_fake = F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    parts = {
        "real": torch.sigmoid(real).mean().detach(),
        "fake": torch.sigmoid(fake).mean().detach(),
        "right": ((real > 0).float().mean() + (fake < 0).float().mean()).detach() / 2,
    }
    return Loss((of_real + of_fake) / 2, parts)


def finite_rewards(rewards: Tensor) -> Tensor:
    """Return the rewards in float32.

    Raises:
        TrainingError: if one of them is not finite.
    """
    if not bool(torch.isfinite(rewards).all()):
        raise TrainingError(
            "the reward is not finite; the last checkpoint is kept; start with a lower "
            "learning_rate"
        )
    return rewards.detach().float()


def lagging_copy(network: M) -> M:
    """Return a copy of a network that learns nothing by itself; see ``follow``.

    Hand it to the generator's player among its modules, so that checkpoints keep it.
    """
    return copy.deepcopy(network).requires_grad_(False)


@torch.no_grad()
def follow(lagging: nn.Module, network: nn.Module, keep: float) -> None:
    """Move the lagging weights towards the network's: keep x lagging + (1 - keep) x network."""
    pairs = zip(lagging.parameters(), network.parameters(), strict=True)
    for old, new in pairs:
        old.lerp_(new.detach(), 1 - keep)

"""What the SeqGAN benchmarks share: pre-training, adversarial training, keeping the best.

A game is algorithm 1 of Yu et al. 2016: maximum likelihood first, then the discriminator against
the generator as it is, then turns of both. Which credit the policy gradient takes, or whether the
gradient goes through Gumbel-softmax instead, is a function handed in.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from partimento.training.nn.discriminators.convolution import ConvDiscriminator, PrefixDiscriminator
from partimento.training.policy_gradient.gumbel import (
    gumbel_given,
    gumbel_temperature,
    straight_through,
)
from partimento.training.policy_gradient.reinforce import (
    BatchMean,
    Credit,
    discriminator_loss,
    entropy,
    follow,
    lagging_copy,
    reinforce,
)
from partimento.training.policy_gradient.rollouts import TokenPolicy

__all__ = [
    "ConvOpponent",
    "Entropy",
    "Opponent",
    "PrefixOpponent",
    "Sizes",
    "Turn",
    "gumbel_turn",
    "likelihood",
    "play",
    "policy_turn",
    "pretrain",
    "published_turn",
]

Turn = Callable[[int], Tensor]  # the step of the game -> the generator's loss
Judge = Callable[[], float]  # lower is better
_AVERAGED = 0.95  # what the moving average of weights keeps each step


@dataclass(frozen=True)
class Sizes:
    """How long and how fast."""

    batch: int = 32
    mle_steps: int = 400
    mle_rate: float = 1e-2
    discriminator_steps: int = 300
    discriminator_rate: float = 1e-3
    discriminator_turns: int = 4
    game_steps: int = 150
    game_rate: float = 1.5e-3
    judge_every: int = 5


class Opponent(Protocol):
    """A discriminator as the game sees it."""

    @property
    def network(self) -> nn.Module:
        """What learns."""
        ...

    def loss(self, real: Tensor, made: Tensor) -> Tensor:
        """Return what the discriminator descends on real and made tokens (B, L)."""
        ...

    def belief(self, tokens: Tensor) -> Tensor:
        """Return (B,): how likely each of tokens (B, L) is real, 0..1."""
        ...


class ConvOpponent:
    """SeqGAN's CNN."""

    def __init__(self, discriminator: ConvDiscriminator, penalty: float = 1e-3) -> None:
        self.network, self.penalty = discriminator, penalty

    def loss(self, real: Tensor, made: Tensor) -> Tensor:
        """Return the cross-entropy, and the penalty on the last layer."""
        loss = discriminator_loss(self.network(real), self.network(made)).total
        return loss + self.penalty * self.network.penalty()

    def belief(self, tokens: Tensor) -> Tensor:
        """Return (B,), 0..1."""
        return torch.sigmoid(self.network(tokens))


class PrefixOpponent:
    """A Transformer of prefixes; its last word is that on the whole."""

    def __init__(self, discriminator: PrefixDiscriminator) -> None:
        self.network = discriminator

    def loss(self, real: Tensor, made: Tensor) -> Tensor:
        """Return the cross-entropy of prefixes (local) and wholes (global)."""
        known, other = self.network(real), self.network(made)
        return (
            discriminator_loss(known, other).total
            + discriminator_loss(known[:, -1], other[:, -1]).total
        )

    def belief(self, tokens: Tensor) -> Tensor:
        """Return (B,), 0..1, of the whole."""
        return self.step_beliefs(tokens)[:, -1]

    def step_beliefs(self, tokens: Tensor) -> Tensor:
        """Return (B, L), 0..1, of each prefix."""
        return torch.sigmoid(self.network(tokens))

    def soft_score(self, hot: Tensor) -> Tensor:
        """Return the mean log-odds of one-hot (B, L, V), without gradients to the weights."""
        frozen = {name: value.detach() for name, value in self.network.named_parameters()}
        logits: Tensor = functional_call(self.network, frozen, (hot,))
        return logits.mean() + logits[:, -1].mean()


class Entropy:
    """An entropy bonus whose weight is steered so that the policy keeps its entropy.

    ``share`` is how much of what it began with: at 0.97 the sequences of these LSTMs repeat each
    other as much as at first, since what a discriminator forbids first is what nobody else says.
    """

    def __init__(self, weight: float = 0.05, rate: float = 0.02, share: float = 0.97) -> None:
        self.weight, self.rate, self.share = weight, rate, share
        self.target: float | None = None

    def bonus(self, log_probabilities: Tensor) -> Tensor:
        """Return the bonus, and steer its weight by how far the entropy is off."""
        amount = entropy(log_probabilities)
        now = float(amount.detach())
        self.target = self.share * now if self.target is None else self.target
        self.weight = max(0.0, self.weight + self.rate * (self.target - now))
        return self.weight * amount


def _batch(rows: Tensor, size: int, draw: np.random.Generator) -> Tensor:
    return rows[torch.from_numpy(draw.integers(0, len(rows), size))]


def likelihood(policy: TokenPolicy, tokens: Tensor) -> Tensor:
    """Return the mean NLL of tokens (B, L), nats a token."""
    logs = policy.log_probabilities(tokens)
    return -logs.gather(-1, tokens[..., None]).mean()


def pretrain(
    policy: TokenPolicy, train: Tensor, valid: Tensor, sizes: Sizes, draw: np.random.Generator
) -> float:
    """Fit by maximum likelihood; keep the weights that validate best; returns their NLL."""
    adam = torch.optim.Adam(policy.network.parameters(), lr=sizes.mle_rate)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(adam, sizes.mle_steps)
    best, kept = float("inf"), copy.deepcopy(policy.network.state_dict())
    for step in range(sizes.mle_steps):
        _descend(adam, likelihood(policy, _batch(train, 4 * sizes.batch, draw)), policy.network)
        decay.step()
        if (step + 1) % 50 == 0 or step + 1 == sizes.mle_steps:
            with torch.no_grad():
                loss = float(likelihood(policy, valid))
            if loss < best:
                best, kept = loss, copy.deepcopy(policy.network.state_dict())
    policy.network.load_state_dict(kept)
    return best


def policy_turn(
    policy: TokenPolicy, credit: Credit, batch: int, length: int, held: Entropy | None = None
) -> Turn:
    """Return a generator's turn by policy gradient, with the batch's mean as baseline."""
    baseline = BatchMean()

    def turn(_step: int) -> Tensor:
        tokens = policy.sample(batch, length)
        advantages = baseline.advantages(credit.values(tokens))
        logs = policy.log_probabilities(tokens)
        chosen = logs.gather(-1, tokens[..., None])[..., 0]
        # At one scale whatever the discriminator thinks, so that the bonus means the same.
        scale = advantages.std().clamp(min=1e-4) * length
        loss = reinforce(chosen, advantages / scale).total
        return loss if held is None else loss - held.bonus(logs)

    return turn


def published_turn(policy: TokenPolicy, credit: Credit, batch: int, length: int) -> Turn:
    """Return a generator's turn as published: the rewards themselves, and nothing beside them."""

    def turn(_step: int) -> Tensor:
        tokens = policy.sample(batch, length)
        chosen = policy.log_probabilities(tokens).gather(-1, tokens[..., None])[..., 0]
        return reinforce(chosen, credit.values(tokens) / length).total

    return turn


def gumbel_turn(
    policy: TokenPolicy,
    opponent: PrefixOpponent,
    batch: int,
    length: int,
    steps: int,
    held: Entropy,
) -> Turn:
    """Return a generator's turn by straight-through Gumbel-softmax."""

    def turn(step: int) -> Tensor:
        tokens = policy.sample(batch, length)
        logs = policy.log_probabilities(tokens)
        hot = straight_through(gumbel_given(logs, tokens), gumbel_temperature(step, steps, 10.0))
        return -opponent.soft_score(hot) - held.bonus(logs)

    return turn


def play(
    policy: TokenPolicy,
    opponent: Opponent,
    train: Tensor,
    turn: Turn,
    sizes: Sizes,
    draw: np.random.Generator,
    judge: Judge,
    after: Callable[[], None] = lambda: None,
) -> list[float]:
    """Play the game and keep the weights that the judge likes best, the first among them.

    ``after`` is called after each of the generator's turns. Returns what the judge said.
    """
    generator = torch.optim.Adam(policy.network.parameters(), lr=sizes.game_rate)
    discriminator = torch.optim.Adam(opponent.network.parameters(), lr=sizes.discriminator_rate)

    def learn(steps: int) -> None:
        opponent.network.train()
        for _ in range(steps):
            real = _batch(train, 2 * sizes.batch, draw)
            _descend(
                discriminator, opponent.loss(real, policy.sample(*real.shape)), opponent.network
            )
        opponent.network.eval()

    learn(sizes.discriminator_steps)
    said = [judge()]
    kept = copy.deepcopy(policy.network.state_dict())
    mean = lagging_copy(policy.network)  # steps are noisy: what counts is their moving average
    for step in range(sizes.game_steps):
        _descend(generator, turn(step), policy.network)
        follow(mean, policy.network, _AVERAGED)
        after()
        learn(sizes.discriminator_turns)
        if (step + 1) % sizes.judge_every == 0:
            now = copy.deepcopy(policy.network.state_dict())
            policy.network.load_state_dict(mean.state_dict())
            said.append(judge())
            if said[-1] <= min(said):
                kept = copy.deepcopy(mean.state_dict())
            policy.network.load_state_dict(now)
    policy.network.load_state_dict(kept)
    return said


def _descend(adam: torch.optim.Adam, loss: Tensor, network: nn.Module) -> None:
    adam.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    adam.step()

"""SeqGAN's experiment with an oracle: does the game bring the generator nearer to its source?

Yu et al. 2016, section 4: an LSTM whose weights are drawn from N(0, 1) writes the training data; a
generator of the same size learns from 10,000 of its sequences by likelihood, then plays against a
discriminator; the figure is the oracle's NLL of what it makes, in nats a token. Here, to be done in
twenty minutes on one core: 500 tokens in place of 5,000, sequences of 20, embedding and hidden
state of 32 as published; N = 8 rollouts of every prefix, a batch of 64, the rewards themselves
without a baseline, as published, 100 turns; likelihood at a falling rate, with the weights that
validate best (the published code stops at a constant rate). Published, with 5,000 tokens: 9.038 by
likelihood, 8.736 by SeqGAN.

The oracle's NLL alone can be lowered by saying less. So two controls are told as well:
``nll_cooler``, likelihood sampled at temperature 0.9; and the generator's NLL of the oracle's
held-out sequences (``heldout_*``), which rises where it says less.

Keys: ``nll_mle``, ``nll_seqgan`` (means over three seeds, each with an oracle of its own, the
last weights of the game, nothing chosen), ``nll_mle_seeds``, ``nll_seqgan_seeds``,
``nll_cooler``, ``nll_oracle`` (the oracle's own sequences), ``nll_random``, ``heldout_mle``,
``heldout_seqgan``, ``gain`` (``nll_mle`` less ``nll_seqgan``), ``belief_r`` (the correlation,
over what the learner makes after the game, of the discriminator's belief with the oracle's log-
likelihood).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.harness import Options, say, start
from benchmarks.sequence_games import (
    ConvOpponent,
    Sizes,
    likelihood,
    play,
    pretrain,
    published_turn,
)
from partimento.runtime.presets import RecurrentConfig
from partimento.training.nn.discriminators.convolution import ConvDiscriminator
from partimento.training.nn.recurrent import CausalLSTM
from partimento.training.policy_gradient.reinforce import MonteCarlo, follow, lagging_copy
from partimento.training.policy_gradient.rollouts import PlainWalks, TokenPolicy

VOCABULARY, LENGTH, SEEDS, DATA, HELD_OUT = 500, 20, 3, 10_000, 2000
_COOLER = 0.9
_LSTM = RecurrentConfig(layers=1, width=32, local_width=1, token_width=32, dropout=0.0)
_KERNELS = ((1, 32), (2, 64), (3, 64), (4, 64), (5, 32))
_SIZES = Sizes(
    batch=64, mle_steps=2000, mle_rate=1e-2, discriminator_steps=300, discriminator_turns=5,
    game_steps=100, game_rate=1e-3, judge_every=20,
)  # fmt: skip
TARGETS: dict[str, Callable[[Any], bool]] = {"gain": lambda nats: nats > 0}
_QUICK = Sizes(
    batch=8, mle_steps=4, discriminator_steps=2, discriminator_turns=1, game_steps=2, judge_every=1
)


def policy() -> TokenPolicy:
    """Return a new LSTM as a policy; the start token comes after the others."""
    network = CausalLSTM(_LSTM, VOCABULARY + 1, ())
    return TokenPolicy(network, PlainWalks(), VOCABULARY)


@torch.no_grad()
def oracle() -> TokenPolicy:
    """Return an LSTM whose weights are all drawn from N(0, 1)."""
    made = policy()
    for weight in made.network.parameters():
        weight.normal_()
    local = made.network.get_parameter("embedding.local.weight")
    local.copy_(torch.eye(len(local)))  # the published network has no such layer
    return made


@torch.no_grad()
def nll(judge: TokenPolicy, tokens: Tensor) -> float:
    """Return what tokens (B, L) cost a policy, nats a token."""
    parts = [float(likelihood(judge, tokens[at : at + 500])) for at in range(0, len(tokens), 500)]
    return float(np.mean(parts))


@torch.no_grad()
def belief_r(opponent: ConvOpponent, truth: TokenPolicy, tokens: Tensor) -> float:
    """Return the correlation of the discriminator's belief with the oracle's log-likelihood."""
    logs = truth.log_probabilities(tokens).gather(-1, tokens[..., None])[..., 0].sum(-1)
    belief = opponent.belief(tokens)
    return float(np.corrcoef(belief.numpy(), logs.numpy())[0, 1])


def one(seed: int, sizes: Sizes, count: int) -> dict[str, float]:
    """Return the figures of one seed."""
    torch.manual_seed(seed)
    draw = np.random.default_rng(seed)
    truth, learner = oracle(), policy()
    train, valid, test = (truth.sample(size, LENGTH) for size in (count, count // 5, HELD_OUT))
    found = {
        "nll_oracle": nll(truth, test),
        "nll_random": nll(truth, torch.randint(0, VOCABULARY, test.shape)),
    }
    pretrain(learner, train, valid, sizes, draw)
    found["nll_mle"] = nll(truth, learner.sample(HELD_OUT, LENGTH))
    found["nll_cooler"] = nll(truth, learner.sample(HELD_OUT, LENGTH, temperature=_COOLER))
    found["heldout_mle"] = nll(learner, test)
    say(f"seed {seed}: {found}")
    opponent = ConvOpponent(ConvDiscriminator(VOCABULARY + 1, LENGTH, 32, _KERNELS))
    behind = lagging_copy(learner.network)
    search = MonteCarlo(TokenPolicy(behind, PlainWalks(), VOCABULARY), opponent.belief, 8)
    turn = published_turn(learner, search, sizes.batch, LENGTH)
    turns = itertools.count()

    def judge() -> float:
        say(f"  {nll(truth, learner.sample(500, LENGTH)):.4f}")
        return -float(next(turns))  # the last weights are taken, whatever they are

    after = partial(follow, behind, learner.network, 0.8)
    play(learner, opponent, train, turn, sizes, draw, judge, after)
    found["nll_seqgan"] = nll(truth, learner.sample(HELD_OUT, LENGTH))
    found["heldout_seqgan"] = nll(learner, test)
    found["belief_r"] = belief_r(opponent, truth, learner.sample(HELD_OUT, LENGTH))
    say(f"  {found}")
    return found


def run(options: Options) -> dict[str, Any]:
    """Run the seeds."""
    sizes, count = (_QUICK, 200) if options.quick else (_SIZES, DATA)
    sizes = replace(sizes, game_rate=float(options.more.get("rate") or sizes.game_rate))
    seeds = [one(seed, sizes, count) for seed in range(1 if options.quick else SEEDS)]
    out: dict[str, Any] = {
        key: round(float(np.mean([seed[key] for seed in seeds])), 4) for key in seeds[0]
    }
    out["gain"] = round(out["nll_mle"] - out["nll_seqgan"], 4)
    for key in ("nll_mle", "nll_seqgan"):
        out[f"{key}_seeds"] = [round(seed[key], 4) for seed in seeds]
    return out


if __name__ == "__main__":
    start(__doc__, run, TARGETS, {"rate": "of the generator in the game (1e-3)"})

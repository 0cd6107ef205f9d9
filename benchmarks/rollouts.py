"""Monte-Carlo rollouts of every prefix: one batch from cached states against the naive loop.

T = 32, N = 16, on two threads: SeqGAN's music LSTM of 128 over 90 tokens, a batch of 8 sequences.
The naive loop takes prefix by prefix and rollout by rollout, the batch together, and reads the
whole past again for each token, without gradient. Both turn the same random numbers into the same
tokens (checked here). They take turns; the figure is the ratio of the median times. The same is
told of a Transformer of two layers, measured once (``ratio_transformer``). Keys: ``ratio``,
``seconds_cached``, ``seconds_naive``, ``ratio_transformer``.
"""

from __future__ import annotations

import statistics
from typing import Any

import torch
from torch import nn

from benchmarks.harness import Options, say, start, timed
from partimento.runtime.presets import RecurrentConfig, TransformerConfig
from partimento.training.nn.recurrent import CausalLSTM
from partimento.training.nn.transformer import CausalTransformer
from partimento.training.policy_gradient.rollouts import PlainWalks, TokenPolicy, naive_rollouts

LENGTH, COUNT, BATCH, VOCABULARY, THREADS = 32, 16, 8, 90, 2


def networks() -> dict[str, nn.Module]:
    """Return the two generators, their weights random."""
    torch.manual_seed(0)
    lstm = RecurrentConfig(layers=1, width=128, local_width=1, token_width=64, dropout=0.0)
    transformer = TransformerConfig(
        layers=2, width=64, heads=4, kv_heads=4, feedforward=128, max_distance=LENGTH,
        local_width=1, token_width=64, dropout=0.0,
    )  # fmt: skip
    return {
        "lstm": CausalLSTM(lstm, VOCABULARY, ()),
        "transformer": CausalTransformer(transformer, VOCABULARY, ()),
    }


def compare(network: nn.Module, batch: int, rounds: int) -> tuple[float, float]:
    """Return the median seconds of the cached and of the naive rollouts.

    Raises:
        RuntimeError: if they are not the same.
    """
    policy = TokenPolicy(network, PlainWalks(), VOCABULARY - 1)
    tokens = policy.sample(batch, LENGTH)
    uniforms = torch.rand(LENGTH - 1, batch, COUNT, LENGTH)
    policy.rollouts(tokens, 1)
    cached, naive, made = [], [], []
    for _ in range(rounds):
        cached.append(timed(lambda: made.append(policy.rollouts(tokens, COUNT, uniforms))))
        naive.append(timed(lambda: made.append(naive_rollouts(policy, tokens, uniforms))))
        say(f"cached {cached[-1]:.3f} s, naive {naive[-1]:.2f} s")
    # Sums of floats in another order may once in a while carry a draw over a border.
    if float((made[0] == made[1]).all(-1).float().mean()) < 0.99:
        raise RuntimeError("the cached rollouts are not the naive ones")
    return statistics.median(cached), statistics.median(naive)


def run(options: Options) -> dict[str, Any]:
    """Time both forms for both networks."""
    torch.set_num_threads(THREADS)
    batch, rounds = (2, 1) if options.quick else (BATCH, 3)
    found = networks()
    cached, naive = compare(found["lstm"], batch, rounds)
    other, plain = compare(found["transformer"], batch, 1)
    return {
        "ratio": round(naive / cached, 1),
        "seconds_cached": round(cached, 4),
        "seconds_naive": round(naive, 3),
        "ratio_transformer": round(plain / other, 1),
    }


if __name__ == "__main__":
    start(__doc__, run, {"ratio": lambda value: value >= 10})

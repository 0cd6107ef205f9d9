"""SeqGAN's table of music: BLEU and MSE on Nottingham, with the control that the paper lacks.

The task is that of Yu et al. 2016, section 5.2: melodies as one of 88 pitches each 0.4 seconds,
32 of them. The protocol in full:

- **Data**: the melody track of each Nottingham tune, on eighths (0.4 s at 75 quarters a minute;
  the files have no tempo); silence holds the pitch before. Windows of 32: each eighth one in the
  training tunes, side by side in the validation and test tunes. Nothing that is trained here ships.
- **BLEU-4**: of each of 1,000 generated sequences against all test windows as references at once;
  a token is a pitch; orders 1 to 4 weighted alike, counts clipped by the best single reference, no
  brevity penalty (all have 32 tokens), an order without a match counts 0.1 matches; the mean over
  sequences.
- **Self-BLEU-4**: each of the 1,000 against the 999 others; high is monotonous. Quality that is
  bought by diversity shows here.
- **MSE**: the mean squared difference in semitones, step by step, to the nearest test window; the
  mean over sequences. (The paper does not say what it compares with.)
- **Contestants**: ``random`` (pitches as frequent as in the training music, each by itself),
  ``real`` (validation windows), ``mle`` (an LSTM by likelihood) and its temperatures
  (``mle_t0.7`` ...; ``mle_best`` has the highest BLEU), ``seqgan`` (Monte-Carlo search, a CNN
  discriminator, from those very weights), ``mle_equal`` (the temperature at which ``mle`` has
  ``seqgan``'s self-BLEU, interpolated), ``transformer_mle`` and from its weights
  ``transformer_gan_mc``, ``transformer_gan_regs``, ``transformer_gan_gumbel`` (a Transformer
  discriminator; search of every 4th prefix, the reward for each generated step, straight-through
  Gumbel-softmax).
- **Games**: the discriminator's rewards less the batch's mean, and an entropy bonus that is steered
  so
  that a token keeps nearly all its entropy. ``seqgan_plain`` has neither: the published gradient in
  the sizes of this table, which are not those of the published run. What
  counts is a moving average of the generator's weights.
- **Choice**: a game keeps the weights of the highest BLEU against validation windows among those
  whose self-BLEU is no higher than at its start, the start included (``seqgan_plain``: of the
  highest BLEU, whatever its self-BLEU). The test is never looked at.

Five seeds; ``bleu_sd`` is their standard deviation, ``p_value`` that of a paired t-test, two-sided,
of ``seqgan`` against ``mle`` on BLEU. Published: BLEU .9210 (MLE) to .9406 (SeqGAN), MSE 22.38 to
20.62. ``--cache DIR`` keeps the seeds that are done, so that a run can be broken off and resumed.
Keys: an object a method, with ``bleu``, ``bleu_sd``, ``self_bleu``, ``mse``; and ``p_value``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.harness import Options, say, start
from benchmarks.sequence_games import (
    ConvOpponent,
    Entropy,
    PrefixOpponent,
    Sizes,
    Turn,
    gumbel_turn,
    play,
    policy_turn,
    pretrain,
    published_turn,
)
from partimento.files import open_corpus
from partimento.files.atomic import atomic_path
from partimento.metrics.bleu import bleu, self_bleu
from partimento.music import Score
from partimento.representations import MelodySteps
from partimento.runtime.presets import RecurrentConfig, TransformerConfig
from partimento.training.nn.discriminators.convolution import ConvDiscriminator, PrefixDiscriminator
from partimento.training.nn.recurrent import CausalLSTM
from partimento.training.nn.transformer import CausalTransformer
from partimento.training.policy_gradient.reinforce import (
    Credit,
    MonteCarlo,
    StepRewards,
    follow,
    lagging_copy,
)
from partimento.training.policy_gradient.rollouts import PlainWalks, TokenPolicy

Ints = npt.NDArray[np.int64]
Figures = dict[str, float]
LENGTH, SEEDS, MADE = 32, 5, 1000
TEMPERATURES = (0.7, 0.8, 0.85, 0.9, 0.95, 1.05, 1.1)
PUBLISHED = {"mle": {"bleu": 0.9210, "mse": 22.38}, "seqgan": {"bleu": 0.9406, "mse": 20.62}}
MELODY = MelodySteps()
VERSION = 2  # of what a cached seed holds
TARGETS: dict[str, Callable[[Any], bool]] = {
    "gain_at_equal_self_bleu": lambda value: value > 0,
    "p_value_equal": lambda value: value <= 0.05,
}
_TRAIN_HOP = 8
_LSTM = RecurrentConfig(layers=1, width=64, local_width=1, token_width=32, dropout=0.0)
_TRANSFORMER = TransformerConfig(
    layers=2, width=64, heads=4, kv_heads=4, feedforward=128, max_distance=LENGTH,
    local_width=1, token_width=64, dropout=0.0,
)  # fmt: skip
_KERNELS = ((2, 32), (3, 32), (4, 32), (6, 32), (8, 32))
_LSTM_SIZES = Sizes(mle_steps=500)
_TRANSFORMER_SIZES = Sizes(mle_steps=300, mle_rate=3e-3, game_steps=60, game_rate=2e-4)


def windows(split: str, hop: int) -> Ints:
    """Return (S, 32) pitches, as tokens of ``MelodySteps``, of the tunes of a split."""
    found = []
    for _, piece in open_corpus("nottingham").pieces(split):
        assert isinstance(piece, Score)
        tokens = MELODY.encode(piece)
        silent = tokens == MELODY.rest_token
        if silent.all():
            continue
        tokens, silent = tokens[silent.argmin() :], silent[silent.argmin() :]
        last = np.maximum.accumulate(np.where(silent, 0, np.arange(len(tokens))))
        held = tokens[last]
        found += [held[at : at + LENGTH] for at in range(0, len(held) - LENGTH + 1, hop)]
    return np.array(found, dtype=np.int64)


def nearest_error(made: Ints, references: Ints) -> float:
    """Return the mean squared difference, in semitones, to the nearest reference; rows (S, L)."""
    a, b = made.astype(np.float64), references.astype(np.float64)
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return float(squares.min(1).mean() / made.shape[1])


def figures(made: Ints, test: Ints) -> Figures:
    """Return the figures of sequences (S, L)."""
    return {
        "bleu": float(bleu(made, test).mean()),
        "self_bleu": float(self_bleu(made).mean()),
        "mse": nearest_error(made, test),
    }


class Task:
    """The data, and one seed's contestants."""

    def __init__(self, quick: bool) -> None:
        self.train = windows("train", _TRAIN_HOP)
        self.valid, self.test = (windows(split, LENGTH) for split in ("valid", "test"))
        self.quick, self.made = quick, 100 if quick else MADE

    def sizes(self, sizes: Sizes) -> Sizes:
        """Return sizes, or a few steps of each where the command alone is checked."""
        if not self.quick:
            return sizes
        few = {"mle_steps": 4, "discriminator_steps": 2, "discriminator_turns": 1, "game_steps": 2}
        return Sizes(**{**vars(sizes), **few, "judge_every": 1})

    def seed(self, seed: int) -> dict[str, Figures]:
        """Return the figures of every contestant, all random numbers coming from one seed."""
        torch.manual_seed(seed)
        draw = np.random.default_rng(seed)
        pitches = self.train.reshape(-1)
        out = {
            "random": figures(draw.choice(pitches, (self.made, LENGTH)), self.test),
            "real": figures(draw.permutation(self.valid)[: self.made], self.test),
        }
        out |= self.recurrent(draw)
        return out | self.transformers(draw)

    def measured(self, policy: TokenPolicy, temperature: float = 1.0) -> Figures:
        """Return the figures of what a policy makes."""
        made = policy.sample(self.made, LENGTH, temperature=temperature)
        return figures(made.numpy(), self.test)

    def pretrained(self, policy: TokenPolicy, sizes: Sizes, draw: np.random.Generator) -> None:
        """Fit a policy by likelihood."""
        train, valid = torch.from_numpy(self.train), torch.from_numpy(self.valid)
        nll = pretrain(policy, train, valid, sizes, draw)
        say(f"  likelihood: {nll:.4f} nats a step")

    def recurrent(self, draw: np.random.Generator) -> dict[str, Figures]:
        """Return the LSTM by likelihood, its temperatures, and SeqGAN."""
        sizes = self.sizes(_LSTM_SIZES)
        policy = _policy(CausalLSTM(_LSTM, MELODY.vocabulary.size, ()))
        self.pretrained(policy, sizes, draw)
        out = {"mle": self.measured(policy)}
        for temperature in TEMPERATURES:
            out[f"mle_t{temperature}"] = self.measured(policy, temperature)
        begun = {key: value.clone() for key, value in policy.network.state_dict().items()}
        for name in ("seqgan", "seqgan_plain"):
            policy.network.load_state_dict(begun)
            opponent = ConvOpponent(ConvDiscriminator(MELODY.vocabulary.size, LENGTH, 32, _KERNELS))
            behind = lagging_copy(policy.network)
            search = MonteCarlo(_policy(behind), opponent.belief, 8, range(2, LENGTH, 2))
            after = partial(follow, behind, policy.network, 0.8)
            if name == "seqgan":
                turn = policy_turn(policy, search, sizes.batch, LENGTH, Entropy())
                self.game(policy, opponent, turn, sizes, draw, after=after)
            else:
                turn = published_turn(policy, search, sizes.batch, LENGTH)
                short = replace(sizes, game_steps=min(60, sizes.game_steps))
                self.game(policy, opponent, turn, short, draw, as_diverse=False, after=after)
            out[name] = self.measured(policy)
        out["mle_equal"] = equal(out)
        return out

    def transformers(self, draw: np.random.Generator) -> dict[str, Figures]:
        """Return the Transformer by likelihood and by the three routes from there."""
        sizes, size = self.sizes(_TRANSFORMER_SIZES), MELODY.vocabulary.size
        policy = _policy(CausalTransformer(_TRANSFORMER, size, ()))
        self.pretrained(policy, sizes, draw)
        out = {"transformer_mle": self.measured(policy)}
        begun = {key: value.clone() for key, value in policy.network.state_dict().items()}
        for route in ("mc", "regs", "gumbel"):
            policy.network.load_state_dict(begun)
            opponent = PrefixOpponent(PrefixDiscriminator(_TRANSFORMER, size))
            turn = self.route(route, policy, opponent, sizes)
            self.game(policy, opponent, turn, sizes, draw)
            out[f"transformer_gan_{route}"] = self.measured(policy)
        return out

    def route(
        self, route: str, policy: TokenPolicy, opponent: PrefixOpponent, sizes: Sizes
    ) -> Turn:
        """Return the generator's turn by a route."""
        if route == "gumbel":
            steps = sizes.game_steps
            return gumbel_turn(policy, opponent, sizes.batch, LENGTH, steps, Entropy())
        credit: Credit = StepRewards(opponent.step_beliefs)
        if route == "mc":
            credit = MonteCarlo(policy, opponent.belief, 4, range(4, LENGTH, 4))
        return policy_turn(policy, credit, sizes.batch, LENGTH, Entropy())

    def game(
        self,
        policy: TokenPolicy,
        opponent: ConvOpponent | PrefixOpponent,
        turn: Turn,
        sizes: Sizes,
        draw: np.random.Generator,
        as_diverse: bool = True,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        """Play, and leave the policy with the weights that validation likes best."""
        uniforms = torch.from_numpy(draw.random((self.made, LENGTH), dtype=np.float32))
        most: list[float] = []

        def judge() -> float:
            made = policy.sample(self.made, LENGTH, uniforms).numpy()
            own = float(self_bleu(made).mean())
            most.append(own)  # the first is that of the start
            dearer = as_diverse and own > most[0]
            return -float(bleu(made, self.valid).mean()) + (1.0 if dearer else 0.0)

        said = play(policy, opponent, torch.from_numpy(self.train), turn, sizes, draw, judge, after)
        say(f"  game: {' '.join(f'{value:.4f}' for value in said)}")


def _policy(network: torch.nn.Module) -> TokenPolicy:
    return TokenPolicy(network, PlainWalks(), MELODY.start_token)


def equal(found: Mapping[str, Figures]) -> Figures:
    """Return what ``mle`` has, between its temperatures, at the self-BLEU of ``seqgan``."""
    curve = [value for name, value in found.items() if name == "mle" or name.startswith("mle_t")]
    curve.sort(key=lambda value: value["self_bleu"])
    at, own = found["seqgan"]["self_bleu"], [value["self_bleu"] for value in curve]
    return {key: float(np.interp(at, own, [value[key] for value in curve])) for key in curve[0]}


def paired_p(first: list[float], second: list[float]) -> float:
    """Return the two-sided p-value of a paired t-test; 1 where nothing differs."""
    differences = np.subtract(first, second)
    count, spread = len(differences), float(differences.std(ddof=1))
    if spread == 0:
        return 1.0 if differences.mean() == 0 else 0.0
    t = abs(float(differences.mean())) / (spread / math.sqrt(count))
    # With t = sqrt(n) tan(angle), Student's density of n degrees is cos(angle)^(n - 1).
    angles = np.linspace(0, math.pi / 2, 20_001)
    density = np.cos(angles) ** (count - 2)
    beyond = angles >= math.atan(t / math.sqrt(count - 1))
    return float(density[beyond].sum() / density.sum())


def summary(seeds: list[dict[str, Figures]]) -> dict[str, Any]:
    """Return means over seeds, and the test of SeqGAN against likelihood."""
    out: dict[str, Any] = {}
    for name in seeds[0]:
        values = [seed[name] for seed in seeds]
        mean = {key: round(float(np.mean([v[key] for v in values])), 4) for key in values[0]}
        spread = float(np.std([v["bleu"] for v in values], ddof=1)) if len(values) > 1 else 0.0
        out[name] = {**mean, "bleu_sd": round(spread, 4)}
    best = max((n for n in out if n.startswith("mle_t")), key=lambda name: out[name]["bleu"])
    out["mle_best"] = {**out[best], "temperature": float(best.removeprefix("mle_t"))}
    if len(seeds) > 1:
        for key, rival in (("p_value", "mle"), ("p_value_equal", "mle_equal")):
            pair = ([seed[name]["bleu"] for seed in seeds] for name in ("seqgan", rival))
            out[key] = round(paired_p(*pair), 6)
    gain = out["seqgan"]["bleu"] - out["mle_equal"]["bleu"]
    out["gain_at_equal_self_bleu"] = round(gain, 4)
    out["published"] = PUBLISHED
    out["seeds"] = len(seeds)
    return out


def run(options: Options) -> dict[str, Any]:
    """Run every seed that the cache has not."""
    cache = options.more.get("cache")
    count = 2 if options.quick else int(options.more.get("seeds") or SEEDS)
    task: Task | None = None
    done = []
    kind = "quick" if options.quick else "full"  # a quick seed is never taken for a full one
    for seed in range(count):
        path = Path(cache) / f"{kind}-{VERSION}-seed{seed}.json" if cache else None
        if path is not None and path.exists():
            done.append(json.loads(path.read_text(encoding="utf-8")))
            continue
        task = task or Task(options.quick)
        say(f"seed {seed}")
        done.append(task.seed(seed))
        say(f"  {json.dumps(done[-1])}")
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as temporary:
                temporary.write_text(json.dumps(done[-1]), encoding="utf-8")
    return summary(done)


if __name__ == "__main__":
    start(
        __doc__,
        run,
        TARGETS,
        more={"cache": "a folder that keeps the seeds that are done", "seeds": "how many (5)"},
    )

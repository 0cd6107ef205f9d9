"""Policy gradients against the exact one, in a world of two tokens and three symbols."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from partimento.errors import TrainingError
from partimento.runtime.presets import RecurrentConfig
from partimento.training.contract import Loss
from partimento.training.nn.recurrent import CausalLSTM
from partimento.training.policy_gradient.gumbel import (
    gumbel_given,
    gumbel_temperature,
    perturbed,
    straight_through,
)
from partimento.training.policy_gradient.reinforce import (
    Baseline,
    BatchMean,
    Credit,
    LearnedBaseline,
    MonteCarlo,
    NoBaseline,
    RankedBaseline,
    StepRewards,
    TerminalReward,
    baseline_of,
    discriminator_loss,
    entropy,
    follow,
    lagging_copy,
    ranked,
    reinforce,
    with_teacher,
)
from partimento.training.policy_gradient.rollouts import PlainWalks, TokenPolicy

ALL = torch.tensor(list(product(range(3), repeat=2)))  # every sequence there is
WORTH = torch.tensor([[0.9, 0.1, 0.4], [0.0, 0.7, 0.2], [0.3, 1.0, 0.6]])


def reward(tokens: Tensor) -> Tensor:
    return WORTH[tokens[:, 0], tokens[:, 1]]


def world(zeroed: bool = False) -> TokenPolicy:
    """Return a policy of three symbols; ``zeroed`` makes them 1/4, 1/4, 1/2 everywhere."""
    torch.manual_seed(2)
    config = RecurrentConfig(layers=1, width=8, local_width=1, token_width=4, dropout=0.0)
    network = CausalLSTM(config, 4, ())
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(0.0 if zeroed else 3.0)
        if zeroed:
            network.head.bias.copy_(torch.tensor([1.0, 1.0, 2.0, 1.0]).log())
    return TokenPolicy(network.double(), PlainWalks(), start_token=3)


def chosen(policy: TokenPolicy, tokens: Tensor) -> Tensor:
    logs = policy.log_probabilities(tokens)
    return logs.gather(-1, tokens[..., None])[..., 0]


def gradient(policy: TokenPolicy, loss: Tensor) -> Tensor:
    weights = [w for w in policy.network.parameters() if w.requires_grad]
    parts = torch.autograd.grad(loss, weights, allow_unused=True)
    pairs = zip(parts, weights, strict=True)
    return torch.cat([(torch.zeros_like(w) if g is None else g).flatten() for g, w in pairs])


def exact_gradient(policy: TokenPolicy) -> Tensor:
    """Return the gradient of -J, J being the expected reward over the nine sequences."""
    mass = chosen(policy, ALL).sum(1).exp()
    assert mass.sum().item() == pytest.approx(1)
    return gradient(policy, -(mass * reward(ALL)).sum())


def expected_loss(policy: TokenPolicy, values: Tensor) -> Tensor:
    """Return the gradient of the loss over all sequences, each counted by its probability."""
    logs = chosen(policy, ALL)
    weight = logs.sum(1).exp().detach()
    return gradient(policy, reinforce(logs, values * weight[:, None] * len(ALL)).total)


def true_values(policy: TokenPolicy) -> Tensor:
    """Return (9, 2): what each first token is worth, and each whole sequence."""
    second = chosen(policy, ALL)[:, 1].exp().view(3, 3)
    first = (second * WORTH).sum(1)
    return torch.stack([first[ALL[:, 0]], reward(ALL)], dim=1).detach()


def test_exact_values_give_the_exact_gradient() -> None:
    policy = world()
    wanted = exact_gradient(policy)
    assert wanted.norm() > 1e-3
    for values in (true_values(policy), TerminalReward(reward).values(ALL)):
        torch.testing.assert_close(expected_loss(policy, values.double()), wanted)


def test_search_that_meets_every_end_in_proportion_gives_the_exact_values() -> None:
    """Rollouts enumerated: a quarter, a quarter and a half of four even numbers."""
    policy = world(zeroed=True)
    uniforms = ((torch.arange(4) + 0.5) / 4)[None, None, :, None].expand(1, 9, 4, 2)
    values = MonteCarlo(policy, reward, 4).values(ALL, uniforms)
    torch.testing.assert_close(values.double(), true_values(policy), rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    "baseline", [NoBaseline(), BatchMean(), LearnedBaseline(2)], ids=["none", "mean", "learned"]
)
def test_estimates_come_near_the_exact_gradient(baseline: Baseline) -> None:
    policy = world()
    wanted = exact_gradient(policy)
    if isinstance(baseline, LearnedBaseline):
        baseline.advantages(torch.full((1, 2), 0.5))
    torch.manual_seed(0)
    tokens = policy.sample(20_000, 2)
    values = MonteCarlo(policy, reward, 2).values(tokens)
    found = gradient(policy, reinforce(chosen(policy, tokens), baseline.advantages(values)).total)
    assert (found - wanted).norm() < 0.05 * wanted.norm()


def test_more_rollouts_tell_less_apart() -> None:
    policy = world()
    wanted = true_values(policy)
    torch.manual_seed(0)
    errors = []
    for count in (1, 16, 256):
        found = MonteCarlo(policy, reward, count).values(ALL.repeat(50, 1))
        errors.append(float((found - wanted.repeat(50, 1)).square().mean().sqrt()))
    assert errors[0] > 3 * errors[1] > 9 * errors[2]


def test_a_baseline_calms_the_gradient() -> None:
    policy = world()
    spread = {}
    for baseline in (NoBaseline(), BatchMean()):
        torch.manual_seed(0)
        found = []
        for _ in range(40):
            tokens = policy.sample(32, 2)
            advantages = baseline.advantages(TerminalReward(reward).values(tokens))
            found.append(gradient(policy, reinforce(chosen(policy, tokens), advantages).total))
        spread[type(baseline)] = float(torch.stack(found).std(0).norm())
    assert spread[BatchMean] < spread[NoBaseline]


def test_places_between_searched_prefixes_have_the_value_of_the_next() -> None:
    class Ends:
        """Completes prefixes by their own length."""

        def rollouts(self, tokens: Tensor, count: int, _: object, starts: list[int]) -> Tensor:
            lengths = torch.tensor(starts, dtype=torch.long)
            shape = (len(starts), len(tokens), count, tokens.shape[1])
            return lengths[:, None, None, None].expand(shape)

    def first(tokens: Tensor) -> Tensor:
        return tokens[:, 0].float()

    search = MonteCarlo(Ends(), first, 2, starts=(2, 4))  # type: ignore[arg-type]
    values = search.values(torch.full((1, 6), 9))
    assert values.tolist() == [[2.0, 2.0, 4.0, 4.0, 9.0, 9.0]]


def test_a_reward_for_each_step_is_taken_as_it_is() -> None:
    def prefixes(tokens: Tensor) -> Tensor:
        return tokens.cumsum(1) / 10

    assert StepRewards(prefixes).values(ALL)[5].tolist() == pytest.approx([0.1, 0.3])
    with pytest.raises(ValueError, match="a reward a step"):
        StepRewards(reward).values(ALL)


def broken(tokens: Tensor) -> Tensor:
    return torch.full((len(tokens),), math.nan)


@pytest.mark.parametrize(
    "credit",
    [TerminalReward(broken), MonteCarlo(world(), broken, 2), StepRewards(broken)],
    ids=["terminal", "search", "steps"],
)
def test_a_reward_that_is_no_number_is_told(credit: Credit) -> None:
    with pytest.raises(TrainingError, match="reward is not finite"):
        credit.values(ALL)


def test_ranks_share_what_is_equal_and_forget_the_scale() -> None:
    values = torch.tensor([[0.1, 5.0], [0.3, 5.0], [0.2, 5.0], [0.9, 5.0]])
    out = ranked(values)
    assert out[:, 0].argsort().tolist() == [0, 2, 1, 3]
    assert out[:, 1].tolist() == [0.5] * 4
    assert torch.equal(out, ranked(values * 100 - 7))
    assert RankedBaseline().advantages(values).mean(0).abs().max() < 1e-6


def test_learned_baselines_learn() -> None:
    baseline = baseline_of("learned", 3)
    assert isinstance(baseline, LearnedBaseline)
    values = torch.tensor([[0.2, 0.8], [0.4, 0.6]])
    assert torch.equal(baseline.advantages(values), values)  # nothing was known
    torch.testing.assert_close(baseline.expected, torch.tensor([0.3, 0.7, 0.0]))
    second = baseline.advantages(values)
    torch.testing.assert_close(second, values - torch.tensor([0.3, 0.7]))
    for _ in range(40):
        baseline.advantages(values + 1)
    torch.testing.assert_close(baseline.expected, torch.tensor([1.3, 1.7, 0.0]), atol=0.02, rtol=0)
    again = LearnedBaseline(3)
    again.load_state_dict(baseline.state_dict())
    torch.testing.assert_close(again.expected, baseline.expected)
    assert baseline.modules_to_keep == (baseline,)
    assert baseline_of("rank", 3).modules_to_keep == ()


def test_masked_places_count_nothing() -> None:
    policy = world()
    values = true_values(policy)
    mask = torch.ones(9, 2, dtype=torch.bool)
    mask[:, 1] = False
    found = gradient(policy, reinforce(chosen(policy, ALL), values, mask).total)
    values[:, 1] = 0
    wanted = gradient(policy, reinforce(chosen(policy, ALL), values).total)
    torch.testing.assert_close(found, wanted)


def test_entropy_is_in_nats_and_passes_what_cannot_be() -> None:
    logits = torch.tensor([0.0, 0.0, -math.inf, 0.0, 0.0], requires_grad=True)
    amount = entropy(torch.log_softmax(logits, -1))
    assert amount.item() == pytest.approx(math.log(4))
    (slope,) = torch.autograd.grad(amount, logits)
    assert torch.isfinite(slope).all()


def test_the_teacher_stands_beside_the_policy() -> None:
    both = with_teacher(
        Loss(torch.tensor(2.0), {"policy": torch.tensor(2.0)}),
        Loss(torch.tensor(3.0), {"nll": torch.tensor(3.0)}),
        0.5,
    )
    assert both.total.item() == 3.5
    assert set(both.parts) == {"policy", "nll"}


def test_a_lagging_copy_follows() -> None:
    network = nn.Linear(2, 2)
    behind = lagging_copy(network)
    assert not any(w.requires_grad for w in behind.parameters())
    before = behind.weight.clone()
    with torch.no_grad():
        network.weight.add_(1.0)
    follow(behind, network, 0.8)
    torch.testing.assert_close(behind.weight, before + 0.2)


def test_a_discriminator_that_is_right_loses_little() -> None:
    good = discriminator_loss(torch.full((4,), 5.0), torch.full((4,), -5.0))
    assert good.total.item() < 0.01
    assert good.parts["right"].item() == 1
    assert discriminator_loss(torch.zeros(3), torch.zeros(3)).total.item() == pytest.approx(
        math.log(2)
    )


def test_the_gumbel_temperature_falls_from_one() -> None:
    ends = [gumbel_temperature(step, 100) for step in (0, 50, 100, 150)]
    assert ends == pytest.approx([1.0, 0.1, 0.01, 0.01])


def test_gumbel_noise_draws_from_the_distribution() -> None:
    logs = torch.tensor([0.2, 0.5, 0.3]).log().expand(20_000, 3)
    shares = perturbed(logs).argmax(-1).bincount(minlength=3) / 20_000
    assert shares.tolist() == pytest.approx([0.2, 0.5, 0.3], abs=0.02)


def test_noise_given_the_tokens_is_the_noise_that_drew_them() -> None:
    """Drawn either way, the noise of each symbol has the same first two moments."""
    logs = torch.tensor([0.2, 0.5, 0.3, 0.0]).log().expand(60_000, 4)
    tokens = torch.multinomial(logs.exp(), 1)[:, 0]
    given = gumbel_given(logs, tokens)
    assert torch.equal(given.argmax(-1), tokens)
    assert given[:, 3].isinf().all()
    free = perturbed(logs)
    for moment in (1, 2):
        ours, theirs = (x[:, :3].pow(moment).mean(0) for x in (given, free))
        torch.testing.assert_close(ours, theirs, atol=0.06, rtol=0.03)


def test_straight_through_is_hard_forward_and_soft_backward() -> None:
    logits = torch.tensor([[0.1, 0.7, 0.2]], requires_grad=True)
    worth = torch.tensor([1.0, 2.0, 4.0])
    hard = straight_through(logits, 0.5)
    assert hard.tolist() == [[0.0, 1.0, 0.0]]
    (found,) = torch.autograd.grad((hard * worth).sum(), logits)
    (wanted,) = torch.autograd.grad((torch.softmax(logits / 0.5, -1) * worth).sum(), logits)
    torch.testing.assert_close(found, wanted)

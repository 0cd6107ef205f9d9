"""Absorbing diffusion against the enumeration of a tiny chain, and its loss against the bound."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from partimento.representations.track_grid import MASK
from partimento.training.objectives.absorbing import (
    PUBLISHED_UNIFORM,
    Schedule,
    Times,
    cell_weights,
    cosine_schedule,
    importance_loss,
    linear_schedule,
    masked_terms,
    posterior,
    q_sample,
    reverse,
    variational_terms,
)

V, T = 3, 4
MASKED = V  # the state of MASK among probabilities

MASKING = {"linear": linear_schedule(T), "cosine": cosine_schedule(T)}
SCHEDULES = MASKING | {
    "uniform": Schedule(
        torch.tensor([1.0, 0.7, 0.4, 0.2, 0.05], dtype=torch.float64),
        torch.tensor([0.0, 0.1, 0.15, 0.12, 0.05], dtype=torch.float64),
    ),
    "published": linear_schedule(T, PUBLISHED_UNIFORM),
}


def matrix(schedule: Schedule, t: int) -> Tensor:
    """q(x_t = j | x_t-1 = i) by definition, (V + 1, V + 1)."""
    keep, uniform, mask = (float(part) for part in schedule.step(torch.tensor(t)))
    out = torch.zeros(V + 1, V + 1, dtype=torch.float64)
    for i, j in itertools.product(range(V), repeat=2):
        out[i, j] = uniform / V + (keep if i == j else 0.0)
    out[:V, MASKED] = mask
    out[MASKED, MASKED] = 1.0
    return out


def enumerated(schedule: Schedule, t: int) -> Tensor:
    """q(x_t-1 = k, x_t = j | x_0 = i) by summing over every path, (V, V + 1, V + 1)."""
    steps = [matrix(schedule, s) for s in range(1, t + 1)]
    out = torch.zeros(V, V + 1, V + 1, dtype=torch.float64)
    for i in range(V):
        for path in itertools.product(range(V + 1), repeat=t):
            chance, at = 1.0, i
            for step, to in zip(steps, path, strict=True):
                chance *= float(step[at, to])
                at = to
            out[i, (i, *path)[-2], path[-1]] += chance
    return out


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("t", range(1, T + 1))
def test_posterior_and_reverse_are_those_of_the_enumerated_chain(name: str, t: int) -> None:
    schedule = SCHEDULES[name]
    joint = enumerated(schedule, t)
    torch.testing.assert_close(joint.sum(dim=(1, 2)), torch.ones(V, dtype=torch.float64))
    logits = torch.randn(1, 1, 1, V)
    p = logits.softmax(-1)[0, 0, 0].double()
    when = torch.tensor([t])
    for j in range(V + 1):
        x_t = torch.tensor([[[MASK if j == MASKED else j]]])
        arrives = joint[:, :, j].sum(dim=1)  # q(x_t = j | x_0), (V,)
        wanted = torch.zeros(V + 1, dtype=torch.float64)
        reachable = arrives > 0
        for i in range(V):
            if reachable[i]:
                true = joint[i, :, j] / arrives[i]
                wanted += p[i] / p[reachable].sum() * true
                found = posterior(torch.tensor([[[i]]]), x_t, when, schedule, V)[0, 0, 0]
                torch.testing.assert_close(found, true.float(), rtol=1e-4, atol=1e-6)
        if reachable.any():
            found = reverse(logits, x_t, when, schedule)[0, 0, 0]
            torch.testing.assert_close(found, wanted.float(), rtol=1e-4, atol=1e-6)


def test_the_schedules_are_as_published() -> None:
    chain = linear_schedule(100, PUBLISHED_UNIFORM)
    assert chain.steps == 100
    assert float(chain.keep[0]) == 1.0
    torch.testing.assert_close(chain.keep[[1, 100]], torch.tensor([0.99999, 9e-6]).double())
    torch.testing.assert_close(chain.mask[[1, 100]], torch.tensor([9e-6, 0.99999]).double())
    assert not chain.masks_only
    gaps = chain.keep[1:].diff()
    torch.testing.assert_close(gaps, gaps[:1].expand(99))
    cosine = cosine_schedule(100)
    assert cosine.masks_only
    torch.testing.assert_close(cosine.mask[50], torch.tensor(math.sqrt(0.5)).double())
    assert float(cosine.mask[100]) == 1.0
    for schedule in (chain, cosine, linear_schedule(100)):
        for part in schedule.step(torch.arange(1, 101)):
            assert ((part >= 0) & (part <= 1)).all()


@pytest.mark.parametrize("name", SCHEDULES)
def test_samples_follow_the_chain(name: str) -> None:
    schedule = SCHEDULES[name]
    x0 = torch.randint(V, (1, 100, 400))
    for t in (2, T):
        x_t = q_sample(x0, torch.tensor([t]), schedule, V)
        keep, uniform, mask = (float(part) for part in schedule.at(torch.tensor(t)))
        assert float((x_t == MASK).float().mean()) == pytest.approx(mask, abs=0.01)
        same = keep + uniform / V
        assert float((x_t == x0).float().mean()) == pytest.approx(same, abs=0.01)
        assert x_t.max() < V


def test_only_what_may_be_is_noised_and_pairs_are_masked_together() -> None:
    x0 = torch.randint(V, (2, 3, 50))
    x0[0, 0] = MASK
    where = torch.rand(x0.shape) < 0.5
    t = torch.tensor([2, T])
    for schedule in SCHEDULES.values():
        noise = torch.rand(x0.shape)
        first = q_sample(x0, t, schedule, V, where, noise)
        second = q_sample(x0.clamp(min=0), t, schedule, V, where, noise)
        assert (first[~where] == x0[~where]).all()
        assert (first[0, 0] == MASK).all()
        known = x0 != MASK
        assert ((first == MASK) == (second == MASK))[known].all()


def example(schedule: Schedule) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Logits, x_0, x_t, t and weights of a batch with a cell of every kind."""
    t = torch.tensor([1, 2, 3, 4])
    x0 = torch.randint(V, (4, 2, 30))
    x_t = q_sample(x0, t, schedule, V)
    x0[:, 0, :3] = x_t[:, 0, :3] = MASK  # not known
    logits = torch.randn(4, 2, 30, V)
    logits[:, 1, :, 2] = -torch.inf  # slot 1 has no such value
    x0[:, 1] = x0[:, 1].clamp(max=1)
    x_t[:, 1] = torch.where(x_t[:, 1] == MASK, MASK, x0[:, 1])
    target = torch.rand(x0.shape) < 0.5
    weight = cell_weights(target, ~target & (torch.rand(x0.shape) < 0.5))
    assert {*weight.unique().tolist()} == {0.0, 0.5, 1.0}
    return logits, x0, x_t, t, weight


@pytest.mark.parametrize("name", MASKING)
@pytest.mark.parametrize("auxiliary", [0.0, 0.001])
def test_the_closed_form_is_the_general_one(name: str, auxiliary: float) -> None:
    schedule = MASKING[name]
    logits, x0, x_t, t, weight = example(schedule)
    weight[1] = 0.0
    results = []
    for form in (variational_terms, masked_terms):
        leaf = logits.clone().requires_grad_()
        terms = form(leaf, x0, x_t, t, weight, schedule, auxiliary)
        terms.sum().backward()
        assert leaf.grad is not None
        results.append((terms.detach(), leaf.grad))
    torch.testing.assert_close(results[0][0], results[1][0], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-4, atol=1e-6)
    assert float(results[0][0][1]) == 0.0


def test_the_general_form_is_the_divergence_by_definition() -> None:
    schedule = SCHEDULES["uniform"]
    logits, x0, x_t, t, weight = example(schedule)
    found = variational_terms(logits, x0, x_t, t, weight, schedule)
    wanted = []
    for b in range(4):
        joint = enumerated(schedule, int(t[b]))
        backwards = joint / joint.sum(dim=1, keepdim=True)  # q(k | j, i) at [i, k, j]
        total = mass = 0.0
        for s, c in itertools.product(range(2), range(30)):
            i, j, w = int(x0[b, s, c]), int(x_t[b, s, c]), float(weight[b, s, c])
            if i == MASK or not w:
                continue
            p = logits[b, s, c].softmax(-1).double()
            true = backwards[i, :, j]
            model = (p[:, None] * backwards[:, :, j]).sum(dim=0)
            some = true > 0
            kl = float((true[some] * (true[some] / model[some]).log()).sum())
            aux = 0.001 * (2 - int(t[b]) / T) * -math.log(p[i])
            total, mass = total + w * (kl + aux), mass + w
        wanted.append(total / mass)
    torch.testing.assert_close(found, torch.tensor(wanted), rtol=1e-4, atol=1e-5)


def test_at_the_first_time_the_term_is_the_likelihood() -> None:
    logits = torch.randn(1, 1, 6, V)
    x0, x_t = torch.randint(V, (1, 1, 6)), torch.full((1, 1, 6), MASK)
    nll = -logits.log_softmax(-1).gather(-1, x0[..., None]).mean()
    t, weight = torch.tensor([1]), torch.ones(1, 1, 6)
    for schedule in SCHEDULES.values():
        found = variational_terms(logits, x0, x_t, t, weight, schedule, auxiliary=0.0)
        torch.testing.assert_close(found[0], nll, rtol=1e-4, atol=1e-5)


def test_all_terms_of_a_cell_sum_to_its_likelihood() -> None:
    """A cell that is predicted alike at every time costs its cross-entropy, once in all."""
    schedule = linear_schedule(100)
    t = torch.arange(1, 101)
    x0 = torch.zeros(100, 1, 400, dtype=torch.long)
    logits = torch.tensor([0.3, 1.0, -0.5]).expand(100, 1, 400, V)
    wanted = -float(logits[0, 0, 0].log_softmax(-1)[0])
    terms = torch.stack(
        [
            masked_terms(
                logits, x0, q_sample(x0, t, schedule, V), t, torch.ones(x0.shape), schedule, 0.0
            )
            for _ in range(5)
        ]
    )
    assert float(terms.sum(dim=1).mean()) == pytest.approx(wanted, rel=0.02)


def test_the_closed_form_refuses_other_chains() -> None:
    schedule = SCHEDULES["published"]
    with pytest.raises(ValueError, match="only mask"):
        masked_terms(*example(schedule), schedule)


def losses(t: Tensor) -> Tensor:
    """A term of the bound that grows with time, known exactly."""
    return 0.01 * t.float() ** 2


def test_importance_sampling_is_unbiased_and_of_less_variance() -> None:
    times = Times(50)
    whole = float(losses(torch.arange(1, 51)).sum())

    def estimates(count: int) -> Tensor:
        rows = []
        for _ in range(count):
            t, p = times.draw(1)
            rows.append(importance_loss(losses(t), p).total)
        return torch.stack(rows)

    before = estimates(600)
    assert float(before.mean()) == pytest.approx(whole, rel=0.15)
    for _ in range(60):
        t, _p = times.draw(50)
        times.record(t, losses(t))
    p = times.probabilities()
    root = losses(torch.arange(1, 51)).double()
    torch.testing.assert_close(p, 0.9 * root / root.sum() + 0.1 / 50, rtol=1e-4, atol=1e-6)
    after = estimates(600)
    assert float(after.mean()) == pytest.approx(whole, rel=0.05)
    assert float(after.std()) < 0.25 * float(before.std())


def test_draws_of_a_batch_follow_the_probabilities() -> None:
    times = Times(5)
    times.squares.copy_(torch.tensor([1.0, 4.0, 0.0, 16.0, 9.0]))
    times.counts.fill_(10)
    p = times.probabilities()
    counts = torch.zeros(5)
    for _ in range(500):
        t, chance = times.draw(8)
        torch.testing.assert_close(chance, p[t - 1].float())
        counts += torch.bincount(t - 1, minlength=5)
    torch.testing.assert_close(counts.double() / 4000, p, rtol=0.0, atol=0.02)


def test_times_are_uniform_until_each_was_met_and_a_checkpoint_keeps_them() -> None:
    times = Times(4, warm_up=2)
    times.record(torch.tensor([1, 2, 3]), torch.tensor([1.0, 2.0, 3.0]))
    torch.testing.assert_close(times.probabilities(), torch.full((4,), 0.25).double())
    times.record(torch.tensor([1, 2, 3, 4, 4]), torch.tensor([3.0, 2.0, 3.0, 1.0, 2.0]))
    assert times.counts.tolist() == [2, 2, 2, 2]
    mean = torch.tensor([0.9 * 1 + 0.1 * 9, 4.0, 9.0, 2.5]).double()
    torch.testing.assert_close(times.squares, mean)
    again = Times(4, warm_up=2)
    again.load_state_dict(times.state_dict())
    torch.testing.assert_close(again.probabilities(), times.probabilities())
    assert float(again.probabilities()[2]) > 0.3
    assert not list(times.parameters())


def test_losses_of_nothing_leave_the_times_uniform() -> None:
    times = Times(3, warm_up=1)
    times.record(torch.tensor([1, 2, 3]), torch.zeros(3))
    torch.testing.assert_close(times.probabilities(), torch.full((3,), 1 / 3).double())

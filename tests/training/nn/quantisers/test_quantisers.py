"""Quantisers: equal to their numpy twins, gradients straight through, no entry left dead."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from partimento.representations import codebooks
from partimento.training.nn.quantisers import (
    Gaussian,
    ResidualQuantiser,
    ScalarQuantiser,
    VectorQuantiser,
)


def vectors(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def learnt(quantiser: nn.Module, width: int, rounds: int = 30) -> nn.Module:
    torch.manual_seed(0)
    for seed in range(rounds):
        quantiser(vectors(4, 64, width, seed=seed))
    return quantiser.eval()


def test_a_vector_quantiser_is_its_twin() -> None:
    made = learnt(VectorQuantiser(32, 5), 5)
    assert isinstance(made, VectorQuantiser)
    x = vectors(2, 40, 5, seed=99)
    said = made(x)
    book = made.codebook.numpy()
    np.testing.assert_array_equal(said.codes.numpy(), codebooks.nearest(x.numpy(), book))
    twin = codebooks.vectors_of(said.codes.numpy(), book)
    np.testing.assert_allclose(said.vectors.numpy(), twin, atol=1e-6)
    plain = [np.argmin([((v - e) ** 2).sum() for e in book]) for v in x.numpy().reshape(-1, 5)]
    assert said.codes.reshape(-1).tolist() == plain


def test_the_gradient_goes_straight_through_and_commits() -> None:
    made = learnt(VectorQuantiser(8, 3, commitment=0.5), 3)
    x = vectors(1, 6, 3, seed=5).requires_grad_()
    said = made(x)
    (2.0 * said.vectors).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.full_like(x, 2.0))
    x.grad = None
    said = made(x)
    said.loss.backward()
    rounded = said.vectors.detach()
    torch.testing.assert_close(x.grad, 0.5 * 2 * (x.detach() - rounded) / x.numel())


def test_the_codebook_begins_at_outputs_of_the_encoder() -> None:
    made = VectorQuantiser(16, 4, decay=1.0, restart_below=0.0)
    x = 50 + vectors(2, 32, 4)
    made(x)
    apart = (made.codebook[:, None] - x.reshape(1, -1, 4)).abs().sum(-1).min(1).values
    assert apart.max() < 1e-4


def test_the_codebook_follows_by_moving_averages() -> None:
    made = VectorQuantiser(2, 1, decay=0.9, restart_below=0.0)
    made(torch.tensor([[[0.0], [10.0]]]))
    made.codebook.copy_(torch.tensor([[0.0], [10.0]]))
    made.counts.copy_(torch.tensor([1.0, 1.0]))
    made.sums.copy_(torch.tensor([[0.0], [10.0]]))
    made(torch.tensor([[[1.0], [2.0], [11.0]]]))
    # N = .9 + .1 * 2, m = .1 * 3; N = .9 + .1, m = 9 + 1.1
    torch.testing.assert_close(made.codebook, torch.tensor([[0.3 / 1.1], [10.1]]))


@pytest.mark.parametrize("restart_below", [1.0, 0.0])
def test_restarts_leave_no_entry_dead(restart_below: float) -> None:
    torch.manual_seed(0)
    made = VectorQuantiser(64, 2, restart_below=restart_below)
    made(torch.zeros(1, 256, 2))  # all entries begin at one place: most are never the nearest
    for seed in range(200):
        made(5 + vectors(1, 512, 2, seed=seed))
    made.eval()
    found = codebooks.codebook_use(made(5 + vectors(1, 4096, 2, seed=999)).codes.numpy(), 64)
    assert (found.dead == 0) is bool(restart_below)
    assert (found.perplexity > 32) is bool(restart_below)


def test_nothing_is_learnt_outside_training() -> None:
    made = learnt(VectorQuantiser(8, 3), 3)
    before = {name: value.clone() for name, value in made.state_dict().items()}
    made(vectors(1, 100, 3, seed=7))
    for name, value in made.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_residual_quantiser_is_its_twin_and_gets_closer_level_by_level() -> None:
    made = learnt(ResidualQuantiser(4, 16, 3), 3)
    assert isinstance(made, ResidualQuantiser)
    x = vectors(2, 50, 3, seed=99)
    said = made(x)
    books = list(made.codebooks.numpy())
    np.testing.assert_array_equal(said.codes.numpy(), codebooks.residual_codes(x.numpy(), books))
    whole = codebooks.residual_vectors(said.codes.numpy(), books)
    np.testing.assert_allclose(said.vectors.numpy(), whole, atol=1e-5)
    errors = [
        float((made.vectors_of(said.codes[..., :count]) - x).square().mean()) for count in (1, 2, 4)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < 0.3 * errors[0]


def test_dropout_of_codebooks_leaves_the_later_ones_out() -> None:
    torch.manual_seed(1)
    made = ResidualQuantiser(3, 8, 2, dropout=1.0)
    left_out = [int((made(vectors(1, 30, 2)).codes == -1).sum()) for _ in range(20)]
    assert {0, 30, 60} == set(left_out)
    assert (made.eval()(vectors(1, 30, 2)).codes >= 0).all()


@pytest.mark.parametrize("levels", [(8, 5, 5, 5), (2, 2, 2), (3, 4), (7,)])
def test_scalar_quantisation_is_its_twin_and_uses_every_level(levels: tuple[int, ...]) -> None:
    made = ScalarQuantiser(levels)
    x = 3 * vectors(1, 20_000, len(levels))
    said = made(x)
    codes = codebooks.scalar_codes(x.numpy(), levels)
    assert (said.codes.numpy() == codes).mean() > 0.9999  # the two tanh differ in the last bit
    twin = codebooks.scalar_vectors(said.codes.numpy(), levels)
    np.testing.assert_allclose(said.vectors.numpy(), twin, atol=1e-6)
    np.testing.assert_allclose(made.vectors_of(said.codes).numpy(), twin, atol=1e-6)
    assert np.abs(twin).max() <= 1
    for at, level in enumerate(levels):
        assert len(np.unique(twin[..., at])) == level
    assert codes.max() < made.size
    assert made.codes_of(x).equal(said.codes)


def test_scalar_quantisation_has_gradients() -> None:
    x = vectors(1, 10, 3).requires_grad_()
    ScalarQuantiser((5, 4, 3))(x).vectors.sum().backward()
    assert x.grad is not None
    assert (x.grad > 0).all()


def test_the_gaussian_has_the_divergence_of_the_definition() -> None:
    made = Gaussian(2)
    mean, variance = torch.tensor([0.3, -1.0]), torch.tensor([0.5, 2.0])
    x = torch.cat([mean, variance.log()]).view(1, 1, 4)
    own = torch.distributions.Normal(mean, variance.sqrt())
    wanted = torch.distributions.kl_divergence(own, torch.distributions.Normal(0.0, 1.0)).sum()
    torch.testing.assert_close(made.divergence(x)[0, 0], wanted)
    assert made.rate_bits(x) == pytest.approx(float(wanted) / np.log(2), rel=1e-5)
    torch.manual_seed(0)
    drawn = made(x.expand(1, 20_000, 4)).vectors[0]
    torch.testing.assert_close(drawn.mean(0), mean, atol=0.05, rtol=0)
    torch.testing.assert_close(drawn.var(0), variance, atol=0.1, rtol=0)
    torch.testing.assert_close(made.eval()(x).vectors[0, 0], mean)

"""Factored attention: equal to its masks; what reaches what."""

from __future__ import annotations

import pytest
import torch

from partimento.runtime.audio_tokens.presets import PriorConfig
from partimento.training.nn.code_prior import CodePrior, dilations
from partimento.training.nn.factored_attention import (
    MASKS,
    PATTERNS,
    FactoredLayer,
    column_mask,
    masked_attention,
    previous_row_mask,
    row_mask,
)

CONFIG = PriorConfig(
    window=24, row=4, layers=6, width=16, heads=2, attention_width=8, feedforward=12,
    conditioner_width=8, conditioner_depth=3, conditioner_cycle=3, dropout=0,
)  # fmt: skip


def prior(**more: object) -> CodePrior:
    torch.manual_seed(0)
    made = CodePrior(CONFIG, 11, **more).eval()  # type: ignore[arg-type]
    for weight in made.parameters():  # far from zero, so that everything is felt
        torch.nn.init.normal_(weight, std=0.3)
    return made


def batch(made: CodePrior, length: int = 24) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    out = {
        "codes": torch.randint(11, (2, length), generator=draw),
        "artist": torch.zeros(2, dtype=torch.int64),
        "genres": torch.zeros(2, 5, dtype=torch.int64),
    }
    if made.upper is not None:
        out["upper"] = torch.randint(7, (2, length // 4), generator=draw)
    if made.timing is not None:
        out["time"] = torch.randint(128, (2, length, 3), generator=draw)
    return out


def test_the_masks_are_those_of_the_definition() -> None:
    for query in range(24):
        for place in range(24):
            earlier = place <= query
            assert bool(row_mask(24, 4)[query, place]) is (earlier and query // 4 == place // 4)
            assert bool(column_mask(24, 4)[query, place]) is (earlier and query % 4 == place % 4)
            before = place // 4 == query // 4 - 1
            assert bool(previous_row_mask(24, 4)[query, place]) is before


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_fast_form_is_the_masked_one(pattern: str) -> None:
    torch.manual_seed(0)
    layer = FactoredLayer(pattern, 4, 16, 2, 8, 12)
    x = torch.randn(2, 24, 16)
    q, k, v = (layer.split(each) for each in layer.keys(x))
    seen = masked_attention(q, k, v, MASKS[pattern](24, 4))
    plain = layer.rest(x, seen.transpose(1, 2).flatten(2))
    torch.testing.assert_close(layer(x), plain, atol=1e-5, rtol=1e-5)


def test_three_patterns_reach_everything_before() -> None:
    reached = torch.eye(24, dtype=torch.bool)
    for pattern in PATTERNS:  # what a layer sees, and the skip beside it
        step = MASKS[pattern](24, 4) | torch.eye(24, dtype=torch.bool)
        reached = (step.float() @ reached.float()) > 0
    assert not reached.triu(1).any()
    # Of its own row and column and of the row before it sees all; twice around, everything.
    for pattern in PATTERNS:
        step = MASKS[pattern](24, 4) | torch.eye(24, dtype=torch.bool)
        reached = (step.float() @ reached.float()) > 0
    assert reached.equal(torch.ones(24, 24).tril() > 0)


def test_a_prior_is_causal_and_feels_everything_before() -> None:
    made = prior(upper=(7, 4))
    given = batch(made)
    x = made.inputs(given).detach().requires_grad_()
    y = x
    for layer in made.layers:
        y = layer(y)
    for query in (0, 9, 23):
        gradient = torch.autograd.grad(made.logits(y)[:, query].sum(), x, retain_graph=True)[0]
        felt = gradient.abs().sum((0, 2))
        assert not felt[query + 1 :].any()
        assert (felt[: query + 1] > 0).all()


def test_a_code_never_tells_of_itself() -> None:
    made = prior(timing=True)
    given = batch(made)
    before = made(given)
    other = {**given, "codes": given["codes"].clone()}
    other["codes"][:, 10] = (other["codes"][:, 10] + 1) % 11
    after = made(other)
    torch.testing.assert_close(after[:, :11], before[:, :11])
    assert not torch.allclose(after[:, 11:], before[:, 11:])


def test_upper_codes_are_felt_about_their_place() -> None:
    made = prior(upper=(7, 4))
    given = batch(made)
    other = {**given, "upper": given["upper"].clone()}
    other["upper"][:, 3] = (other["upper"][:, 3] + 1) % 7
    assert made.upper is not None
    apart = (made.upper(given["upper"]) - made.upper(other["upper"])).abs().sum((0, 2))
    assert apart[12:16].min() > 0


def test_dilations_grow_and_begin_again() -> None:
    assert dilations(5, 3) == [1, 3, 9, 1, 3]

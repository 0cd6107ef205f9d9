"""The discriminator of sequences: causal by step, the same in every key, soft as it is hard."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from partimento.training.nn.discriminators.sequence import Intervals, SequenceDiscriminator

from support.tiny_models import ATTENTIONS, roughen, transformer

PITCHES, REST, START = 40, 40, 41
FEATURES = (4, 16)
LENGTH, BACK = 24, 8
GRID = Intervals(0, PITCHES - 1, voices=4)


def built(attention: str = "relative") -> SequenceDiscriminator:
    config = transformer(attention, local_width=BACK)
    discriminator = SequenceDiscriminator(config, PITCHES + 2, FEATURES, GRID)
    roughen(discriminator, 0.3)
    return discriminator.eval()


def columns_of(tokens: Tensor) -> Tensor:
    """Return columns (B, L, C) that tell the tokens before each place, voice and step."""
    padded = F.pad(tokens, (BACK, 0), value=START)
    recent = [padded[:, BACK - back : BACK - back + LENGTH] for back in range(1, BACK + 1)]
    at = torch.arange(LENGTH).expand(len(tokens), -1)
    return torch.stack([*recent, at % 4, at // 4 % 16], dim=-1)


def music() -> Tensor:
    draw = torch.Generator().manual_seed(2)
    tokens = torch.randint(10, 30, (2, LENGTH), generator=draw)
    tokens[0, 5] = REST
    return tokens


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_a_step_is_told_by_its_prefix_alone(attention: str) -> None:
    discriminator, tokens = built(attention), music()
    other = tokens.clone()
    other[:, 12] += 1
    first, second = (
        discriminator(columns_of(tokens), tokens),
        discriminator(columns_of(other), other),
    )
    torch.testing.assert_close(first.values[:, :13], second.values[:, :13])
    torch.testing.assert_close(first.steps[:, :12], second.steps[:, :12])
    assert (first.steps[:, 12] != second.steps[:, 12]).all()  # its own token counts
    assert (first.values[:, 13] != second.values[:, 13]).any()
    assert (first.whole != second.whole).all()


def test_a_prefix_is_the_sum_of_what_its_tokens_add() -> None:
    discriminator, tokens = built(), music()
    scores = discriminator(columns_of(tokens), tokens)
    gained = scores.values.gather(-1, tokens[..., None])[..., 0]
    torch.testing.assert_close(scores.steps, gained.cumsum(1))


def test_music_in_another_key_is_the_same_music() -> None:
    discriminator, tokens = built(), music()
    with torch.no_grad():  # what it knows of absolute pitch aside
        discriminator.embedding.token.weight.zero_()
        discriminator.token.weight.zero_()
    discriminator.blocks = (
        nn.ModuleList()
    )  # they hear the first notes too, which have none before them
    higher = torch.where(tokens < PITCHES, tokens + 5, tokens)
    first, second = (
        discriminator(columns_of(tokens), tokens),
        discriminator(columns_of(higher), higher),
    )
    torch.testing.assert_close(first.steps[:, 8:].diff(), second.steps[:, 8:].diff())
    torch.testing.assert_close(
        first.values[:, 8:, 10:20], second.values[:, 8:, 15:25], rtol=1e-4, atol=1e-4
    )


def test_a_pitch_is_seen_from_the_last_one_of_its_voice() -> None:
    tokens = torch.tensor([[20, 15, REST, 5, 22, REST, REST, 7, 21, 16]])
    recent = columns_of(F.pad(tokens, (0, LENGTH - 10)))[:, :10, :BACK]
    middle = (PITCHES - 1) // 2
    assert GRID.reference(recent)[0].tolist() == [middle] * 4 + [20, 15, middle, 5, 22, 15]
    codes = GRID.codes(torch.tensor([21, 20, 0, REST, START]), torch.tensor(20))
    assert codes.tolist() == [25, 24, 4, 49, 50]
    assert GRID.count(PITCHES + 2) == 51
    short = recent[..., :3]  # too short to hold the voice's last pitch
    assert GRID.reference(short)[0].tolist() == [middle] * 10
    plain = Intervals(0, PITCHES - 1)  # one voice: the last pitch, whoever had it
    assert plain.reference(recent)[0].tolist()[4:8] == [5, 22, 22, 22]


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_one_hot_tokens_score_as_integers_do(attention: str) -> None:
    discriminator, tokens = built(attention), music()
    columns = columns_of(tokens)
    soft = F.one_hot(tokens, PITCHES + 2).float().requires_grad_()
    wanted, found = discriminator(columns, tokens), discriminator(columns, soft)
    torch.testing.assert_close(found.steps, wanted.steps, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.whole, wanted.whole, rtol=1e-4, atol=1e-4)
    gradient = torch.autograd.grad(found.steps[:, 9].sum(), soft)[0]
    assert gradient[:, 10:].abs().sum() == 0
    assert (gradient[:, :10].abs().sum(-1) > 0).all()  # what came before is heard as well


def test_it_listens_where_the_mask_says() -> None:
    discriminator, tokens = built(), music()
    columns = columns_of(tokens)
    mask = torch.ones(2, LENGTH, dtype=torch.bool)
    mask[:, :6] = False
    mask[:, 15:] = False
    scores = discriminator(columns, tokens, mask)
    assert (scores.steps[:, :6] == 0).all()
    assert (scores.steps[:, 15:] == scores.steps[:, 14:15]).all()
    other = tokens.clone()
    other[:, 15:] = 0
    assert torch.equal(discriminator(columns, other, mask).whole, scores.whole)
    whole = discriminator(columns, tokens).whole
    torch.testing.assert_close(whole, discriminator(columns, tokens, mask | True).whole)

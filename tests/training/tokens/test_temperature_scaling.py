"""Temperature scaling: the fitted temperature is the one that the labels were drawn with."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from partimento.training.tokens.temperature_scaling import best_temperature, divide_head


@pytest.mark.parametrize("true", [0.7, 1.0, 1.5])
def test_the_temperature_of_the_labels_is_found(true: float) -> None:
    draw = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(20_000, 12, generator=draw)
    targets = torch.multinomial(torch.softmax(logits / true, -1), 1, generator=draw)[:, 0]
    found = best_temperature([(logits[:5000], targets[:5000]), (logits[5000:], targets[5000:])])
    assert found == pytest.approx(true, rel=0.03)


def test_a_divided_head_divides_its_logits() -> None:
    torch.manual_seed(0)
    head = nn.Linear(4, 3)
    x = torch.randn(5, 4)
    before = head(x)
    divide_head(head, 2.0)
    assert torch.allclose(head(x), before / 2)

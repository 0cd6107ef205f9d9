"""Temperature scaling: the fitted temperature is the one that the labels were drawn with."""

from __future__ import annotations

import pytest
import torch

from partimento.training.nn.relative_pitch import VoicePitches
from partimento.training.nn.transformer import CausalTransformer
from partimento.training.tokens.temperature_scaling import best_temperature, divide_head

from support.tiny_models import relative_pitch


@pytest.mark.parametrize("true", [0.7, 1.0, 1.5])
def test_the_temperature_of_the_labels_is_found(true: float) -> None:
    draw = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(20_000, 12, generator=draw)
    targets = torch.multinomial(torch.softmax(logits / true, -1), 1, generator=draw)[:, 0]
    found = best_temperature([(logits[:5000], targets[:5000]), (logits[5000:], targets[5000:])])
    assert found == pytest.approx(true, rel=0.03)


def test_a_divided_head_divides_its_logits() -> None:
    torch.manual_seed(0)
    network = CausalTransformer(relative_pitch(), 9, (), VoicePitches(0, 7, 4)).eval()
    columns = torch.randint(9, (2, 6, 5))
    before = network(columns)
    assert network.relative_head is not None
    divide_head(network, 2.0)
    torch.testing.assert_close(network(columns), before / 2)
    network.relative_head = None
    assert not torch.allclose(network(columns), before / 2, atol=1e-3)

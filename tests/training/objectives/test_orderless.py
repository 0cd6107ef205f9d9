from __future__ import annotations

import math

import numpy as np
import torch

from partimento.training.objectives.orderless import hidden_cells, orderless_loss


def test_every_size_of_the_hidden_set_is_as_likely() -> None:
    draw = np.random.default_rng(0)
    targets = np.zeros((2, 5), dtype=bool)
    targets[:, :2] = True
    made = [hidden_cells(targets, draw) for _ in range(2000)]
    assert not any((each & ~targets).any() for each in made)
    sizes = np.bincount([int(each.sum()) for each in made], minlength=5)
    assert sizes[0] == 0
    assert (np.abs(sizes[1:] / 2000 - 0.25) < 0.04).all()
    assert (np.abs(np.mean(made, axis=0)[targets] - 0.625) < 0.04).all()


def test_nothing_to_hide_hides_nothing() -> None:
    none = np.zeros((2, 3), dtype=bool)
    assert not hidden_cells(none, np.random.default_rng(0)).any()


def test_the_loss_is_the_mean_surprise_of_what_is_hidden() -> None:
    torch.manual_seed(0)
    logits, values = torch.randn(2, 3, 4, 5), torch.randint(5, (2, 3, 4))
    hidden = torch.rand(2, 3, 4) < 0.5
    hidden[1] = False
    values[~hidden] = -7  # never looked at
    terms = []
    for voice in range(3):
        for column in range(4):
            if hidden[0, voice, column]:
                row = torch.softmax(logits[0, voice, column], dim=0)
                terms.append(-math.log(float(row[values[0, voice, column]])))
    loss = orderless_loss(logits, values, hidden)
    torch.testing.assert_close(loss, torch.tensor([sum(terms) / len(terms), 0.0]))

"""Two processes, told what torchrun tells them: one mean gradient, the same weights."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from partimento.training import distributed

from support.games import RECIPE, Regression, trainer
from support.two_ranks import run_two_ranks

RANK = """
import sys
from pathlib import Path
import torch
from support.games import RECIPE, Regression, trainer
from partimento.training import distributed
from safetensors.torch import save_file

torch.set_num_threads(1)
folder = Path(sys.argv[1])
with distributed.process_group():
    rank = distributed.rank()
    assert distributed.world_size() == 2
    found = {"agreed": torch.tensor(distributed.agree(float(rank + 5)))}
    found["any"] = torch.tensor([distributed.any_rank(rank == 1), distributed.any_rank(False)])
    layer = torch.nn.Linear(2, 1)
    (layer(torch.full((1, 2), float(rank))) * (rank + 1)).sum().backward()
    distributed.average_gradients(list(layer.parameters()))
    found |= {"grad_w": layer.weight.grad, "grad_b": layer.bias.grad}

    game = Regression(RECIPE.model_copy(update={"steps": 4, "validate_every": 2}))
    with torch.no_grad():
        game.network[0].weight.mul_(rank + 1)  # ranks that start apart
    run = trainer(folder, game.stage())
    outcome = run.run()
    assert outcome.finished
    found |= {f"weight.{k}": v for k, v in game.network.state_dict().items()}
    save_file(found, folder / f"rank{rank}.safetensors")
"""


def test_two_ranks_train_as_one(tmp_path: Path) -> None:
    run_two_ranks(RANK, tmp_path, Path(__file__).parent)
    first, second = (load_file(tmp_path / f"rank{rank}.safetensors") for rank in (0, 1))
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
    assert float(first["agreed"]) == 5.0
    assert first["any"].tolist() == [True, False]
    assert first["grad_w"].tolist() == [[1.0, 1.0]]  # the mean of 0 * 1 and 1 * 2
    assert first["grad_b"].tolist() == [1.5]
    # Each rank drew its own batches: the result is not that of one process alone.
    game = Regression(RECIPE.model_copy(update={"steps": 4, "validate_every": 2}))
    (tmp_path / "alone").mkdir()
    trainer(tmp_path / "alone", game.stage()).run()
    assert not torch.equal(first["weight.0.weight"], game.network.state_dict()["0.weight"])


def test_alone_it_costs_nothing() -> None:
    layer = nn.Linear(1, 1)
    layer(torch.ones(1, 1)).sum().backward()
    before = [weight.grad.clone() for weight in layer.parameters() if weight.grad is not None]
    distributed.average_gradients(list(layer.parameters()))
    assert [weight.grad for weight in layer.parameters()] == before
    assert (distributed.rank(), distributed.world_size()) == (0, 1)
    assert distributed.agree(2.5) == 2.5
    assert distributed.any_rank(True)
    distributed.barrier()
    distributed.share(layer)
    with distributed.process_group():
        assert distributed.world_size() == 1

"""Torch modules as ONNX graphs: the same numbers at any size, the same bytes, no trace of here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks import graphs
from benchmarks.harness import Options
from partimento.runtime.sessions import session_of
from partimento.training.export.modules import export_module

EXAMPLE = {"x": torch.zeros(2, 12, 6), "style": torch.zeros(2, 3)}
FREE = {"x": {0: "B", 1: "W"}, "style": {0: "B"}}


class Mixed(nn.Module):
    """A convolution, attention, a norm and dropout: what networks here are made of."""

    def __init__(self) -> None:
        super().__init__()
        self.near = nn.Conv1d(6, 8, 3, padding=1)
        self.query, self.value = nn.Linear(8, 8), nn.Linear(8, 8, bias=False)
        self.norm, self.dropout = nn.LayerNorm(8), nn.Dropout(0.5)
        self.scale = nn.Linear(3, 8)

    def forward(self, x: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, W, 8) and (B, 8) of (B, W, 6) and (B, 3)."""
        y = self.near(x.transpose(1, 2)).transpose(1, 2)
        weights = torch.softmax(self.query(y) @ y.transpose(1, 2) / 8**0.5, dim=-1)
        y = y + self.dropout(F.gelu(weights @ self.value(y)))
        y = self.norm(y) * (1 + self.scale(style))[:, None]
        return y, y.mean(1)


@pytest.fixture(scope="module")
def module() -> Mixed:
    torch.manual_seed(0)
    return Mixed()


@pytest.fixture(scope="module")
def graph(module: Mixed) -> onnx.ModelProto:
    return export_module(module, EXAMPLE, ["y", "mean"], FREE)


@pytest.mark.parametrize(("batch", "places"), [(1, 1), (1, 31), (5, 12)])
def test_the_graph_is_the_module(
    module: Mixed, graph: onnx.ModelProto, batch: int, places: int
) -> None:
    x, style = torch.randn(batch, places, 6), torch.randn(batch, 3)
    module.eval()
    with torch.no_grad():
        wanted = module(x, style)
    module.train()
    made = session_of(graph.SerializeToString(), 1).run(
        ["y", "mean"], {"x": x.numpy(), "style": style.numpy()}
    )
    for have, want in zip(made, wanted, strict=True):
        assert want.std() > 0.05
        np.testing.assert_allclose(have, want.numpy(), atol=1e-5)


def test_the_module_stays_as_it_is(module: Mixed, graph: onnx.ModelProto) -> None:
    assert module.training
    assert all(weight.requires_grad for weight in module.parameters())


def test_the_graph_says_nothing_of_where_it_was_made(graph: onnx.ModelProto) -> None:
    data = graph.SerializeToString()
    assert str(Path(__file__).parent).encode() not in data
    assert b"site-packages" not in data
    assert {entry.name for entry in graph.graph.input} == {"x", "style"}
    assert [axis.dim_param for axis in graph.graph.input[0].type.tensor_type.shape.dim[:2]] == [
        "B",
        "W",
    ]


def test_the_exporter_is_held_to_a_graph_built_by_hand() -> None:
    figures = graphs.run(Options(data="", quick=True))
    assert figures["difference"] < 1e-4
    assert {"ratio_b1", "ratio_b64"} < set(figures)

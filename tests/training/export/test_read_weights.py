"""Weights read back from the graph of a model folder are those that were exported."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from partimento.errors import ModelError
from partimento.runtime.presets import RecurrentConfig, TransformerConfig
from partimento.training.export import int8_weights as rounding
from partimento.training.export.read_weights import read_graph_weights

from support.tiny_models import (
    ATTENTIONS,
    grid_preset,
    lstm,
    relative_pitch,
    roughen,
    training_task_of,
    transformer,
)

NETWORKS = [
    *(transformer(attention) for attention in ATTENTIONS),
    transformer(attention_width=32),
    relative_pitch(),
    lstm(),
]
NAMES = [*ATTENTIONS, "narrow", "relative_pitch", "lstm"]


@pytest.mark.parametrize("network", NETWORKS, ids=NAMES)
def test_full_precision_comes_back_as_it_was(
    network: TransformerConfig | RecurrentConfig, tmp_path: Path
) -> None:
    training_task = training_task_of(grid_preset(network))
    roughen(training_task.network)
    training_task.export(tmp_path / "model", {}, ("fp32",))
    weights = read_graph_weights(tmp_path / "model")
    wanted = training_task.network.state_dict()
    assert set(weights) == set(wanted)
    for name, value in wanted.items():
        torch.testing.assert_close(weights[name], value, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("least", [1, 4096], ids=["tables_in_int8", "tables_in_float"])
@pytest.mark.parametrize("network", NETWORKS, ids=NAMES)
def test_int8_comes_back_within_a_step_of_its_scale(
    network: TransformerConfig | RecurrentConfig,
    least: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rounding, "_LEAST", least)
    training_task = training_task_of(grid_preset(network))
    roughen(training_task.network)
    training_task.export(tmp_path / "model", {})
    weights = read_graph_weights(tmp_path / "model")
    wanted = training_task.network.state_dict()
    assert set(weights) == set(wanted)
    for name, value in wanted.items():
        assert (weights[name] - value).abs().max() <= value.abs().max() / 100, name
    training_task.network.load_state_dict(weights)


def test_a_model_that_was_read_back_exports_the_same_again(tmp_path: Path) -> None:
    training_task = training_task_of(grid_preset(transformer()))
    roughen(training_task.network)
    training_task.export(tmp_path / "one", {})
    training_task.network.load_state_dict(read_graph_weights(tmp_path / "one"))
    training_task.export(tmp_path / "two", {})
    again = read_graph_weights(tmp_path / "two")
    for name, value in training_task.network.state_dict().items():
        np.testing.assert_allclose(again[name], value, rtol=1e-5, atol=1e-6)


def test_what_is_no_token_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model folder"):
        read_graph_weights(tmp_path / "nothing")
    training_task = training_task_of(grid_preset(transformer()))
    model = training_task.export(tmp_path / "model", {})
    broken = tmp_path / "model" / model.parts["decoder"]["int8"]
    broken.write_bytes(b"no graph")
    with pytest.raises(ModelError, match="altered"):
        read_graph_weights(tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config["files"][broken.name] = hashlib.sha256(b"no graph").hexdigest()
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="cannot be read"):
        read_graph_weights(tmp_path / "model")

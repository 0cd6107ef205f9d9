"""The performer of token models: what it refuses, what it scores, and that it keeps no state."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from partimento.errors import ModelError, NotSupported
from partimento.music import Promises
from partimento.representations.base import input_columns
from partimento.runtime.contract import Controls, Request, SamplingControls
from partimento.runtime.model_folder import ModelFolder
from partimento.runtime.tokens.performer import TokenPerformer
from partimento.seeds import generator
from partimento.training.export.writer import export_token_model
from partimento.training.tokens.task import TokenTask

from support.tiny_models import (
    chorale,
    grid_preset,
    lstm,
    roughen,
    torch_logits,
    training_task_of,
    transformer,
)

TWO_BARS = Request(promises=Promises(bars=2))


@pytest.fixture(scope="module", params=["transformer", "recurrent"])
def played(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TokenTask, TokenPerformer]:
    """Return a training_task and the performer of its fp32 graph."""
    training_task = training_task_of(
        grid_preset(transformer() if request.param == "transformer" else lstm())
    )
    roughen(training_task.network)
    out = tmp_path_factory.mktemp("models") / "rough"
    folder = export_token_model(training_task, out, {}, precisions=("fp32",))
    return training_task, TokenPerformer.load(folder, threads=1, precision="fp32")


def test_nll_is_that_of_the_network(played: tuple[TokenTask, TokenPerformer]) -> None:
    training_task, performer = played
    tokens = performer.representation.encode(chorale(0))[:40]
    columns = input_columns(
        tokens,
        performer.representation.features(tokens),
        performer.representation.start_token,
        training_task.local_width,
    )
    logits = torch_logits(training_task, columns).astype(np.float64)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    wanted = -np.log(shares[np.arange(40), tokens])
    np.testing.assert_allclose(performer.nll(tokens), wanted, atol=1e-4)


def test_nll_of_long_pieces_is_read_in_windows(
    played: tuple[TokenTask, TokenPerformer],
) -> None:
    _, performer = played
    tokens = performer.representation.encode(chorale(0, bars=3))
    found = performer.nll(tokens)
    assert found.shape == (192,)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[:40], performer.nll(tokens[:40]), atol=1e-4)


def test_streams_keep_no_state(played: tuple[TokenTask, TokenPerformer]) -> None:
    _, performer = played
    controls = SamplingControls()
    alone = [list(performer.stream(TWO_BARS, controls, generator(seed))) for seed in (1, 2)]
    streams = [performer.stream(TWO_BARS, controls, generator(seed)) for seed in (1, 2)]
    turns = [[next(stream) for stream in streams] for _ in range(2)]
    assert [list(made) for made in zip(*turns, strict=True)] == alone
    assert alone[0] != alone[1]


def test_streams_never_end(played: tuple[TokenTask, TokenPerformer]) -> None:
    _, performer = played
    stream = performer.stream(Request(endless=True), SamplingControls(), generator(0))
    assert len(list(islice(stream, 3))) == 3


def test_an_end_must_be_asked_for(played: tuple[TokenTask, TokenPerformer]) -> None:
    _, performer = played
    with pytest.raises(NotSupported, match="ask for bars or for a stream"):
        performer.stream(Request(), SamplingControls(), generator(0))


def test_foreign_controls(played: tuple[TokenTask, TokenPerformer]) -> None:
    _, performer = played
    with pytest.raises(NotSupported, match="takes temperature, top_p, top_k and min_p"):
        performer.stream(TWO_BARS, Controls(), generator(0))


def test_kinds_and_precisions_that_are_unknown(tmp_path: Path) -> None:
    folder = export_token_model(training_task_of(grid_preset(lstm())), tmp_path / "model", {})
    with pytest.raises(ModelError, match="has no fp32 graph of its decoder; it has: int8"):
        TokenPerformer.load(folder, precision="fp32")
    path = folder.path / "config.json"
    config = json.loads(path.read_text())
    config["network"]["kind"] = "quantum"
    path.write_text(json.dumps(config))
    with pytest.raises(ModelError, match="networks of kind 'quantum' are unknown"):
        TokenPerformer.load(ModelFolder.open(folder.path))

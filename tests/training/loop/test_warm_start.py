"""Training begins from weights of the same representation alone, and says what is not the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from partimento.errors import ModelError, TrainingError
from partimento.training.loop.warm_start import begin_from
from partimento.training.tokens.task import TokenTask

from support.tiny_models import (
    GRID,
    grid_preset,
    relative_pitch,
    roughen,
    system_task,
    training_task_of,
    transformer,
)

EVENTS = {"name": "bar_events"}
MELODY = {"name": "melody_steps", "lowest": 60, "highest": 66}


def model(representation: dict[str, Any], **changes: Any) -> TokenTask:
    return training_task_of(grid_preset(transformer(**changes), representation=representation))


def exported(
    representation: dict[str, Any], folder: Path, **changes: Any
) -> tuple[Path, TokenTask]:
    training_task = model(representation, **changes)
    roughen(training_task.network)
    training_task.export(folder, {}, ("fp32",))
    return folder, training_task


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({**GRID, "lowest": 61, "highest": 67}, "representation.highest 66 (wanted: 67); "),
        ({**GRID, "highest": 69}, "representation.highest 66 (wanted: 69); begin"),
        (MELODY, "representation.name four_voice_grid (wanted: melody_steps); begin"),
        ({"name": "countdown", "base": {**GRID, "lowest": 55}, "bars": 2}, "lowest 60 (wanted: 55"),
    ],
)
@pytest.mark.parametrize("is_run", [False, True], ids=["model", "run"])
def test_weights_of_another_representation_are_refused(
    wanted: dict[str, Any], told: str, is_run: bool, tmp_path: Path
) -> None:
    folder, _ = exported(GRID, tmp_path / "model")
    if is_run:  # the preset of a run is asked first, whatever the model folder says
        (folder / "training").mkdir()
        remembered = {"preset": {"representation": GRID}}
        (folder / "training" / "preset.json").write_text(json.dumps(remembered))
    with pytest.raises(TrainingError) as caught:
        begin_from(model(wanted), folder)
    assert told in str(caught.value)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (GRID, {**GRID, "steps_per_bar": 12, "denominator": 8}),
        (EVENTS, {**EVENTS, "track_names": {"0": "Upright"}}),
    ],
)
def test_names_and_metres_are_free(
    first: dict[str, Any], second: dict[str, Any], tmp_path: Path
) -> None:
    folder, training_task = exported(first, tmp_path / "model")
    later = model(second)
    begin_from(later, folder)
    assert_same(later, training_task)


def assert_same(later: TokenTask, training_task: TokenTask, but: str = "none") -> None:
    learnt = training_task.network.state_dict()
    for name, value in later.network.state_dict().items():
        if name != but:
            torch.testing.assert_close(value, learnt[name], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("bars", [2, 6])
def test_a_countdown_may_be_longer_or_shorter(bars: int, tmp_path: Path) -> None:
    folder, training_task = exported(
        {"name": "countdown", "base": GRID, "bars": 4}, tmp_path / "model"
    )
    later = model({"name": "countdown", "base": GRID, "bars": bars})
    begin_from(later, folder)
    name = "embedding.features.2.weight"
    assert_same(later, training_task, but=name)
    old, new = (each.network.get_parameter(name) for each in (training_task, later))
    both = min(bars, 4) + 1
    torch.testing.assert_close(new[:both], old[:both])
    torch.testing.assert_close(new[both:], old[:1].expand(bars + 1 - both, -1))
    with pytest.raises(TrainingError, match=r"countdown \(wanted: four_voice_grid\)"):
        begin_from(model(GRID), folder)


def test_a_countdown_begins_at_a_model_without_one(tmp_path: Path) -> None:
    folder, training_task = exported(GRID, tmp_path / "model")
    later = model({"name": "countdown", "base": GRID, "bars": 4})
    begin_from(later, folder)
    name = "embedding.features.2.weight"
    assert_same(later, training_task, but=name)
    assert not later.network.get_parameter(name).any()


def test_relative_pitch_begins_at_a_model_without_it(tmp_path: Path) -> None:
    folder, training_task = exported(GRID, tmp_path / "model", local_width=5)
    later = training_task_of(grid_preset(relative_pitch()))
    begin_from(later, folder)
    columns = torch.randint(7, (2, 9, 5)), torch.arange(9).remainder(4).expand(2, 1, 9)
    both = torch.cat([columns[0], columns[1].mT, torch.zeros(2, 9, 1, dtype=torch.long)], -1)
    wanted = training_task.network.eval()(both)
    torch.testing.assert_close(later.network.eval()(both), wanted, rtol=1e-4, atol=1e-5)
    later.network(both).square().sum().backward()
    for name, weight in later.network.named_parameters():
        if "local" in name or "relative_head" in name:
            assert weight.grad is not None, name
            assert weight.grad.any(), name
    later.export(tmp_path / "later", {}, ("fp32",))
    with pytest.raises(TrainingError, match="another shape; use its preset"):
        begin_from(training_task, tmp_path / "later")


def test_a_network_of_another_shape_is_refused(tmp_path: Path) -> None:
    folder, _ = exported(GRID, tmp_path / "model")
    with pytest.raises(TrainingError, match="another shape; use its preset"):
        begin_from(model(GRID, width=32), folder)


def test_grids_are_told_apart_by_their_tracks(tmp_path: Path) -> None:
    grids = system_task("getmusic")
    roughen(grids.network)
    grids.export(tmp_path / "model", {}, ("fp32",))
    tracks = grids.preset.representation["tracks"]

    def of(tracks: list[dict[str, Any]]) -> Any:
        spec = {**grids.preset.representation, "tracks": tracks}
        preset = grids.preset.model_copy(update={"representation": spec})
        return type(grids)("getmusic", preset, grids.factory)

    later = of([{**track, "program": 40} for track in tracks])
    begin_from(later, tmp_path / "model")
    assert_same(later, grids)
    with pytest.raises(TrainingError, match=r"representation\.tracks .*\(wanted: .*Viol"):
        begin_from(of([*tracks[:-1], {**tracks[-1], "name": "Viol"}]), tmp_path / "model")


def test_a_model_folder_without_such_a_graph_says_so(tmp_path: Path) -> None:
    folder, _ = exported(GRID, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config |= {"network": {}, "system": "musika"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="of musika holds no weights to begin from; begin from"):
        begin_from(model(GRID), folder)

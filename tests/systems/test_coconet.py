"""Coconet: what a hidden cell tells, the published sizes, and parts that go with a given one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from partimento.music import Promises, Score, TimeSignature
from partimento.music.promises import PitchRange
from partimento.music.regions import Region
from partimento.music.transform import join
from partimento.representations.track_grid import TrackGrid
from partimento.runtime.contract import Request, Task
from partimento.runtime.grids.gibbs_performer import GibbsControls, GibbsPerformer
from partimento.runtime.grids.rolls import HIDDEN, SILENT
from partimento.systems.coconet import PRESETS
from partimento.systems.coconet.networks import network
from partimento.systems.coconet.training import training_task

from support.grid_doubles import infill, piece
from support.tiny_models import roughen

GRID = TrackGrid.from_spec(PRESETS["tiny"].representation["tracks"])


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> GibbsPerformer:
    """Return the performer of a small untrained network of four voices."""
    torch.manual_seed(0)
    preset = PRESETS["default"].model_copy(update={"network": PRESETS["tiny"].network})
    task = training_task(preset)
    roughen(task.network)
    return GibbsPerformer.load(task.export(tmp_path_factory.mktemp("c") / "coconet", {}), 1)


def test_a_hidden_cell_is_not_a_silent_one_and_leaves_no_trace_of_its_pitch() -> None:
    torch.manual_seed(0)
    net = network(PRESETS["tiny"], GRID).eval()
    pitches = torch.randint(40, 80, (1, 3, 20))
    hidden, silent = pitches.clone(), pitches.clone()
    hidden[0, 1, 7], silent[0, 1, 7] = HIDDEN, SILENT
    planes = net.planes(hidden)
    assert planes[0, 1, :, 7].sum() == 0
    assert planes[0, 4, :, 7].all()
    assert planes[0, 4].sum() == 46
    assert not torch.allclose(net(hidden), net(silent))


def test_the_network_of_the_paper_has_its_sizes() -> None:
    """Section 5: 64 layers of 128 filters of 3 x 3, batch norm after all but the last."""
    with torch.device("meta"):
        net = network(
            PRESETS["paper"], TrackGrid.from_spec(PRESETS["paper"].representation["tracks"])
        )
    convolutions = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 64
    assert all(m.kernel_size == (3, 3) for m in convolutions)
    inner = 9 * 128 * 128
    count = 9 * 8 * 128 + 62 * inner + 9 * 128 * 4 + 4 + 63 * 2 * 128
    assert sum(weight.numel() for weight in net.parameters()) == count


def test_the_exported_graph_is_the_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    task = training_task(PRESETS["tiny"])
    roughen(task.network)
    performer = GibbsPerformer.load(task.export(tmp_path / "tiny", {}), 1)
    task.network.eval()
    for batch, columns in ((1, 1), (2, 33)):
        pitches = torch.randint(40, 80, (batch, 3, columns))
        pitches[:, 1], pitches[:, 2] = HIDDEN, SILENT
        with torch.no_grad():
            wanted = task.network(pitches).numpy()
        (made,) = performer.network.session.run(["logits"], {"pitches": pitches.numpy()})
        np.testing.assert_allclose(made, wanted, atol=1e-4)


def test_given_voices_stay_and_promises_hold_in_the_others(player: GibbsPerformer) -> None:
    prompt = piece()
    tenor = {"Tenor": PitchRange(48, 60)}
    region = Region(0, 4, frozenset({2}))
    request = infill(prompt, region, promises=Promises(ranges=tenor))
    pieces = list(player.stream(request, GibbsControls(steps=6), np.random.default_rng(0)))
    made = join([each for each in pieces if isinstance(each, Score)])
    names = {track.name: track.notes for track in made.tracks}
    assert names["Tenor"]
    assert all(48 <= note.pitch <= 60 for note in names["Tenor"])
    assert not any(notes for name, notes in names.items() if name != "Tenor")


def test_every_column_of_every_voice_sounds(player: GibbsPerformer) -> None:
    """The published model knows no rests."""
    request = Request(Task.GENERATE, Promises(bars=2, time_signature=TimeSignature(0, 3, 4)))
    made = join(list(player.stream(request, GibbsControls(steps=4), np.random.default_rng(0))))  # type: ignore[arg-type]
    for track in made.tracks:
        assert sum(note.duration_ticks for note in track.notes) == 2 * 3 * 480


def test_a_chain_learns_two_voices_in_thirds(tmp_path: Path) -> None:
    """Parallel thirds over a scale: given the upper voice, the lower is known."""
    draw = np.random.default_rng(0)
    preset = PRESETS["tiny"].model_copy(
        update={
            "representation": {"name": "track_grid", "tracks": [{"name": "A"}, {"name": "B"}]},
            "network": PRESETS["tiny"].network.model_copy(update={"width": 16}),
        }
    )
    torch.manual_seed(0)
    task = training_task(preset)
    upper = torch.from_numpy(draw.integers(56, 70, (64, 1, 16)))
    pitches = torch.cat([upper, upper - 4], dim=1)
    optimizer = torch.optim.Adam(task.network.parameters(), 1e-2)
    hidden = torch.zeros_like(pitches, dtype=torch.bool)
    hidden[:, 1] = True
    for _ in range(60):
        optimizer.zero_grad()
        task._terms({"pitches": pitches, "hidden": hidden}).mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    task.network.eval()
    with torch.no_grad():
        made = task.network(torch.where(hidden, HIDDEN, pitches))[:, 1].argmax(-1) + 36
    assert (made == pitches[:, 1]).float().mean() > 0.95

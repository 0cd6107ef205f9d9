"""GETMusic: the sizes of the paper, the conditions it learns under, and its graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from partimento.errors import ModelError, TrainingError
from partimento.representations.track_grid import EMPTY, MASK, TrackGrid, sounding
from partimento.runtime.sessions import open_session
from partimento.systems.getmusic import PRESETS
from partimento.systems.getmusic.networks import GridTransformer
from partimento.systems.getmusic.training import training_task
from partimento.training.export.grid_graph import grid_graph
from partimento.training.export.writer import quantized
from partimento.training.grids.task import GridTask, draw_task, known
from partimento.training.loop.optimizer import learning_rate_at

from support.tiny_models import chorale, corpus, roughen

TINY = PRESETS["tiny"]


def prepared(folder: Path, preset: str = "tiny") -> GridTask:
    folder.mkdir(parents=True, exist_ok=True)
    made = training_task(PRESETS[preset])
    made.prepare([corpus([_duet(seed) for seed in range(4)])], folder, lambda text: None)
    return made


def _duet(seed: int):  # type: ignore[no-untyped-def]
    whole = chorale(seed)
    return whole.with_tracks(whole.tracks[:2])


def test_paper_has_the_size_of_the_paper() -> None:
    """Twelve layers of 768, feed-forward 3072, 12 heads; cells of 96, fourteen rows to a column."""
    preset = PRESETS["paper"]
    grid = TrackGrid.from_spec(preset.representation["tracks"])
    with torch.device("meta"):
        network = GridTransformer(preset.network, grid)
    layer = 4 * 768 * 768 + 2 * 768 * 3072 + 3072 + 768 + 4 * 768
    assert sum(w.numel() for w in network.encoder.parameters()) == 12 * layer + 2 * 768
    rows = 2 * grid.slots
    assert rows == 14
    assert network.cells.weight.shape == (rows * 96, 768)
    # Ours on top: what sounds in the six tracks enters beside the fourteen rows.
    assert network.join.weight.shape == (768, (rows + 3 * 6) * 96)


def naive_sounding(cells: np.ndarray) -> list[int]:
    """Return what is known to sound in one voice (T, 2), column by column."""
    out = []
    for column in range(len(cells)):
        heard = EMPTY
        for back in range(column, -1, -1):
            what, length = cells[back]
            if what == EMPTY and length == EMPTY:
                continue
            age = column - back
            if what == MASK or (length == MASK and age > 0):
                heard = 129
            elif length == MASK or age < length:
                heard = int(what)
            break
        out.append(heard)
    return out


def test_what_sounds_is_what_a_loop_finds() -> None:
    draw = np.random.default_rng(0)
    for _ in range(50):
        cells = np.zeros((2, 24, 2), dtype=np.int64)
        at = draw.random((2, 24)) < 0.3
        cells[at, 0], cells[at, 1] = draw.integers(1, 90, at.sum()), draw.integers(1, 9, at.sum())
        cells[draw.random(cells.shape) < 0.05] = MASK
        fast = sounding(cells, np.zeros(24, dtype=bool))
        assert fast[:2].tolist() == [naive_sounding(voice) for voice in cells]
        for voice, (before, after) in enumerate(zip(fast[2:4], fast[4:6], strict=True)):
            known = [int(what) if what > EMPTY else EMPTY for what in cells[voice, :, 0]]
            for column in range(24):
                earlier = [what for what in known[:column] if what]
                later = [what for what in known[column + 1 :] if what]
                assert before[column] == (earlier[-1] if earlier else EMPTY)
                assert after[column] == (later[0] if later else EMPTY)


def test_padding_is_silent_and_no_time() -> None:
    cells = np.zeros((1, 32, 2), dtype=np.int64)
    cells[0, 10] = (61, 4)  # three columns of padding follow the twelfth
    padding = np.zeros(32, dtype=bool)
    padding[12:16] = True
    heard = sounding(cells, padding)[0]
    assert np.flatnonzero(heard == 61).tolist() == [10, 11, 16, 17]


def test_every_task_asks_for_something() -> None:
    """The one exception: the only part that is asked for may be the one that is left out."""
    draw = np.random.default_rng(0)
    kinds, empty, silent_asked = set(), 0, 0
    for _ in range(400):
        wanted = draw_task(draw, [True, True, False, True], 64)
        columns = [part.mean() for part in wanted if part is not None]
        kinds.add(tuple(round(float(share), 2) for share in columns))
        nothing = not any(share > 0 for share in columns)
        assert not nothing or any(part is None for part in wanted)
        empty += nothing
        silent_asked += wanted[2] is not None and bool(wanted[2].any())
        if wanted[2] is not None:  # a part without notes is there only to be written
            assert wanted[2].any()
    assert len(kinds) > 20
    assert empty < 0.05 * 400
    assert silent_asked > 40


def test_cells_to_be_found_are_cells_that_can_sound(tmp_path: Path) -> None:
    made = prepared(tmp_path)
    batch = made._batch(np.random.default_rng(1))
    features, target = batch["features"], batch["target"]
    outside = (features[..., 1] == 0)[:, None].expand_as(target)
    assert outside.any()
    assert not (target & outside).any()
    written = batch["given"] == 1
    assert not (target.any(dim=2) & ~written).any()
    unused = (batch["given"] == 0)[..., None, None].expand_as(batch["cells"])
    assert not batch["cells"][unused].any()


def test_the_exported_graph_is_the_network(tmp_path: Path) -> None:
    made = prepared(tmp_path)
    roughen(made.network, 0.3)
    made.network.eval()
    batch = made._batch(np.random.default_rng(2))
    hidden = batch["target"] & (batch["noise"][:, 0] < 0.5)
    cells, heard = known(torch.where(hidden[..., None], MASK, batch["cells"]), batch["features"])
    context = torch.stack([torch.tensor([5, 99, 50, 1]), batch["ensemble"]], dim=1)
    feed = (cells, heard, batch["features"], batch["given"], context)
    with torch.no_grad():
        wanted = made.network(*feed)
    weights = {n: v.detach().float().numpy() for n, v in made.network.state_dict().items()}
    graph = grid_graph(TINY.network, made.grid, weights)
    names = ("cells", "sounding", "features", "given", "context")
    inputs = {name: value.numpy() for name, value in zip(names, feed, strict=True)}
    for model, bound in ((graph, 1e-4), (quantized(graph), 0.35)):
        path = tmp_path / "graph.onnx"
        path.write_bytes(model.SerializeToString())
        got = open_session(path, 1).run(["what", "length"], inputs)
        for ours, theirs in zip(got, wanted, strict=True):
            gap = np.abs(ours - theirs.numpy()).max() / float(theirs.std())
            assert gap < bound


def test_the_bound_falls(tmp_path: Path) -> None:
    made = prepared(tmp_path)
    made.network.eval()
    batch = made._batch(np.random.default_rng(0))
    adam = torch.optim.Adam(made.network.parameters(), lr=1e-2)
    t = torch.full((len(batch["cells"]),), 60)
    losses: list[float] = []
    while len(losses) < 300 and not (losses and losses[-1] < 0.1 * losses[0]):
        what, length = made._terms(batch, t)
        loss = (what + length).mean()
        losses.append(float(loss.detach()))
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
    assert losses[-1] < 0.1 * losses[0]


def published(folder: Path) -> GridTask:
    folder.mkdir(parents=True, exist_ok=True)
    made = training_task(TINY.model_copy(update={"loss": "published"}))
    made.prepare([corpus([_duet(seed) for seed in range(4)])], folder, lambda text: None)
    return made


def test_the_published_loss_can_be_trained_with(tmp_path: Path) -> None:
    made = published(tmp_path)
    made.network.eval()
    batch = made._batch(np.random.default_rng(0))
    adam = torch.optim.Adam(made.network.parameters(), lr=1e-2)
    torch.manual_seed(0)
    t = torch.full((len(batch["cells"]),), 60)
    losses: list[float] = []
    while len(losses) < 300 and not (losses and losses[-1] < 0.3 * losses[0]):
        loss = sum(part.mean() for part in made._terms(batch, t))
        losses.append(float(loss.detach()))
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert losses[-1] < 0.3 * losses[0]
    step = made._loss(batch)
    assert torch.isfinite(step.total)
    with torch.no_grad():
        assert made._validate()["loss"] > 0


def test_the_published_loss_is_the_masked_one_and_the_conditions(tmp_path: Path) -> None:
    """Where no condition counts and nothing is replaced, the two differ in the scope of lengths."""
    made, plain = published(tmp_path / "a"), prepared(tmp_path / "b")
    plain.network.load_state_dict(made.network.state_dict())
    made.schedule = plain.schedule
    for task in (made, plain):
        task.network.eval()
    batch = made._batch(np.random.default_rng(3))
    t = torch.tensor([20, 50, 70, 99])
    given = batch["given"].clone()
    batch["given"] = torch.where(given == 2, 0, given)
    (ours, _), (theirs, _) = (task._terms(batch, t) for task in (made, plain))
    assert torch.allclose(ours, theirs, atol=1e-4)
    batch["given"] = given
    assert (given == 2).any()
    assert not torch.allclose(made._terms(batch, t)[0], plain._terms(batch, t)[0], atol=1e-6)


def test_paper_trains_as_published() -> None:
    """Lv et al. 2023, section 3.2, and the published configs/train.yaml."""
    preset = PRESETS["paper"]
    assert preset.loss == "published"
    assert preset.transpose == 0
    training = preset.training
    assert (training.beta1, training.beta2, training.weight_decay) == (0.9, 0.999, 1e-2)
    assert (training.batch_size, training.length, training.clip) == (3, 512, 0.5)
    rates = [learning_rate_at(training, step, 300_000) for step in (999, 150_500, 299_999)]
    assert rates == pytest.approx([1e-4, 0.5e-4, 0.0], abs=1e-8)
    keep = training_task(TINY.model_copy(update={"loss": "published"})).schedule.keep
    assert [float(keep[1]), float(keep[-1])] == pytest.approx([0.99999, 9e-6])


def test_data_are_encoded_once(tmp_path: Path) -> None:
    made = prepared(tmp_path)
    again = training_task(TINY)
    again.recall(tmp_path)
    assert again.facts == {k: v for k, v in made.facts.items() if k != "corpora"}
    (tmp_path / "grids.npz").write_bytes(b"no zip")
    with pytest.raises(TrainingError, match="damaged"):
        again.recall(tmp_path)


def test_nothing_to_learn_from_is_told(tmp_path: Path) -> None:
    made = training_task(TINY)
    with pytest.raises(TrainingError, match="no piece"):
        made.prepare([corpus([chorale(0), chorale(1)])], tmp_path, lambda text: None)


def test_an_unknown_graph_is_refused() -> None:
    with pytest.raises(ModelError):
        open_session(Path("nowhere.onnx"), 1)

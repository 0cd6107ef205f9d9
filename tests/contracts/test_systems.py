"""What every system keeps, whichever it is: its card, its training, its export, its playing.

The systems are those that the catalogue finds, and the toy, which uses every type that a system may
use; each with its preset ``tiny`` on the CPU.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from partimento import catalog
from partimento.errors import NotSupported
from partimento.generation.assemble import only_pieces
from partimento.metrics.adherence import adherence
from partimento.music import (
    Audio,
    Promises,
    Score,
    Timeline,
    TimeSignature,
    parse_chords,
    parse_key,
)
from partimento.music.promises import PitchRange
from partimento.music.transform import join
from partimento.representations.base import input_columns
from partimento.runtime.contract import (
    AUDIO_CHANNELS,
    AUDIO_RATE_HZ,
    Performer,
    Request,
    Task,
)
from partimento.runtime.presets import TokenPreset
from partimento.training.contract import TrainingTask
from partimento.training.loop.optimizer import PlayerOptimizer
from partimento.training.loop.progress import Progress
from partimento.training.loop.trainer import Trainer

from support.tiny_models import decoder_of, music_of, roughen, song, system_task, torch_logits

SYSTEMS = (*catalog.systems(), "toy")
pytestmark = pytest.mark.parametrize("system", SYSTEMS)
SEEDS = range(3)
WISHES = {
    "bars": Promises(bars=2),
    "metre": Promises(bars=2, time_signature=TimeSignature(0, 3, 4)),
    "key": Promises(bars=2, key=parse_key("A minor")),
    "range": Promises(bars=2, ranges={"*": PitchRange(55, 79)}),
    "polyphony": Promises(bars=2, max_polyphony=2),
    "chords": Promises(bars=2, chords=parse_chords("Am F")),
    "silence": Promises(bars=2, max_silence_quarters=1.0),
    "all": Promises(
        bars=2,
        time_signature=TimeSignature(0, 3, 4),
        key=parse_key("A minor"),
        ranges={"*": PitchRange(48, 84)},
        max_polyphony=3,
        max_silence_quarters=2.0,
    ),
}


def prepared(system: str, folder: Path) -> Any:
    """Return the tiny training_task of a system with music to learn from."""
    folder.mkdir(parents=True, exist_ok=True)
    training_task = system_task(system)
    training_task.prepare([music_of(system)], folder, lambda text: None)
    return training_task


class StopAt(Progress):
    """Presses Ctrl-C after a step; 0 never does."""

    def __init__(self, step: int = 0) -> None:
        super().__init__(quiet=True)
        self.step = step

    def advance(self, step: int, total: int | None, figures: Mapping[str, float]) -> None:
        if step == self.step:
            raise KeyboardInterrupt


def train(
    training_task: TrainingTask, folder: Path, stop: int = 0, resume: bool = False
) -> list[list[float]]:
    """Train three steps of each stage; return each step's losses, those of all its players."""
    small = {"steps": 3, "batch_size": 2, "length": 32}
    stages = [
        replace(stage, training=stage.training.model_copy(update=small), validate=None)
        for stage in training_task.stages()
    ]
    Trainer(stages, folder, 3, StopAt(stop)).run(resume)
    lines = [json.loads(text) for text in (folder / "log.jsonl").read_text().splitlines()]
    return [[v for key, v in line.items() if key.endswith("_loss")] for line in lines]


@pytest.fixture(scope="module")
def performers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Performer]:
    """Return the performer of the untrained tiny network of every system that generates."""
    made = {}
    for name in SYSTEMS:
        card = catalog.find_card(name)
        if Task.GENERATE not in card.tasks:
            continue
        training_task = system_task(name)
        roughen(training_task.network)
        folder = training_task.export(tmp_path_factory.mktemp(name) / name, {})
        made[name] = card.load(folder, threads=1)  # type: ignore[call-arg]
    return made


def _skip_without(system: str, task: Task, makes: str = "score") -> None:
    card = catalog.find_card(system)
    if task not in card.tasks:
        pytest.skip(f"this system does not {task}")
    if card.makes != makes:
        pytest.skip(f"this system makes {card.makes}")


def _skip_without_tokens(system: str) -> None:
    if not isinstance(catalog.find_card(system).presets["tiny"], TokenPreset):
        pytest.skip("its own tests hold this for a system without tokens")


def pieces(
    performer: Performer, system: str, promises: Promises, seed: int, prompt: Score | None = None
) -> list[Score]:
    controls = catalog.find_card(system).controls()
    task = Task.GENERATE if prompt is None else Task.CONTINUE
    request = Request(task, promises, () if prompt is None else (prompt,))
    stream = performer.stream(request, controls, np.random.default_rng(seed))
    made = list(only_pieces(stream))
    assert all(isinstance(piece, Score) for piece in made)
    return [piece for piece in made if isinstance(piece, Score)]


def test_the_card_tells_all(system: str) -> None:
    card = catalog.find_card(system)
    assert card.name == system
    assert card.tasks
    assert card.paper.title
    assert card.paper.url.startswith("https://")
    assert 1950 < card.paper.year < 2100
    assert {"default", "tiny"} <= set(card.presets)
    assert card.summary == card.summary.strip()
    assert "\n" not in card.summary
    for task in Task:
        if task in card.tasks:
            card.check_task(task)
        else:
            with pytest.raises(NotSupported, match="it can "):
                card.check_task(task)


def test_losses_are_finite_and_come_from_the_seed(system: str, tmp_path: Path) -> None:
    first = train(prepared(system, tmp_path / "a"), tmp_path / "a")
    second = train(prepared(system, tmp_path / "b"), tmp_path / "b")
    assert len(first) in (3, 6, 9, 12)
    assert all(np.isfinite(losses).all() and losses for losses in first)
    assert first == second


def test_every_player_reaches_all_its_parameters(system: str, tmp_path: Path) -> None:
    training_task = prepared(system, tmp_path)
    for stage in training_task.stages():
        frozen = {id(w) for module in stage.freezes for w in module.parameters()}
        for player in stage.players:
            optimizer = PlayerOptimizer(player, stage.training)
            optimizer.update(player.loss(stage.batches(np.random.default_rng(0))), 0, 10)
            for name, weight in optimizer.named:
                assert id(weight) not in frozen
                assert weight.grad is not None, name
                # Real and made pull the one bias of an untrained discriminator equally to either
                # side.
                assert weight.numel() == 1 or weight.grad.abs().sum() > 0, name


def test_saved_and_loaded_gives_the_same_next_loss(system: str, tmp_path: Path) -> None:
    whole = train(prepared(system, tmp_path / "whole"), tmp_path / "whole")
    parts = tmp_path / "parts"
    assert train(prepared(system, parts), parts, stop=2) == whole[:2]
    assert train(prepared(system, parts), parts, resume=True) == whole


def test_a_batch_is_learnt_by_heart(system: str, tmp_path: Path) -> None:
    _skip_without_tokens(system)
    training_task = prepared(system, tmp_path)
    training_task = getattr(
        training_task, "model", training_task
    )  # of a game: the side that learns by likelihood
    tokens = training_task.sets["train"]
    draw = np.random.default_rng(0)
    batch = tokens.batch(draw, 2, 24, training_task.local_width, training_task.align)
    training_task.network.eval()  # dropout would be in the way of memorisation
    for stage in training_task.stages():
        for player in stage.players:
            weights = [w for module in player.modules for w in module.parameters()]
            adam = torch.optim.Adam(weights, lr=2e-2)
            losses: list[float] = []
            while len(losses) < 600 and not (losses and losses[-1] < 0.1 * losses[0]):
                loss = player.loss(batch).total
                losses.append(float(loss.detach()))
                adam.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                adam.step()
            assert losses[-1] < 0.1 * losses[0]


def test_the_exported_graph_is_the_network(system: str, tmp_path: Path) -> None:
    _skip_without_tokens(system)
    training_task = system_task(system)
    roughen(training_task.network)
    decoder = decoder_of(training_task, tmp_path)
    tokens = training_task.representation.encode(song(0))[:40]
    features = training_task.representation.features(tokens)
    start = training_task.representation.start_token
    columns = input_columns(tokens, features, start, training_task.local_width)
    wanted = torch_logits(training_task, columns)
    assert wanted.std() > 0.1
    np.testing.assert_allclose(decoder.all_logits(columns), wanted, atol=1e-4)


def sound(performer: Performer, system: str, seed: int, **wishes: Any) -> list[Audio]:
    controls = catalog.find_card(system).controls()
    request = Request(Task.GENERATE, **wishes)
    made = []
    for piece in only_pieces(performer.stream(request, controls, np.random.default_rng(seed))):
        assert isinstance(piece, Audio)
        made.append(piece)
        if wishes.get("endless") and sum(each.duration_seconds for each in made) > 1:
            break
    return made


def joined(pieces: list[Audio]) -> np.ndarray:
    return np.concatenate([piece.samples for piece in pieces], axis=1)


def test_sound_is_as_long_as_asked_and_repeats(
    system: str, performers: dict[str, Performer]
) -> None:
    _skip_without(system, Task.GENERATE, makes="audio")
    made = [
        joined(sound(performers[system], system, seed, duration_seconds=0.7)) for seed in (5, 5, 6)
    ]
    assert all(each.shape[0] == AUDIO_CHANNELS for each in made)
    assert made[0].shape[1] >= round(0.7 * AUDIO_RATE_HZ)
    assert np.isfinite(made[0]).all()
    assert np.abs(made[0]).max() > 0
    np.testing.assert_array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


def test_an_endless_stream_of_sound_begins_as_the_whole(
    system: str, performers: dict[str, Performer]
) -> None:
    _skip_without(system, Task.GENERATE, makes="audio")
    performer = performers[system]
    whole = joined(sound(performer, system, 5, duration_seconds=0.7))
    pieces = sound(performer, system, 5, endless=True)
    assert all(piece.sample_rate_hz == AUDIO_RATE_HZ for piece in pieces)
    count = round(0.7 * AUDIO_RATE_HZ)
    np.testing.assert_allclose(joined(pieces)[:, :count], whole[:, :count], atol=1e-4)


def test_a_seeded_stream_repeats(system: str, performers: dict[str, Performer]) -> None:
    promises = Promises(bars=2)
    _skip_without(system, Task.GENERATE)
    made = [pieces(performers[system], system, promises, seed) for seed in (5, 5, 6)]
    assert made[0] == made[1]
    assert made[0] != made[2]


@pytest.mark.parametrize("wish", list(WISHES))
def test_promises_are_kept(system: str, performers: dict[str, Performer], wish: str) -> None:
    _skip_without(system, Task.GENERATE)
    promises = WISHES[wish]
    if wish == "chords" and not _has_beats(system):
        with pytest.raises(NotSupported, match="chords"):
            pieces(performers[system], system, promises, 0)
        return
    for seed in SEEDS:
        whole = join(pieces(performers[system], system, promises, seed))
        kept = adherence(whole, promises)
        assert kept.kept, kept.violations
        assert whole.notes


def _has_beats(system: str) -> bool:
    """Return whether the form of music that a system writes has beats for chords to stand on."""
    preset = catalog.find_card(system).presets["tiny"]
    representation: Any = getattr(preset, "representation")  # noqa: B009
    return bool(representation["name"] != "performance_events")


def test_pieces_are_whole_scores(system: str, performers: dict[str, Performer]) -> None:
    _skip_without(system, Task.GENERATE)
    for seed in SEEDS:
        made = pieces(performers[system], system, Promises(bars=2), seed)
        assert all(piece.written_length_ticks > 0 for piece in made)
        assert all(note.onset_ticks < p.written_length_ticks for p in made for note in p.notes)
        assert sum(len(Timeline(replace(p, tracks=())).bars) for p in made) == 2
        assert sum(len(track.notes) for piece in made for track in piece.tracks) >= 1


def test_a_prompt_is_continued(system: str, performers: dict[str, Performer]) -> None:
    _skip_without(system, Task.CONTINUE)
    made = pieces(performers[system], system, Promises(bars=2), 0, song(0, bars=2))
    assert adherence(join(made), Promises(bars=2)).kept

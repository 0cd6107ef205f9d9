"""The latent game as a stage: windows of clips, latents kept once, resuming, demos, guards."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from partimento.errors import TrainingError
from partimento.runtime.audio.presets import AudioData, CodecConfig, GameConfig, MusikaPreset
from partimento.runtime.presets import TrainingConfig
from partimento.training.audio import latent_data
from partimento.training.audio import latent_gan as latent_stage
from partimento.training.audio.latent_data import (
    LatentSet,
    codec_print,
    encode_clip,
    encode_set,
    load_latents,
    save_latents,
)
from partimento.training.audio.latent_gan import LatentGame
from partimento.training.audio.latent_metrics import Reference
from partimento.training.loop.progress import Progress
from partimento.training.loop.trainer import CHECKPOINT, Trainer

STEP = 16  # samples a latent
WIDTH = 6
RECIPE = TrainingConfig(
    steps=6, batch_size=8, learning_rate=1e-3, warmup_steps=1, beta1=0.5, weight_decay=0.0,
    ema=0.5, validate_every=3,
)  # fmt: skip
PRESET = MusikaPreset(
    data=AudioData(sample_rate_hz=8000),
    codec=CodecConfig(
        size=16, hop=4, latent_frames=4, latent_width=WIDTH, joins=(2, 2),
    ),
    game=GameConfig(
        coordinate=4, style=4, noise=3, anchor_every=16, style_every=16, crop=32, width=12,
        blocks=2, discriminator_width=12, discriminator_blocks=2, penalty_every=2,
    ),
    training=RECIPE,
)  # fmt: skip


class LineCodec(nn.Module):
    """Latents are lines through the samples of this latent and the last one."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.into = nn.Linear(4 * STEP, WIDTH)
        self.back = nn.Linear(WIDTH, 2 * STEP)

    def encode(self, samples: Tensor) -> Tensor:
        blocks = samples.unflatten(2, (-1, STEP)).transpose(1, 2).flatten(2)
        before = torch.cat([torch.zeros_like(blocks[:, :1]), blocks[:, :-1]], dim=1)
        return torch.tanh(self.into(torch.cat([before, blocks], dim=-1)))

    def decode(self, latents: Tensor) -> Tensor:
        return self.back(latents).unflatten(2, (2, STEP)).transpose(1, 2).flatten(2)


@dataclass
class Clip:
    latents: int
    seed: int

    @property
    def conditions(self) -> npt.NDArray[np.float32]:
        draw = np.random.default_rng(self.seed)
        beat = np.arange(self.latents) / 5
        told = np.stack([np.cos(beat), np.sin(beat)], axis=1)
        fixed = np.tile(draw.random(3), (self.latents, 1))
        return np.concatenate([fixed, told], axis=1).astype(np.float32)

    def samples(self, first: int, latents: int) -> npt.NDArray[np.float32]:
        draw = np.random.default_rng(self.seed)
        whole = draw.standard_normal((2, self.latents * STEP)).cumsum(axis=1) * 0.2
        loud = np.repeat(self.conditions[:, 3], STEP)
        part = slice(first * STEP, (first + latents) * STEP)
        return (np.sin(whole) * (1 + 0.5 * loud))[:, part].astype(np.float32)


@dataclass
class Sound:
    clips: tuple[Clip, ...]


def sounds(count: int = 6, latents: int = 60) -> dict[str, Sound]:
    train = tuple(Clip(latents + 3 * seed, seed) for seed in range(count))
    return {"train": Sound(train), "valid": Sound((Clip(latents, 77),)), "test": Sound(())}


def game(folder: Path, told: list[str] | None = None, **changes: Any) -> LatentGame:
    said: Callable[[str], None] = (told if told is not None else []).append
    torch.manual_seed(3)
    preset = PRESET.model_copy(update={"game": PRESET.game.model_copy(update=changes)})
    made = LatentGame(preset, LineCodec())
    made.take(sounds(), folder, said)
    return made


def latents(*lengths: int) -> LatentSet:
    """Return a set whose latents tell their clip and their place."""
    rows = [(clip, place) for clip, n in enumerate(lengths) for place in range(n)]
    values = np.array(rows, dtype=np.float16)
    return LatentSet(values, values, np.concatenate([[0], np.cumsum(lengths)]))


def test_windows_stay_in_their_clips_and_reach_every_place() -> None:
    found = latents(10, 3, 7)
    values = torch.from_numpy(found.latents)
    places = found.draw(np.random.default_rng(0), 500, 5)
    seen = places.inside(values, 5).numpy()
    around = places.around(values, 5, 4).numpy()
    assert seen.shape == (500, 5, 2)
    assert around.shape == (500, 13, 2)
    assert (np.ptp(seen[..., 0], axis=1) == 0).all()
    assert (np.diff(seen[..., 1], axis=1) == 1).all()
    starts = {(int(c), int(p)) for c, p in seen[:, 0]}
    assert starts == {(0, p) for p in range(6)} | {(2, p) for p in range(3)}
    assert np.array_equal(around[:, 4:9], seen)
    assert (np.ptp(around[..., 0], axis=1) == 0).all()  # beyond an end it is as the end
    assert around[..., 1].min() == 0


def test_windows_at_equal_distances_do_not_depend_on_chance() -> None:
    found = latents(10, 3, 7)
    assert len(found.spread(100, 5).start) == 9
    assert found.spread(3, 5).start.tolist() == [0, 4, 15]


def test_short_clips_shorten_the_window() -> None:
    assert latents(400, 300).crop_that_fits(256, 16) == 256
    assert latents(300, 200, 200).crop_that_fits(256, 16) == 192
    assert latents(70, 40).crop_that_fits(256, 16) == 32
    assert latents(70, 70, 60).crop_that_fits(256, 16) == 64
    with pytest.raises(TrainingError, match="longest clip has 20 latents"):
        latents(20, 10).crop_that_fits(256, 16)
    with pytest.raises(TrainingError, match="longer recordings"):
        latents(20).draw(np.random.default_rng(0), 2, 32)


def test_long_clips_are_encoded_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    codec, clip = LineCodec(), Clip(50, 1)
    samples = clip.samples(0, 50)
    with torch.no_grad():
        whole = codec.encode(torch.from_numpy(samples)[None])[0].numpy()
    monkeypatch.setattr(latent_data, "_SEGMENT", 16)
    monkeypatch.setattr(latent_data, "_CONTEXT", 2)
    pieces = encode_clip(codec, samples, STEP, torch.device("cpu"))
    assert np.allclose(pieces, whole, atol=1e-6)


def test_a_set_remembers_its_clips_and_refuses_what_is_no_number() -> None:
    codec = LineCodec().train()
    clips = [Clip(9, 0), Clip(5, 1)]
    found = encode_set(
        codec, [(lambda c=c: c.samples(0, c.latents), c.conditions) for c in clips], STEP
    )
    assert codec.training
    assert found.borders.tolist() == [0, 9, 14]
    assert found.latents.shape == (14, WIDTH)
    assert found.conditions.shape == (14, 5)
    with torch.no_grad():
        codec.into.weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match="not finite"):
        encode_set(codec, [(lambda: clips[0].samples(0, 9), clips[0].conditions)], STEP)


def test_latents_are_kept_for_the_codec_that_made_them(tmp_path: Path) -> None:
    found, mark = latents(10, 4), codec_print(LineCodec())
    save_latents(tmp_path, "train", found, mark)
    again = load_latents(tmp_path, "train", mark)
    assert again is not None
    assert np.array_equal(again.latents, found.latents)
    assert again.borders.tolist() == [0, 10, 14]
    assert load_latents(tmp_path, "train", "another") is None
    assert load_latents(tmp_path, "valid", mark) is None
    np.save(tmp_path / "latents_train.npy", found.latents[:3])  # a kill between two files
    assert load_latents(tmp_path, "train", mark) is None


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_values: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(TrainingError, match=r"disk is full.*--resume"):
        save_latents(tmp_path, "train", latents(4), "x")
    assert not list(tmp_path.iterdir())


def test_distances_are_nothing_to_itself_and_more_to_noise() -> None:
    draw = np.random.default_rng(0)
    slow = draw.standard_normal((40, 64, WIDTH)).cumsum(axis=1).astype(np.float32) / 8
    reference = Reference(slow, slow[::2], slow.mean(axis=(0, 1)), slow.std(axis=(0, 1)))
    own = reference.figures(slow[::2])
    noise = reference.figures(draw.standard_normal((20, 64, WIDTH)).astype(np.float32))
    assert own["loss"] < 0.01
    assert reference.floor["frechet_windows"] < 0.5
    assert noise["loss"] > 5 * sum(reference.floor.values()) ** 0.5


def trained(folder: Path, resume: bool = False, stop: int | None = None) -> list[dict[str, Any]]:
    made = game(folder)
    trainer = Trainer((made.stage(),), folder, 0, Progress(quiet=True), save_seconds=0.0)
    if stop is not None:
        advance = trainer.progress.advance

        def halt(at: int, total: int | None, figures: Any) -> None:
            advance(at, total, figures)
            if at == stop:
                raise KeyboardInterrupt

        trainer.progress.advance = halt  # type: ignore[method-assign]
    trainer.run(resume=resume)
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_a_resumed_game_is_the_unbroken_one(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        folder.mkdir()
    unbroken = trained(whole)
    trained(broken, stop=4)
    assert (broken / CHECKPOINT).exists()
    resumed = trained(broken, resume=True)
    keys = [key for key in unbroken[-1] if key != "seconds"]
    assert len(resumed) == 6
    for key in keys:
        assert resumed[-1][key] == pytest.approx(unbroken[-1][key], abs=1e-6), key
    assert {"discriminator_r1_weight", "generator_moments", "valid_frechet_steps"} <= set(keys)


def test_a_run_leaves_latents_and_a_demo(tmp_path: Path) -> None:
    trained(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"latents_train.npy", "latents_valid.npy", "conditions_train.npy"} <= names
    demos = {path.suffix for path in (tmp_path / "demo").iterdir()}
    assert demos == {".wav", ".png"}


def test_networks_begin_amid_the_music(tmp_path: Path) -> None:
    made = game(tmp_path)
    batch = made.batch(np.random.default_rng(0))
    real, around = made.windows(batch)
    assert real.shape == (8, 32, WIDTH)
    assert around.shape == (8, 32 + 2 * made.margin, 5)
    music = torch.from_numpy(made.sets["train"].latents.astype(np.float32))
    white = made.discriminator.standard(music)
    assert float(white.mean(dim=0).abs().max()) < 1e-3
    assert 0.1 < float(torch.cov(white.T).diagonal().max()) <= 1.01  # what is faint stays faint
    with torch.no_grad():
        first = made.made(torch.cat([around] * 8)).flatten(0, 1)
    assert 0.4 < float(first.std(dim=0).mean() / music.std(dim=0).mean()) < 1.6


def test_an_untrained_generator_is_never_the_best(tmp_path: Path) -> None:
    made = game(tmp_path)
    assert made.validate()["loss"] > 1000
    batch = made.batch(np.random.default_rng(0))
    made.generator_loss(batch)
    assert made.validate()["loss"] < 1000


def test_few_data_are_hidden_in_part_and_many_are_not(tmp_path: Path) -> None:
    made = game(tmp_path)
    made.batch(np.random.default_rng(0))
    ones = torch.ones(50, 32, WIDTH), torch.ones(50, 32, 5)
    hidden, told = made._hidden(*ones)
    assert 0.5 < float(hidden.mean()) < 0.99
    assert torch.equal(hidden[..., 0], told[..., 0])
    open_game = game(tmp_path, augment=False)
    open_game.batch(np.random.default_rng(0))
    assert float(open_game._hidden(*ones)[0].mean()) == 1


def test_windows_known_by_heart_are_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    made = game(tmp_path, told)
    monkeypatch.setattr(latent_stage, "_OVERFIT", -1e9)
    for _ in range(2):
        made.validate()
    assert sum("memorised" in text for text in told) == 1


def test_short_clips_and_nothing_held_out_are_told(tmp_path: Path) -> None:
    told: list[str] = []
    made = game(tmp_path, told, crop=256, discriminator_blocks=4)
    made.take({"train": sounds()["train"], "valid": Sound(())}, tmp_path, told.append)
    made.batch(np.random.default_rng(0))
    assert made.crop == 48
    assert any("short" in text for text in told)
    assert any("held out" in text for text in told)


def test_a_single_held_out_window_does_not_judge(tmp_path: Path) -> None:
    told: list[str] = []
    made = game(tmp_path, told)
    one = Sound((Clip(made.config.crop, 77),))
    made.take({"train": sounds()["train"], "valid": one}, tmp_path, told.append)
    assert np.isfinite(made.validate()["loss"])
    assert any("held out" in text for text in told)


def test_what_is_normal_is_told_alike_in_half_precision(tmp_path: Path) -> None:
    found = []
    for name, half in (("step", False), ("validation", True)):
        (tmp_path / name).mkdir()
        torch.manual_seed(0)
        made = game(tmp_path / name)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            made.batch(np.random.default_rng(0))
        found.append(made.moments.get_buffer("real_products"))
    assert torch.equal(*found)


def test_nothing_to_learn_from_is_refused(tmp_path: Path) -> None:
    made = game(tmp_path)
    made.take({"train": Sound(()), "valid": Sound(())}, tmp_path, lambda _text: None)
    with pytest.raises(TrainingError, match="longer recordings"):
        made.batch(np.random.default_rng(0))


def test_the_published_game_takes_a_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HalvesGenerator", "HalvesDiscriminator"):
        monkeypatch.setattr(latent_stage, name, partial(getattr(latent_stage, name), base=2))
    preset = PRESET.model_copy(
        update={
            "game": GameConfig(
                kind="halves", coordinate=4, style=4, noise=0, conditions=0, moments=0, obey=0,
                crop=256, discriminator_width=8, interpolation="linear", penalty_every=1,
            )
        }
    )  # fmt: skip
    made = LatentGame(preset, LineCodec())
    made.take(sounds(2, 280), tmp_path, lambda _text: None)
    batch = made.batch(np.random.default_rng(0))
    assert made.made(made.windows(batch)[1]).shape == (8, 256, WIDTH)
    for player in made.stage().players:
        player.loss(batch).total.backward()
    assert bool(made.moments.batches)

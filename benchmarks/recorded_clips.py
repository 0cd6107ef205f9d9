"""Recordings to judge models of sound by, and an ear that tells the pieces of a corpus apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from benchmarks.audio_clips import F32, clips
from benchmarks.audio_embedder import WIDTH, WINDOW, Ear, logmel
from benchmarks.harness import say
from partimento import seeds
from partimento.errors import PartimentoError
from partimento.files.audio.sound_files import resample
from partimento.music import Audio
from partimento.music.channels import stereo
from partimento.runtime.audio.presets import AudioData
from partimento.runtime.contract import AUDIO_RATE_HZ
from partimento.training_runs import open_data

__all__ = ["CORPUS", "MODEL", "QUICK_CORPUS", "ear_of", "mono", "named_clips", "recordings"]

CORPUS, QUICK_CORPUS = "free_game_music:fetched=fetched", "jsb_chorales"
MODEL = "jukebox-games"
_LEAST = 1e-3  # of full scale: quieter clips say nothing
_STEPS, _BATCH = 400, 24


def mono(samples: F32) -> F32:
    """Return (2, N), both channels the mean: what a mono model can give at best."""
    return np.repeat(samples.mean(axis=0, keepdims=True), 2, axis=0)


def recordings(spec: str, split: str) -> Iterator[tuple[str, F32]]:
    """Yield name and sound (2, N) at 44.1 kHz of each recording of a split that can be read."""
    corpus = open_data(spec)
    for item in corpus.of_split(split):
        try:
            piece = item.loader()
        except PartimentoError:
            continue  # one that was not fetched
        if isinstance(piece, Audio):
            sound = resample(Audio(stereo(piece.samples), piece.sample_rate_hz), AUDIO_RATE_HZ)
            yield f"{corpus.name}/{item.group}", sound.samples


def named_clips(
    spec: str, split: str, count: int, seconds: float, seed: int = 5
) -> list[tuple[str, F32]]:
    """Return ``count`` clips of a split as (name of the recording, (2, N)), drawn evenly.

    Of a corpus of scores the clips are played.
    """
    length = round(seconds * AUDIO_RATE_HZ)
    found = [(n, x) for n, x in recordings(spec, split) if x.shape[1] >= length]
    if not found:
        made = clips(AudioData(), (spec,), split, count, length, seed)
        return [(f"{spec}/{at}", sound) for at, sound in enumerate(made)]
    draw, out = seeds.generator(seed), []
    for at in range(20 * count):
        name, sound = found[at % len(found)]
        start = int(draw.integers(sound.shape[1] - length + 1))
        part = sound[:, start : start + length]
        if np.sqrt(np.square(part).mean()) > _LEAST:
            out.append((name, part))
        if len(out) == count:
            break
    return out


def ear_of(
    train: Sequence[tuple[str, F32]], seed: int = 0, steps: int = _STEPS
) -> tuple[Ear, F32, F32]:
    """Return an ear that learnt which piece a window of mono sound is of, and what whitens it.

    As ``benchmarks.audio_embedder.load_ear``. The task makes what is alike in a piece (timbre,
    density, harmony, mix) count, and what differs between windows of one piece not.
    """
    torch.manual_seed(seed)
    draw, ear = seeds.generator(seed), Ear()
    names = sorted({name for name, _ in train})
    head = nn.Linear(WIDTH, len(names))
    adam = torch.optim.AdamW([*ear.parameters(), *head.parameters()], 2e-3, weight_decay=0.01)
    for step in range(steps):
        rows = draw.integers(len(train), size=_BATCH)
        windows, classes = [], []
        for row in rows:
            name, sound = train[int(row)]
            start = int(draw.integers(max(1, sound.shape[1] - WINDOW + 1)))
            piece = sound[:, start : start + WINDOW]
            windows.append(logmel(np.pad(piece, ((0, 0), (0, WINDOW - piece.shape[1])))))
            classes.append(names.index(name))
        said = head(ear(torch.from_numpy(np.stack(windows))[:, None]))
        loss = nn.functional.cross_entropy(said, torch.tensor(classes))
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        if step % 100 == 0:
            say(f"ear: step {step}, loss {float(loss):.2f} of {np.log(len(names)):.2f}")
    ear.eval()
    found = _embedded(ear, train, draw)
    mean = found.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(found - mean, rowvar=False) + 1e-4 * np.eye(WIDTH))
    matrix = (vectors / np.sqrt(values)).astype(np.float32)
    return ear, mean.astype(np.float32), matrix


@torch.inference_mode()
def _embedded(
    ear: Ear, train: Sequence[tuple[str, F32]], draw: np.random.Generator
) -> npt.NDArray[np.float64]:
    rows = []
    for _, sound in train:
        for start in draw.integers(max(1, sound.shape[1] - WINDOW + 1), size=4):
            piece = sound[:, start : start + WINDOW]
            rows.append(logmel(np.pad(piece, ((0, 0), (0, WINDOW - piece.shape[1])))))
    whole = torch.from_numpy(np.stack(rows))[:, None]
    return torch.cat([ear(part) for part in whole.split(64)]).double().numpy()

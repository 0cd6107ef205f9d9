"""A small ear: four seconds of sound to 32 numbers, for the Frechet distance between sounds.

It knows no codec and no generator. It was trained apart, on scores of many kinds played by the
built-in synthesiser on many programs, to hear what plays (program), which pitch classes how much,
how many notes begin, how many sound at once and how high; and to tell eight states of a sound:
whole, shuffled, noisy, with random phases, dull, two keys at once, out of tune in waves, stuck.
Its numbers are whitened on the held-out whole sounds of its own data.

Train it anew (a quarter of an hour on one core; the last line tells what it hears on held-out
scores)::

    python -m benchmarks.audio_embedder
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.audio_clips import F32, played
from benchmarks.harness import Options, say, start
from partimento import seeds
from partimento.analysis.stft import mel_matrix, short_time_spectra
from partimento.files import open_corpus
from partimento.music import Score, Timeline
from partimento.music.transform import crop
from partimento.representations.spectra import Framing, analyse, synthesise
from partimento.runtime.audio.presets import AudioData

__all__ = ["WIDTH", "WINDOW", "Ear", "embed", "load_ear"]

WEIGHTS = Path(__file__).parent / "models" / "audio-embedder.npz"
RATE, HOP, BANDS, FRAMES = 44_100, 1024, 80, 176
WINDOW = HOP * FRAMES  # samples: 4.09 s
WIDTH = 32
CORPORA = ("jsb_chorales", "nottingham", "openscore_lieder", "groove_midi", "chopin_first_editions")
PROGRAMS = (0, 6, 11, 19, 24, 42, 48, 52, 61, 71, 73, 89)
STATES = ("whole", "shuffled", "noisy", "phases", "dull", "two keys", "waves", "stuck")
PIECES, PIECE_SECONDS = 90, 24.0
STEPS, BATCH, RATE_LEARNT = 2500, 48, 2e-3


class Ear(nn.Module):
    """Log-mel windows (B, 1, bands, frames) to (B, WIDTH)."""

    def __init__(self) -> None:
        super().__init__()
        widths = (1, 16, 32, 48, 64)
        self.layers = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(4, width) for width in widths[1:])
        self.join = nn.Linear(64 * BANDS // 16, 96)
        self.embed = nn.Linear(192, WIDTH)
        self.tell = nn.Linear(WIDTH, len(PROGRAMS) + 1 + len(STATES) + 12 + 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return the embeddings."""
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = F.gelu(norm(layer(x)))
        x = F.gelu(self.join(x.flatten(1, 2).transpose(1, 2)))
        out: Tensor = self.embed(torch.cat([x.mean(1), x.std(1)], dim=1))
        return out


def logmel(samples: F32) -> F32:
    """Return (bands, frames) of samples (C, N): logarithms of mel bands of the mean, about -1..1.

    Levels are relative to the window's own, so that the ear hears how it sounds, not how loud.
    """
    mono = samples.mean(axis=0, keepdims=True, dtype=np.float32)
    mono = mono / np.float32(max(float(np.sqrt(np.square(mono).mean())), 1e-4) * 10)
    spectra = np.abs(short_time_spectra(mono, 2048, HOP))[0, : mono.shape[1] // HOP]
    bands = (spectra / np.float32(512)) @ mel_matrix(RATE, 2048, BANDS, 30.0, 16_000.0).T
    out: F32 = (np.log(bands + np.float32(1e-5)) + 6).T / np.float32(4)
    return np.ascontiguousarray(out, dtype=np.float32)


def load_ear(path: Path = WEIGHTS) -> tuple[Ear, F32, F32]:
    """Return the ear that was trained, and what whitens it: a mean and a matrix."""
    with np.load(path, allow_pickle=False) as arrays:
        found = {name: torch.tensor(arrays[name].astype(np.float32)) for name in arrays.files}
    mean, matrix = (found.pop(name).numpy() for name in ("mean", "matrix"))
    ear = Ear()
    ear.load_state_dict(found)
    return ear.eval(), mean, matrix


@torch.inference_mode()
def embed(
    sounds: Sequence[F32], ear: tuple[Ear, F32, F32], step: int = WINDOW // 2
) -> npt.NDArray[np.float64]:
    """Return (windows, WIDTH) of the windows of sounds (2, N) at 44.1 kHz, ``step`` apart.

    Windows that are near silence (-60 dBFS) are left out.
    """
    windows = [
        logmel(piece)
        for sound in sounds
        for at in range(0, sound.shape[1] - WINDOW + 1, step)
        if float(np.square(piece := sound[:, at : at + WINDOW]).mean()) > 1e-6
    ]
    if not windows:
        return np.zeros((0, WIDTH))
    net, mean, matrix = ear
    whole = torch.from_numpy(np.stack(windows))[:, None]
    found = torch.cat([net(part) for part in whole.split(64)]).numpy()
    out: npt.NDArray[np.float64] = ((found - mean) @ matrix).astype(np.float64)
    return out


@dataclass
class Lesson:
    """Windows and what is to be heard in them: targets (n, 16) and classes (n, 2)."""

    windows: list[npt.NDArray[np.float16]]
    numbers: list[F32]
    classes: list[tuple[int, int]]

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return them stacked."""
        return (
            torch.from_numpy(np.stack(self.windows)),
            torch.from_numpy(np.stack(self.numbers)),
            torch.tensor(self.classes),
        )


def numbers_of(score: Score, begin: float, seconds: float) -> F32:
    """Return (16,): shares of pitch classes, onsets a second, notes at once, pitch, its spread."""
    timeline, shares = Timeline(score), np.zeros(12)
    onsets, lengths, pitches = 0, 0.0, []
    for track in score.tracks:
        for note in track.notes:
            at, to = (float(timeline.seconds(t)) for t in (note.onset_ticks, note.end_ticks))
            sounding = min(to, begin + seconds) - max(at, begin)
            if sounding <= 0:
                continue
            onsets += at >= begin
            lengths += sounding
            if not track.is_drum:
                shares[note.pitch % 12] += sounding
                pitches.append(note.pitch)
    middle = np.mean(pitches) if pitches else 60.0
    spread = np.std(pitches) if pitches else 0.0
    more = [np.log1p(onsets / seconds), np.log1p(lengths / seconds), (middle - 60) / 12, spread / 6]
    return np.concatenate([shares / max(shares.sum(), 1e-9) * 3, more]).astype(np.float32)


def spoilt(window: F32, other: F32, state: int, draw: np.random.Generator) -> F32:
    """Return a window (2, N) in one of STATES."""
    name, length = STATES[state], window.shape[1]
    level = float(np.sqrt(np.square(window).mean())) + 1e-6
    if name == "shuffled":
        size = int(draw.integers(2048, 20_000))
        parts = [window[:, at : at + size] for at in range(0, length, size)]
        return np.concatenate([parts[i] for i in draw.permutation(len(parts))], axis=1)
    if name == "noisy":
        noise = draw.standard_normal(window.shape)
        return window + (noise * level * 10 ** (-draw.uniform(5, 30) / 20)).astype(np.float32)
    if name == "phases":
        framing = Framing(*((2048, 512), (4096, 1024), (8192, 2048))[draw.integers(3)])
        spectra = analyse(window, framing)
        turn = np.exp(2j * np.pi * draw.random(spectra.shape)).astype(np.complex64)
        return synthesise(np.abs(spectra) * turn, framing)[:, :length]
    if name == "dull":
        spectra = np.fft.rfft(window)
        cut = int(draw.uniform(1000, 5000) * length / RATE)
        spectra[:, cut:] = 0
        return np.fft.irfft(spectra, length).astype(np.float32)
    if name == "two keys":
        ratio = 2 ** (draw.choice([-6, -5, -3, -1, 1, 3, 5, 6]) / 12)
        places = (np.arange(length) * ratio) % (length - 1)
        return window + np.stack([np.interp(places, np.arange(length), c) for c in other])
    if name == "waves":
        wave = np.cumsum(np.sin(2 * np.pi * draw.uniform(1, 7) * np.arange(length) / RATE))
        places = np.arange(length) + wave * draw.uniform(0.01, 0.06)
        return np.stack([np.interp(places, np.arange(length), c) for c in window])
    if name == "stuck":
        size, at = int(draw.integers(4000, 30_000)), int(draw.integers(0, length - 30_000))
        return window[:, at + np.arange(length) % size]
    return window


def lessons(split: str, pieces: int, draw: np.random.Generator) -> Iterator[Any]:
    """Yield (window, numbers, program, state) of scores played on all kinds of programs."""
    before: F32 | None = None
    for name in CORPORA:
        began, done = time.monotonic(), 0
        for _, score in open_corpus(name).pieces(split):
            if not isinstance(score, Score) or not score.notes:
                continue
            done += 1
            program = int(draw.integers(len(PROGRAMS)))
            data = AudioData(programs=((PROGRAMS[program],),), velocity=(40, 110))
            end = min(score.length_ticks, int(64 * score.ticks_per_quarter))
            other, sound = played(crop(score, 0, end), data, draw)
            drums = all(track.is_drum for track in other.tracks)
            for at in range(0, min(sound.shape[1], int(PIECE_SECONDS * RATE)) - WINDOW, WINDOW):
                window = sound[:, at : at + WINDOW]
                if np.square(window).mean() < 1e-6:
                    continue
                numbers = numbers_of(other, at / RATE, WINDOW / RATE)
                which = len(PROGRAMS) if drums else program
                yield logmel(window), numbers, which, 0
                state = int(draw.integers(1, len(STATES)))
                bad = spoilt(window, window if before is None else before, state, draw)
                yield logmel(bad.astype(np.float32)), numbers, which, state
                before = window
            if done == pieces:
                break
        say(f"{name}, {split}: {done} pieces, {time.monotonic() - began:.0f} s")


def taught(split: str, pieces: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return windows, numbers and classes of a split."""
    lesson = Lesson([], [], [])
    for window, numbers, program, state in lessons(split, pieces, seeds.generator(seed)):
        lesson.windows.append(window.astype(np.float16))
        lesson.numbers.append(numbers)
        lesson.classes.append((program, state))
    return lesson.tensors()


def told(ear: Ear, embeddings: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the logits of programs and of states, and the numbers."""
    said = ear.tell(F.gelu(embeddings))
    programs, states = len(PROGRAMS) + 1, len(STATES)
    return tuple(said.split([programs, states, said.shape[1] - programs - states], dim=1))  # type: ignore[return-value]


def loss_of(ear: Ear, windows: Tensor, numbers: Tensor, classes: Tensor) -> Tensor:
    """Return what is to be made small; a spoilt sound's notes need not be heard."""
    program, state, said = told(ear, ear(windows))
    clean = (classes[:, 1:] == 0).float()
    far = ((said - numbers).square().mean(1, keepdim=True) * (0.2 + 0.8 * clean)).mean()
    return F.cross_entropy(program, classes[:, 0]) + F.cross_entropy(state, classes[:, 1]) + 4 * far


def train(windows: Tensor, numbers: Tensor, classes: Tensor, steps: int) -> Ear:
    """Return an ear taught on these windows, shifted by some frames and bands each time."""
    torch.manual_seed(5)
    draw = seeds.generator(6)
    ear = Ear()
    optimizer = torch.optim.AdamW(ear.parameters(), RATE_LEARNT, weight_decay=0.02)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE_LEARNT, steps)
    for step in range(steps):
        rows = torch.from_numpy(draw.integers(0, len(windows), BATCH))
        x = windows[rows].float()[:, None]
        x = torch.roll(x, int(draw.integers(-40, 41)), dims=3) + 0.1 * torch.randn(BATCH, 1, 1, 1)
        loss = loss_of(ear, x, numbers[rows], classes[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        plan.step()
        if step % 100 == 0 or step == steps - 1:
            say(f"step {step}: {loss.item():.3f}")
    return ear.eval()


@torch.inference_mode()
def run(options: Options) -> dict[str, Any]:
    """Teach, write the weights, and tell what is heard on held-out scores."""
    torch.set_num_threads(int(options.more.get("threads") or 1))
    quick = options.quick
    with torch.inference_mode(False):
        ear = train(*taught("train", 2 if quick else PIECES, 1), 20 if quick else STEPS)
    windows, numbers, classes = taught("valid", 2 if quick else 20, 2)
    found = torch.cat([ear(part.float()[:, None]) for part in windows.split(64)])
    program, state, said = told(ear, found)
    whole = classes[:, 1] == 0
    mean, covariance = found[whole].mean(0).double(), torch.cov(found[whole].T.double())
    values, vectors = torch.linalg.eigh(covariance)
    matrix = vectors @ torch.diag((values + 0.01 * values.mean()).rsqrt()) @ vectors.T
    path = Path(options.more.get("out") or (WEIGHTS if not quick else "audio-embedder-quick.npz"))
    kept = {name: value.half().numpy() for name, value in ear.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, mean=mean.float().numpy(), matrix=matrix.float().numpy(), **kept)
    variance = numbers[whole].var(0)
    errors = (said - numbers)[whole].square().mean(0) / variance.clamp_min(1e-6)
    return {
        "parameters": sum(p.numel() for p in ear.parameters()),
        "bytes": path.stat().st_size,
        "windows": len(windows),
        "program_accuracy": round(
            float((program.argmax(1) == classes[:, 0])[whole].float().mean()), 3
        ),
        "state_accuracy": round(float((state.argmax(1) == classes[:, 1]).float().mean()), 3),
        "pitch_classes_r2": round(1 - float(errors[:12].mean()), 3),
        "density_r2": round(1 - float(errors[12]), 3),
        "at_once_r2": round(1 - float(errors[13]), 3),
    }


if __name__ == "__main__":
    start(
        __doc__,
        run,
        {"bytes": lambda size: size <= 300_000},
        {"out": "where to write the weights", "threads": "of the processor"},
    )

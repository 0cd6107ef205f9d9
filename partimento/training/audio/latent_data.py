"""Latents of a whole corpus, encoded once and kept: the latent game never touches sound.

A set is one long array with borders between clips; windows never cross a border.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from partimento.errors import FileError, TrainingError
from partimento.files.atomic import atomic_path
from partimento.training.device import autocast

__all__ = [
    "LatentSet",
    "Places",
    "SoundEncoder",
    "codec_print",
    "encode_clip",
    "encode_set",
    "least_latents",
    "load_latents",
    "save_latents",
]

F32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

_SEGMENT = 256  # latents encoded at once: memory does not grow with the length of a file
_CONTEXT = 48  # latents before a segment, more than the encoder can remember
_LENGTHS = (256, 192, 128, 96, 64, 48, 32)
_USABLE = 0.7  # of all latents must lie in clips that hold a window


class SoundEncoder(Protocol):
    """What makes latents of sound and sound of latents, batch first."""

    def encode(self, samples: Tensor) -> Tensor:
        """Return (B, n, L) of samples (B, 2, n * latent_samples)."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Return samples (B, 2, n * latent_samples) of (B, n, L)."""
        ...


@dataclass(frozen=True)
class LatentSet:
    """Latents (N, L) and conditions (N, C) of clips; clip c is ``borders[c]`` to the next one."""

    latents: npt.NDArray[np.float16]
    conditions: npt.NDArray[np.float16]
    borders: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.latents)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Latents of each clip."""
        return np.diff(self.borders)

    def crop_that_fits(self, wished: int, step: int) -> int:
        """Return the longest window up to ``wished`` that most of the music can fill.

        Raises:
            TrainingError: if the clips are too short for any.
        """
        tried = _crops(wished, step)
        for length in tried:
            if self.lengths[self.lengths >= length].sum() >= _USABLE * max(1, len(self)):
                return length
        longest = int(self.lengths.max(initial=0))
        fitting = [n for n in tried if n <= longest]
        if not fitting:
            raise TrainingError(
                f"the longest clip has {longest} latents and the game needs {min(tried)}: "
                "train on longer recordings"
            )
        return fitting[0]

    def starts(self, length: int) -> tuple[Ints, Ints]:
        """Return, of clips that hold a window, their numbers and running counts of its places."""
        clips = np.flatnonzero(self.lengths >= length)
        return clips, np.cumsum(self.lengths[clips] - length + 1)

    def draw(self, draw: np.random.Generator, count: int, length: int) -> Places:
        """Return where windows of a length begin; every place of every clip is as likely.

        Raises:
            TrainingError: if no clip is long enough.
        """
        clips, running = self.starts(length)
        if not len(clips):
            raise TrainingError(f"no clip has {length} latents; train on longer recordings")
        return self._places(clips, running, draw.integers(running[-1], size=count))

    def spread(self, count: int, length: int) -> Places:
        """Return as ``draw`` places at equal distances, at most ``count``."""
        clips, running = self.starts(length)
        whole = int(running[-1]) if len(running) else 0
        chosen = np.unique(np.linspace(0, whole - 1, min(count, whole)).astype(np.int64))
        return self._places(clips, running, chosen)

    def _places(self, clips: Ints, running: Ints, chosen: Ints) -> Places:
        """Return the chosen ones of all places that ``starts`` counts."""
        row = np.searchsorted(running, chosen, side="right")
        before = np.concatenate([np.zeros(1, dtype=np.int64), running])[row]
        first, last = self.borders[clips[row]], self.borders[clips[row] + 1]
        return Places(*(torch.from_numpy(each) for each in (first + chosen - before, first, last)))


class Places(NamedTuple):
    """Where windows begin, and where their clips begin and end: (B,) each."""

    start: Tensor
    first: Tensor
    last: Tensor

    def inside(self, values: Tensor, length: int) -> Tensor:
        """Return (B, length, n) of values (N, n), in fp32."""
        at = self.start[:, None] + torch.arange(length, device=self.start.device)
        return values[at].float()

    def around(self, values: Tensor, length: int, margin: int) -> Tensor:
        """Return (B, length + 2 margin, n); what lies beyond a clip's ends is as its ends."""
        at = torch.arange(-margin, length + margin, device=self.start.device)
        at = torch.maximum(self.start[:, None] + at, self.first[:, None])
        return values[torch.minimum(at, self.last[:, None] - 1)].float()

    def to(self, device: torch.device) -> Places:
        """Return the same on a device."""
        return Places(*(each.to(device) for each in self))


def least_latents(wished: int, step: int) -> int:
    """Return how long a clip must be at least for ``LatentSet.crop_that_fits`` to find a window."""
    return min(_crops(wished, step))


def _crops(wished: int, step: int) -> list[int]:
    return [wished, *(n for n in _LENGTHS if n < wished and n % step == 0)]


def codec_print(codec: nn.Module) -> str:
    """Return what identifies these weights of a codec."""
    digest = hashlib.sha256()
    for name, value in sorted(codec.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()


def encode_clip(
    codec: SoundEncoder, samples: F32, latent_samples: int, device: torch.device
) -> F32:
    """Return (n, L) of samples (2, N): segment by segment, with what the encoder remembers."""
    count = samples.shape[1] // latent_samples
    out = []
    for start in range(0, count, _SEGMENT):
        before = max(0, start - _CONTEXT)
        stop = min(count, start + _SEGMENT)
        part = np.ascontiguousarray(samples[:, before * latent_samples : stop * latent_samples])
        with torch.no_grad(), autocast(device, enabled=False):
            made = codec.encode(torch.from_numpy(part.astype(np.float32))[None].to(device))
        out.append(made[0, start - before :].float().cpu().numpy())
    return np.concatenate(out) if out else np.zeros((0, 1), dtype=np.float32)


def encode_set(
    codec: nn.Module,
    clips: Sequence[tuple[Callable[[], F32], F32]],
    latent_samples: int,
    report: Callable[[int], None] = lambda _done: None,
) -> LatentSet:
    """Return all clips encoded; each is (its samples (2, N) when asked, its conditions (n, C)).

    Raises:
        TrainingError: if the codec gives what is no number.
    """
    device = next(codec.parameters()).device
    latents, conditions, borders = [], [], [0]
    was_training = codec.training
    codec.eval()
    try:
        for number, (samples, conditions_here) in enumerate(clips):
            made = encode_clip(codec, samples(), latent_samples, device)  # type: ignore[arg-type]
            count = min(len(made), len(conditions_here))
            if not count:
                continue
            if not np.isfinite(made).all():
                raise TrainingError("the codec gives values that are not finite; train it again")
            latents.append(made[:count].astype(np.float16))
            conditions.append(np.asarray(conditions_here[:count]).astype(np.float16))
            borders.append(borders[-1] + count)
            report(number + 1)
    finally:
        codec.train(was_training)
    if not latents:
        empty = np.zeros((0, 1), dtype=np.float16)
        return LatentSet(empty, empty, np.array([0]))
    return LatentSet(np.concatenate(latents), np.concatenate(conditions), np.array(borders))


def save_latents(folder: Path, split: str, found: LatentSet, made_with: str) -> None:
    """Keep a set under ``folder``; see ``load_latents``.

    Raises:
        TrainingError: if the disk is full or the folder cannot be written.
    """
    head: dict[str, Any] = {"made_with": made_with, "borders": found.borders.tolist()}
    try:
        for name, array in (("latents", found.latents), ("conditions", found.conditions)):
            with (
                atomic_path(folder / f"{name}_{split}.npy") as temporary,
                temporary.open("wb") as f,
            ):
                np.save(f, array, allow_pickle=False)
        with atomic_path(folder / f"latents_{split}.json") as temporary:
            temporary.write_text(json.dumps(head) + "\n", encoding="utf-8")
    except FileError as error:
        raise TrainingError(
            f"the latents could not be kept: {error}; then go on with --resume"
        ) from None


def load_latents(folder: Path, split: str, made_with: str | None = None) -> LatentSet | None:
    """Return a kept set; None if there is none, or other weights of the codec made it."""
    try:
        head = json.loads((folder / f"latents_{split}.json").read_text(encoding="utf-8"))
        if made_with is not None and head["made_with"] != made_with:
            return None
        arrays = [
            np.load(folder / f"{name}_{split}.npy", mmap_mode=None, allow_pickle=False)
            for name in ("latents", "conditions")
        ]
        borders = np.array(head["borders"], dtype=np.int64)
    except (OSError, ValueError, KeyError, EOFError):
        return None
    if {len(each) for each in arrays} != {int(borders[-1])}:
        return None  # a kill came between two files
    return LatentSet(arrays[0], arrays[1], borders)

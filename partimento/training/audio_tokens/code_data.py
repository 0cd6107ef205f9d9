"""Codes of a whole corpus, encoded once and kept: priors never touch sound.

A set holds tracks; a window never crosses from one into another, and begins at a whole code of the
coarsest level, so that what stands above a window is whole codes as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from partimento.errors import FileError, TrainingError
from partimento.files.atomic import atomic_path
from partimento.representations.sound_labels import Labels, labels_of_name
from partimento.training.audio.data import AudioClip
from partimento.training.device import autocast
from partimento.training.nn.spectral_vqvae import SpectralVQVAE

__all__ = ["CodeSet", "CodedTrack", "encode_tracks", "load_codes", "save_codes"]

Ints = npt.NDArray[np.int64]
_SEGMENT, _CONTEXT = 96, 12  # codes of the coarsest level encoded at once, and what is before them


@dataclass(frozen=True, eq=False)
class CodedTrack:
    """Codes of one recording by level, the finest first, and its labels."""

    name: str
    codes: tuple[Ints, ...]

    @property
    def labels(self) -> Labels:
        """Who made it, and what it is."""
        return labels_of_name(self.name)


@dataclass(frozen=True, eq=False)
class CodeSet:
    """The tracks of one split; ``hops`` are samples a code, by level."""

    tracks: tuple[CodedTrack, ...]
    hops: tuple[int, ...]

    def __len__(self) -> int:
        return sum(len(track.codes[-1]) for track in self.tracks)

    def draw(
        self, draw: np.random.Generator, count: int, level: int, window: int
    ) -> list[tuple[int, int]]:
        """Return ``count`` windows as (track, first code of a level); every place is as likely."""
        starts = self._starts(level, window)
        chosen = draw.integers(len(starts), size=count)
        return [starts[at] for at in chosen]

    def spread(self, count: int, level: int, window: int) -> list[tuple[int, int]]:
        """Return at most ``count`` windows at equal distances."""
        starts = self._starts(level, window)
        chosen = np.unique(np.linspace(0, len(starts) - 1, min(count, len(starts))).astype(int))
        return [starts[at] for at in chosen]

    def _starts(self, level: int, window: int) -> list[tuple[int, int]]:
        each = self.hops[-1] // self.hops[level]  # codes to one of the coarsest
        out = []
        for at, track in enumerate(self.tracks):
            room = max(0, len(track.codes[level]) - window) // each
            out += [(at, start * each) for start in range(room + 1)]
        return out


def encode_tracks(
    codecs: Sequence[SpectralVQVAE],
    clips: Sequence[AudioClip],
    report: Callable[[int], None] = lambda _done: None,
) -> CodeSet:
    """Return all clips encoded, those of one recording joined in order."""
    hops = codecs[0].config.hops
    was = [codec.training for codec in codecs]
    for codec in codecs:
        codec.eval()
    joined: dict[str, list[tuple[Ints, ...]]] = {}
    try:
        for done, clip in enumerate(clips):
            joined.setdefault(clip.group, []).append(_encoded(codecs, clip))
            report(done + 1)
    finally:
        for codec, training in zip(codecs, was, strict=True):
            codec.train(training)
    tracks = [
        CodedTrack(name, tuple(np.concatenate(each) for each in zip(*parts, strict=True)))
        for name, parts in joined.items()
    ]
    return CodeSet(tuple(track for track in tracks if len(track.codes[-1])), hops)


def _encoded(codecs: Sequence[SpectralVQVAE], clip: AudioClip) -> tuple[Ints, ...]:
    """Return the codes of a clip by level, encoded in segments with what is around them."""
    hops = codecs[0].config.hops
    step, device = hops[-1], next(codecs[0].parameters()).device
    count = clip.latents
    out: list[list[Ints]] = [[] for _ in codecs]
    for start in range(0, count, _SEGMENT):
        before, stop = min(start, _CONTEXT), min(count, start + _SEGMENT)
        last = min(count, stop + _CONTEXT)
        samples = clip.samples(start - before, last - start + before).mean(0)
        with torch.no_grad(), autocast(device, enabled=False):
            sound = torch.from_numpy(samples)[None].to(device)
            for level, codec in enumerate(codecs):
                each = step // hops[level]
                codes = codec.encode(sound)[0].cpu().numpy()
                out[level].append(codes[before * each : (before + stop - start) * each])
    return tuple(np.concatenate(each) for each in out)


def save_codes(folder: Path, split: str, found: CodeSet, made_with: str) -> None:
    """Keep a set under ``folder``; see ``load_codes``.

    Raises:
        TrainingError: if the disk is full or the folder cannot be written.
    """
    arrays: dict[str, Any] = {
        f"{at}_{level}": codes.astype(np.int32)
        for at, track in enumerate(found.tracks)
        for level, codes in enumerate(track.codes)
    }
    arrays["names"] = np.array([track.name for track in found.tracks] or [""])
    arrays |= {"made_with": np.array(made_with), "hops": np.array(found.hops)}
    try:
        with atomic_path(folder / f"codes_{split}.npz") as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)
    except FileError as error:
        raise TrainingError(
            f"the codes could not be kept: {error}; then go on with --resume"
        ) from None


def load_codes(folder: Path, split: str, made_with: str) -> CodeSet | None:
    """Return a kept set; None if there is none, or other weights of the codecs made it."""
    try:
        with np.load(folder / f"codes_{split}.npz", allow_pickle=False) as arrays:
            if str(arrays["made_with"]) != made_with:
                return None
            hops = tuple(int(hop) for hop in arrays["hops"])
            tracks = [
                CodedTrack(
                    str(name),
                    tuple(arrays[f"{at}_{level}"].astype(np.int64) for level in range(len(hops))),
                )
                for at, name in enumerate(arrays["names"])
                if name
            ]
    except (OSError, ValueError, KeyError, EOFError):
        return None
    return CodeSet(tuple(tracks), hops)

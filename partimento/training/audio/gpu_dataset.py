"""A whole set of sound in the memory of a GPU, so that no step waits for the disk."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from partimento.training.device import free_bytes

__all__ = ["ResidentSound"]

_MOST_BYTES = 24 * 2**30
_SHARE = 0.3  # of the memory that is free


class ResidentSound:
    """Clips as 16-bit samples on one device; false where a set is read from the disk instead."""

    def __init__(self, samples: Tensor, borders: np.ndarray[Any, Any], latent_samples: int) -> None:
        self.samples, self.borders, self.latent_samples = samples, borders, latent_samples

    def __bool__(self) -> bool:
        return len(self.samples) > 0

    @classmethod
    def of(cls, sounds: Any, device: torch.device) -> ResidentSound:
        """Return the clips of an ``AudioSet`` on a GPU that has room; else nothing."""
        nothing = cls(torch.zeros(0, 2, dtype=torch.int16), np.zeros(1, dtype=np.int64), 1)
        sizes = [clip.latents * clip.latent_samples for clip in getattr(sounds, "clips", ())]
        borders = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        if not sizes or borders[-1] * 4 > min(_MOST_BYTES, _SHARE * free_bytes(device)):
            return nothing
        samples = torch.empty(int(borders[-1]), 2, dtype=torch.int16, device=device)
        for clip, start, end in zip(sounds.clips, borders[:-1], borders[1:], strict=True):
            first = clip.first * clip.latent_samples
            whole = np.load(clip.path, mmap_mode="r", allow_pickle=False)
            part = np.array(whole[first : first + int(end - start)])
            samples[start:end] = torch.from_numpy(part).to(device)
        return cls(samples, borders, sounds.latent_samples)

    def crops(self, draw: np.random.Generator, count: int, latents: int) -> Tensor:
        """Return (count, 2, latents * latent_samples); as ``AudioSet.crops`` draws."""
        length = latents * self.latent_samples
        sizes = np.diff(self.borders)
        chance = np.where(sizes >= length, sizes - length + self.latent_samples, 0)
        if not chance.any():  # every clip is shorter: silence follows it
            chance = sizes
        chosen = draw.choice(len(sizes), size=count, p=chance / chance.sum())
        room = np.maximum(0, sizes[chosen] - length)
        start = torch.from_numpy(self.borders[chosen] + draw.integers(room + 1))
        end = torch.from_numpy(self.borders[chosen + 1])
        device = self.samples.device
        at = start.to(device)[:, None] + torch.arange(length, device=device)
        inside = (at < end.to(device)[:, None])[..., None]
        found = self.samples[at.clamp(max=len(self.samples) - 1)] * inside
        return found.transpose(1, 2).float() * (1 / 32767)

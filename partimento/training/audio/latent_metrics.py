"""How far made latents lie from held-out ones.

``Reference.figures`` compares crowds as Gaussians (Frechet distances), latents standardised:

- ``frechet_steps``: each latent beside its change from the one before;
- ``frechet_windows``: means, deviations and sizes of changes over three seconds.

Both are shares of the variance of what is held out: 0 is equal, 1 as far as music is from music.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from partimento.metrics.audio_distances import frechet_distance

__all__ = ["Reference"]

F32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

_WINDOW = 32
_AXES = 48  # along which windows of real music differ most


class Reference:
    """Held-out windows (n, T, L) to hold made ones against.

    ``floor`` is how far music that is learnt from lies from what is held out.
    """

    def __init__(self, seen: F32, held: F32, mean: F32, deviation: F32) -> None:
        self.mean, self.deviation = mean, deviation
        whole = self._windows(seen)
        _, vectors = np.linalg.eigh(np.cov(whole.T))
        self.axes = vectors[:, -_AXES:]
        self.held = self._steps(held), self._windows(held) @ self.axes
        every = max(1, len(seen) // len(held))
        self.floor = self._distances(seen[::every][: len(held)])

    def figures(self, made: F32) -> dict[str, float]:
        """Return the distances of made windows (n, T, L); ``loss`` is the sum of their roots."""
        found = self._distances(made)
        return {"loss": float(sum(value**0.5 for value in found.values())), **found}

    def _distances(self, made: F32) -> dict[str, float]:
        crowds = self._steps(made), self._windows(made) @ self.axes
        return {
            f"frechet_{name}": frechet_distance(crowd, held) / float(held.var(axis=0).sum())
            for name, crowd, held in zip(("steps", "windows"), crowds, self.held, strict=True)
        }

    def _standard(self, values: F32) -> Floats:
        return ((values - self.mean) / self.deviation).astype(np.float64)

    def _steps(self, values: F32) -> Floats:
        """Return (n, 2 L)."""
        x = self._standard(values)
        change = np.diff(x, axis=1)
        return np.concatenate([x[:, 1:], change], axis=-1).reshape(-1, 2 * x.shape[-1])

    def _windows(self, values: F32) -> Floats:
        """Return (n, 3 L)."""
        x = self._standard(values)
        size = min(_WINDOW, x.shape[1])
        rows = []
        for start in range(0, x.shape[1] - size + 1, size):
            part = x[:, start : start + size]
            change = np.abs(np.diff(part, axis=1)).mean(axis=1)
            rows.append(np.concatenate([part.mean(axis=1), part.std(axis=1), change], axis=-1))
        return np.concatenate(rows)

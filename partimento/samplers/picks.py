"""Picks: one token from logits, by temperature, top-k, top-p and min-p, under a mask.

The order is that of the usual libraries: the mask first, then the temperature, then top-k, top-p
(Holtzman et al. 2019, arXiv 1904.09751) over what top-k left, and min-p (Nguyen et al. 2024,
arXiv 2407.01082). Since the mask comes first and each of the others keeps the likeliest token,
an allowed token is always left. Tokens as likely as the last one kept are kept too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from partimento.errors import ConfigError, ModelError

__all__ = ["GREEDY_BELOW", "Pick"]

GREEDY_BELOW = 1e-4  # temperatures below this take the likeliest token

_INF = float("inf")


@dataclass(frozen=True, slots=True)
class Pick:
    """How to pick a token.

    ``temperature`` is 0 or more (below ``GREEDY_BELOW``: the likeliest token), ``top_k`` keeps so
    many likeliest tokens (0: all), ``top_p`` the likeliest tokens of this mass (1: all), ``min_p``
    those of at least this share of the likeliest (0: all).

    Raises:
        ConfigError: if a value lies outside its range.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.temperature < _INF:
            raise ConfigError("temperature", f"is 0 or more, not {self.temperature}")
        if self.top_k < 0:
            raise ConfigError("top_k", f"is 0 (all) or more, not {self.top_k}")
        if not 0.0 < self.top_p <= 1.0:
            raise ConfigError("top_p", f"is above 0 and at most 1, not {self.top_p}")
        if not 0.0 <= self.min_p < 1.0:
            raise ConfigError("min_p", f"is at least 0 and below 1, not {self.min_p}")

    def __call__(
        self,
        logits: npt.NDArray[np.float32],
        allowed: npt.NDArray[np.bool_] | None,
        rng: np.random.Generator,
    ) -> int:
        """Return a token of ``logits`` (V,), drawn among those that ``allowed`` (V,) holds true.

        One number is drawn from ``rng`` for each pick, none where the temperature is below
        ``GREEDY_BELOW``.

        Raises:
            ModelError: if a logit is NaN, or no token is allowed.
        """
        if np.isnan(logits[logits.argmax()]):  # argmax stops at the first NaN
            raise ModelError("the model gave NaN for a token; its weights are broken, export again")
        if allowed is not None:
            logits = np.where(allowed, logits, -_INF)
        best = int(logits.argmax())
        top = float(logits[best])
        if top == -_INF:
            return _any_of(logits, allowed, rng)
        if self.temperature < GREEDY_BELOW or top == _INF:
            return best
        weights = np.subtract(logits, top, dtype=np.float64)  # float64: no overflow, no ties
        weights /= self.temperature
        np.exp(weights, out=weights)  # the likeliest weighs 1
        floor = self._floor(weights)
        weights[weights < floor] = 0.0
        mass = weights.cumsum()
        token = int(mass.searchsorted(rng.random() * mass[-1], side="right"))
        return token if token < len(mass) else best

    def batch(
        self,
        logits: npt.NDArray[np.float32],
        allowed: Sequence[npt.NDArray[np.bool_] | None],
        rngs: Sequence[np.random.Generator],
    ) -> npt.NDArray[np.int64]:
        """Return (B,) tokens of ``logits`` (B, V), each row picked as if it were alone.

        Raises:
            ModelError: as for one row.
        """
        masked = logits
        if any(mask is not None for mask in allowed):
            masked = np.stack(
                [
                    row if mask is None else np.where(mask, row, -_INF)
                    for row, mask in zip(logits, allowed, strict=True)
                ]
            )
        best = masked.argmax(axis=1)
        top = masked[np.arange(len(masked)), best]
        if self.temperature < GREEDY_BELOW or not np.isfinite(top).all():
            # NaN, infinities and greedy picks are rare: row by row, as for one.
            rows = zip(logits, allowed, rngs, strict=True)
            return np.fromiter((self(*row) for row in rows), dtype=np.int64, count=len(logits))
        weights = np.subtract(masked, top[:, None], dtype=np.float64)
        weights /= self.temperature
        np.exp(weights, out=weights)
        floors = self._floor(weights)
        weights[weights < floors[..., None]] = 0.0
        mass = weights.cumsum(axis=1)
        drawn = np.array([rng.random() for rng in rngs]) * mass[:, -1]
        tokens = (mass <= drawn[:, None]).sum(axis=1)
        picked: npt.NDArray[np.int64] = np.where(tokens < mass.shape[1], tokens, best)
        return picked

    def _floor(self, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the least weight kept of (..., V), each likeliest weighing 1; shape (...)."""
        size = weights.shape[-1]
        floor = np.full(weights.shape[:-1], self.min_p)
        keep = self.top_k if 0 < self.top_k < size else size
        if self.top_p >= 1.0:
            if keep < size:
                floor = np.maximum(floor, np.partition(weights, size - keep)[..., size - keep])
            return floor
        ordered = np.sort(weights)[..., ::-1][..., :keep]
        mass = ordered.cumsum(axis=-1)
        before = mass < self.top_p * mass[..., -1:]
        last = np.minimum(before.sum(axis=-1), keep - 1)
        least = np.take_along_axis(ordered, np.expand_dims(last, -1), axis=-1)[..., 0]
        return np.asarray(np.maximum(floor, least))


def _any_of(
    logits: npt.NDArray[np.float32],
    allowed: npt.NDArray[np.bool_] | None,
    rng: np.random.Generator,
) -> int:
    """Return any allowed token, all being as likely: the model gave each of them -inf."""
    choices = np.arange(len(logits)) if allowed is None else np.flatnonzero(allowed)
    if not len(choices):
        raise ModelError("no token is allowed here; the constraint is at a dead end")
    return int(choices[int(rng.integers(len(choices)))])

"""The controls of a stream of latents, and the generator's conditions at each place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import Field

from partimento.representations.latent_coordinates import LatentCoordinates
from partimento.representations.sound_conditions import (
    NEUTRAL_TEMPO,
    beat_conditions,
    density_condition,
    loudness_condition,
    tempo_condition,
)
from partimento.runtime.contract import Controls

__all__ = ["Beat", "Conditioning", "Conditions", "MusikaControls", "usual"]

F32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
_WANDER_EVERY = 96  # latents between the anchors of controls that were not given: nine seconds
_LEAST, _MOST = 0.1, 0.9  # quantiles of the data between which such controls move
_OWN = 5  # the stream of a seed that this wandering is drawn from


class MusikaControls(Controls):
    """Controls of endless sound; None is as the music was that the model learnt from."""

    variation: float = Field(
        1.0, ge=0, le=1.5, description="0 is the middle of all the music, 1 as it was, more is odd"
    )
    movement: float = Field(
        0.5, ge=0, le=1, description="how far the sound wanders: 0 of one kind for ever, 1 freely"
    )
    style: int | None = Field(
        None, ge=0, lt=2**63, description="a seed whose kind of sound is mixed in"
    )
    mix: float = Field(0.5, ge=0, le=1, description="how much of it: 0 nothing, 1 it alone")
    density: float | None = Field(None, ge=0, le=16, description="onsets a second")
    loudness: float | None = Field(None, ge=-60, le=0, description="level in dBFS (RMS)")
    tempo: float | None = Field(None, ge=40, le=240, description="beats a minute")


_UNITS = {"density": (8.0, 0.0), "loudness": (60.0, -60.0), "tempo": (120.0, 60.0)}
_BOUNDS = {"density": (0.0, 16.0), "loudness": (-60.0, 0.0), "tempo": (40.0, 240.0)}


def usual(found: Mapping[str, float], known: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return values of controls, no further out than controls that were not given move.

    ``known`` are the quantiles of each in the units of the conditions. Of silence, noise or the
    like a generator was never trained on, and what it would make of that is no music.
    """
    out: dict[str, float] = {}
    for name, value in found.items():
        low, high = _BOUNDS[name]
        quantiles = known.get(name)
        if quantiles:
            scale, zero = _UNITS[name]
            shares = np.linspace(0, 1, len(quantiles))
            low, high = np.interp((_LEAST, _MOST), shares, quantiles) * scale + zero
        out[name] = float(np.clip(value, low, high))
    return out


@dataclass(frozen=True)
class Beat:
    """Where the beat stands: ``beats`` of them have passed at latent ``place``."""

    place: int = 0
    beats: float = 0.0


@dataclass(frozen=True)
class Conditioning:
    """The conditioning of some places: conditions (n, 5); variation, movement and mix (n,)."""

    conditions: F32
    variation: F32
    movement: F32
    mix: F32

    def __len__(self) -> int:
        return len(self.conditions)

    def part(self, first: int, stop: int | None = None) -> Conditioning:
        """Return some of the places."""
        where = slice(first, stop)
        return Conditioning(
            self.conditions[where], self.variation[where], self.movement[where], self.mix[where]
        )

    def last(self, count: int) -> Conditioning:
        """Return the last ``count`` places; all, if there are fewer."""
        return self.part(max(0, len(self) - count))

    def then(self, other: Conditioning) -> Conditioning:
        """Return these places and others after them."""
        return Conditioning(
            np.concatenate([self.conditions, other.conditions]),
            np.concatenate([self.variation, other.variation]),
            np.concatenate([self.movement, other.movement]),
            np.concatenate([self.mix, other.mix]),
        )


class Conditions:
    """The conditioning at any place for given controls.

    Where nothing is wished, density and loudness wander and the tempo is drawn, each by the
    quantiles that the music had (``known``: eleven of each, in the units of the conditions). A
    density alone brings the tempo that goes along with it. In a loop of ``period`` latents the
    beats come out even.
    """

    def __init__(
        self,
        seed: int,
        known: Mapping[str, Sequence[float]],
        latent_seconds: float,
        period: int | None = None,
    ) -> None:
        self._known, self._seconds, self._period = known, latent_seconds, period
        self._path = LatentCoordinates(
            seed, coordinate=3, style=1, noise=1, anchor_every=_WANDER_EVERY, period=period
        )
        self._fixed = self._path.anchor(_OWN, 0, 1)

    def beats_per_minute(self, controls: Controls) -> float | None:
        """Return the tempo; None where neither the music nor the request gives one."""
        wished = getattr(controls, "tempo", None)
        if wished is None:
            quantiles = self._known.get("tempo") or [tempo_condition(NEUTRAL_TEMPO).item()]
            if np.ptp(quantiles) == 0 and quantiles[0] == tempo_condition(NEUTRAL_TEMPO):
                return None
            tempo = self._along(controls) or float(self._drawn("tempo", self._fixed, 0.0)[0])
            wished = 60.0 + 120.0 * tempo
        if self._period is None:
            return float(wished)
        minutes = self._period * self._seconds / 60
        return max(1, round(wished * minutes)) / minutes

    def _along(self, controls: Controls) -> float | None:
        """Return the tempo that goes along with a wished density: as unusual among the music.

        Many notes at a slow tempo are rare in the data, and rare conditions are not followed.
        """
        density = getattr(controls, "density", None)
        among, tempi = self._known.get("density"), self._known.get("tempo")
        if density is None or not among or not tempi:
            return None
        shares = np.linspace(0, 1, len(among))
        share = float(np.interp(float(density_condition(density)), among, shares))
        return float(np.interp(np.clip(share, _LEAST, _MOST), np.linspace(0, 1, len(tempi)), tempi))

    def conditioning(self, controls: Controls, start: int, stop: int, beat: Beat) -> Conditioning:
        """Return the conditioning of the places ``start`` to ``stop``."""
        middles = np.arange(start, stop, dtype=np.float64) + 0.5
        wander = self._path.coordinates(start, stop).astype(np.float64)
        out = np.empty((len(middles), 5), dtype=np.float32)
        density, loudness = (getattr(controls, name, None) for name in ("density", "loudness"))
        out[:, 0] = (
            self._drawn("density", wander[:, 0], 0.25)
            if density is None
            else density_condition(density)
        )
        out[:, 1] = (
            self._drawn("loudness", wander[:, 1], 0.6)
            if loudness is None
            else loudness_condition(loudness)
        )
        tempo = self.beats_per_minute(controls)
        out[:, 2] = tempo_condition(NEUTRAL_TEMPO if tempo is None else tempo)
        if tempo is None:
            out[:, 3:] = 0
        else:
            out[:, 3], out[:, 4] = beat_conditions(self._beats(middles, tempo, beat))
        ones = np.ones(len(middles), dtype=np.float32)
        variation = float(getattr(controls, "variation", 1.0))
        movement, mix = (float(getattr(controls, name, 0.0)) for name in ("movement", "mix"))
        return Conditioning(
            out, ones * np.float32(variation), ones * np.float32(movement), ones * np.float32(mix)
        )

    def beat_at(self, controls: Controls, place: int, beat: Beat) -> Beat:
        """Return where the beat stands at a later place, if nothing changes until then."""
        tempo = self.beats_per_minute(controls) or 0.0
        return Beat(place, float(self._beats(np.array(float(place)), tempo, beat)))

    def _beats(self, places: Floats, tempo: float, beat: Beat) -> Floats:
        out: Floats = beat.beats + (places - beat.place) * (self._seconds * tempo / 60)
        return out

    def _drawn(self, name: str, wander: Floats, otherwise: float) -> Floats:
        """Return values of a condition for normally distributed numbers."""
        quantiles = self._known.get(name)
        if not quantiles:
            return np.full(len(wander), otherwise)
        # The logistic curve is within a hundredth of the normal distribution's.
        share = np.clip(1 / (1 + np.exp(-1.702 * wander)), _LEAST, _MOST)
        return np.interp(share, np.linspace(0, 1, len(quantiles)), quantiles)

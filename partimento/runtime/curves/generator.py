"""Generators of series: their config, and the graph that plays them.

A generator turns noise, and for some what a score says of each step, into a window of curves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from partimento.runtime.model_folder import ModelFolder
from partimento.runtime.presets import Preset, TrainingConfig
from partimento.runtime.sessions import open_session

__all__ = ["SeriesGenerator", "SeriesNetwork", "SeriesPreset", "draw_grain"]

Floats = npt.NDArray[np.float32]
_DRIFTS = (0.0, 0.95, 0.0, 0.7)  # share of the noise that the next step keeps


def draw_grain(rng: np.random.Generator, windows: int, steps: int, count: int) -> Floats:
    """Return (windows, steps, count): noise for each step, of deviation 1.

    Every other number is drawn anew at each step; the others drift, one slowly, one faster, as a
    player does who is late for a while.
    """
    fresh = rng.standard_normal((windows, steps, count))
    keep = np.resize(np.array(_DRIFTS), count)
    grain = fresh.copy()
    for step in range(1, steps):
        grain[:, step] = keep * grain[:, step - 1] + np.sqrt(1 - keep**2) * fresh[:, step]
    return grain.astype(np.float32)


class SeriesNetwork(Preset):
    """Sizes of a generator and its discriminator."""

    kind: Literal["free", "scored"] = Field(
        "scored", description="free: from noise alone, as published; scored: for given onsets"
    )
    latent: int = Field(32, ge=1, description="noise of a window")
    grain: int = Field(4, ge=1, description="noise of a step; scored only")
    width: int = Field(48, ge=4)
    layers: int = Field(3, ge=1)
    heads: int = Field(4, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    discriminator_width: int = Field(64, ge=4)
    discriminator_layers: int = Field(3, ge=1)
    discriminator_heads: int = Field(4, ge=1)
    discriminator_dropout: float = Field(0.1, ge=0, lt=1)
    patch: int = Field(4, ge=1, description="steps that the discriminator reads as one")

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.width % self.heads or self.discriminator_width % self.discriminator_heads:
            raise ValueError(
                f"{self.heads} heads must divide the width {self.width}, and "
                f"{self.discriminator_heads} the discriminator's {self.discriminator_width}"
            )
        return self


class SeriesPreset(Preset):
    """Everything that makes a model of curves: representation, networks, training, playing."""

    representation: dict[str, Any]
    network: SeriesNetwork = SeriesNetwork()
    training: TrainingConfig = TrainingConfig()
    discriminator_rate: float = Field(
        1.0, gt=0, description="the discriminator's learning rate over the other's"
    )
    energy: float = Field(
        0.0, ge=0, description="weight of the energy score beside the game; 0: as published"
    )
    same_hand: float = Field(
        0.5, ge=0, le=1, description="how much of a window's noise the whole piece shares"
    )
    defaults: dict[str, Any] = Field(default_factory=dict, description="controls when not given")


class SeriesGenerator:
    """Plays an exported generator; it holds weights only."""

    def __init__(self, session: Any, facts: Mapping[str, Any]) -> None:
        self.session = session
        self.latent, self.grain = int(facts["latent"]), int(facts["grain"])
        self.steps = int(facts["steps"])
        self._asked = {entry.name for entry in session.get_inputs()}

    @classmethod
    def load(
        cls, folder: ModelFolder, threads: int | None = None, precision: str = "fp32"
    ) -> SeriesGenerator:
        """Return the generator of a model folder.

        Raises:
            ModelError: if its graph is missing or cannot be read.
        """
        return cls(open_session(folder.graph(precision), threads), folder.config["network"])

    def windows(self, noise: Floats, grain: Floats, condition: Floats) -> Floats:
        """Return (windows, steps, values) from what the graph asks for.

        ``noise`` is (windows, latent), ``grain`` (windows, steps, grain), ``condition`` (windows,
        steps, features).
        """
        given = {"noise": noise, "grain": grain, "condition": condition}
        feed = {name: value for name, value in given.items() if name in self._asked}
        out: Floats = self.session.run(["values"], feed)[0]
        return out

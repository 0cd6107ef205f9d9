"""Generators of series: their config, and the graph that plays them.

A generator turns noise, and for some what a score says of each step, into a window of curves.
"""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from partimento.config import Config
from partimento.errors import ModelError
from partimento.representations.performance_curves import PerformanceCurves
from partimento.runtime.model_folder import MAIN_PART, ModelFolder
from partimento.runtime.presets import Preset, TrainingConfig
from partimento.runtime.sessions import Dims, Session, open_session

__all__ = ["SeriesFacts", "SeriesGenerator", "SeriesNetwork", "SeriesPreset", "draw_grain"]

Floats = npt.NDArray[np.float32]
_DRIFTS = (0.0, 0.95, 0.0, 0.7)  # share of the noise that the next step keeps


def draw_grain(rng: np.random.Generator, windows: int, steps: int, count: int) -> Floats:
    """Return (windows, steps, count): noise for each step, of deviation 1.

    Every other number is redrawn at each step; the others drift, one slowly, one faster, as a
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


class SeriesFacts(Config):
    """What a model's config says of a generator of series."""

    kind: Literal["free", "scored"]
    latent: int = Field(ge=1, le=1 << 16, description="noise numbers of a window")
    grain: int = Field(ge=1, le=4096, description="noise numbers of a step")
    steps: int = Field(ge=4, le=1024, description="of a window")
    level: float = Field(ge=0, le=1, description="mean velocity of the training music, 0..1")
    same_hand: float = Field(ge=0, le=1, description="share of the noise that windows share")


class SeriesGenerator:
    """Plays an exported generator; it holds weights only.

    Raises:
        ModelError: if the graph is not what the config says.
    """

    def __init__(self, session: Session, facts: SeriesFacts, curves: PerformanceCurves) -> None:
        if facts.steps != curves.steps:
            raise ModelError(
                f"the config says {facts.steps} steps for the network and {curves.steps} for the "
                "representation; install the model again"
            )
        self.session = session
        self.latent, self.grain, self.steps = facts.latent, facts.grain, facts.steps
        asked: dict[str, Dims] = {"noise": ("float", (None, facts.latent))}
        # A free generator makes its own onsets: velocity, offset and onset of one channel.
        values = 3
        if facts.kind == "scored":
            asked["grain"] = ("float", (None, facts.steps, facts.grain))
            asked["condition"] = ("float", (None, facts.steps, curves.feature_count))
            values = 2 * curves.channel_count
        session.require(asked, {"values": ("float", (None, facts.steps, values))})
        self._asked = set(asked)

    @classmethod
    def load(
        cls,
        folder: ModelFolder,
        curves: PerformanceCurves,
        threads: int | None = None,
        precision: str = "fp32",
    ) -> SeriesGenerator:
        """Return the generator of a model folder.

        Raises:
            ModelError: if its graph is missing, cannot be read or is not what the config says.
        """
        facts = folder.section("network", SeriesFacts)
        return cls(open_session(folder.part(MAIN_PART, precision), threads), facts, curves)

    def windows(self, noise: Floats, grain: Floats, condition: Floats) -> Floats:
        """Return (windows, steps, values) from what the graph asks for.

        ``noise`` is (windows, latent), ``grain`` (windows, steps, grain), ``condition`` (windows,
        steps, features).
        """
        given = {"noise": noise, "grain": grain, "condition": condition}
        feed = {name: value for name, value in given.items() if name in self._asked}
        out: Floats = self.session.run(["values"], feed)[0]
        return out

"""Generators of latents under ONNX Runtime: what stands at each place becomes latents.

The generator looks to both sides, `LatentGenerator.margin` latents far; any window of places can be
made by itself, and equals the same part of the whole.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt

from partimento.errors import ModelError, NotSupported
from partimento.representations.latent_coordinates import LatentCoordinates
from partimento.representations.sound_conditions import CONDITIONS
from partimento.runtime.audio.codec import open_part
from partimento.runtime.audio.presets import GameConfig, LatentAudioFacts
from partimento.runtime.model_folder import ModelFolder
from partimento.runtime.sessions import Session

__all__ = ["LatentGenerator"]

F32 = npt.NDArray[np.float32]


class LatentGenerator:
    """A generator of latents; it holds weights only."""

    def __init__(self, session: Session, config: GameConfig, latent_width: int) -> None:
        if config.kind != "flowing":
            raise NotSupported(f"a generator of kind {config.kind} cannot be played, flowing can")
        if config.conditions != len(CONDITIONS):
            raise ModelError(
                f"the generator takes {config.conditions} conditions, {len(CONDITIONS)} are known; "
                "install the model again"
            )
        inputs = config.coordinate + config.style + config.noise + config.conditions
        session.require(
            {"inputs": ("float", (None, None, inputs))},
            {"latents": ("float", (None, None, latent_width))},
            "the generator",
        )
        self._session, self.config = session, config

    @classmethod
    def load(cls, folder: ModelFolder, precision: str = "int8") -> Self:
        """Return the generator of a model folder.

        Raises:
            ModelError: if its graph is missing or cannot be read.
            NotSupported: if it is of a kind that cannot be played.
        """
        facts = folder.section("network", LatentAudioFacts)
        session = open_part(folder, "generator", precision)
        return cls(session, facts.game, facts.codec.latent_width)

    @property
    def margin(self) -> int:
        """Places on each side that a latent depends on."""
        return self.config.margin

    def path(
        self, seed: int, period: int | None = None, other: int | None = None
    ) -> LatentCoordinates:
        """Return the path of a seed through this generator's space; see there."""
        config = self.config
        return LatentCoordinates(
            seed,
            config.coordinate,
            config.style,
            config.noise,
            config.anchor_every,
            config.style_every,
            config.interpolation,
            period,
            other,
        )

    def latents(self, inputs: F32) -> F32:
        """Return (n, width) from inputs (n + 2 margin, F), or (B, n, width) from a batch of them.

        ``inputs`` are as `LatentCoordinates.inputs` gives them for the places of the latents and
        ``margin`` more on each side.
        """
        batch = inputs if inputs.ndim == 3 else inputs[None]
        made: F32 = self._session.run(["latents"], {"inputs": batch})[0]
        inner = made[:, self.margin : made.shape[1] - self.margin]
        return inner if inputs.ndim == 3 else inner[0]

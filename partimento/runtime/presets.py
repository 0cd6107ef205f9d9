"""Configs of networks and of training, read by ``training`` and shown by the cards.

They stand here, without torch, so that a card can show its presets in the instrument.
"""

from __future__ import annotations

import re
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from partimento.config import Config

__all__ = [
    "GridConfig",
    "GridPreset",
    "Preset",
    "RecurrentConfig",
    "TokenPreset",
    "TrainingConfig",
    "TransformerConfig",
    "current_name",
]


def current_name(name: str) -> str:
    """Return today's name of a preset's field or of a tensor that version 0.1.0 named otherwise."""
    name = re.sub(r"(^|_)recipe$", r"\1training", name)
    return re.sub(r"critic(?!al)", "discriminator", name)


class Preset(Config):
    """Base of presets and their parts; fields by their names of version 0.1.0 are read as well."""

    @model_validator(mode="before")
    @classmethod
    def _current_names(cls, values: Any) -> Any:
        if isinstance(values, dict):
            return {current_name(str(name)): value for name, value in values.items()}
        return values


class TransformerConfig(Preset):
    """Sizes of a causal Transformer; ``max_distance`` is the largest context in tokens."""

    layers: int = Field(5, ge=1)
    width: int = Field(256, ge=8)
    heads: int = Field(8, ge=1)
    kv_heads: int = Field(8, ge=1)
    feedforward: int = Field(1024, ge=8)
    attention: Literal["relative", "rotary", "absolute"] = "relative"
    max_distance: int = Field(512, ge=2)
    local_width: int = Field(16, ge=1)
    token_width: int = Field(64, ge=1)
    dropout: float = Field(0.2, ge=0, lt=1)

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.width % self.heads or self.heads % self.kv_heads:
            raise ValueError(
                f"{self.heads} heads must divide the width {self.width}, and {self.kv_heads} "
                f"kv_heads the heads"
            )
        if self.attention == "rotary" and self.width // self.heads % 16:
            # A limit of the kernel that plays the exported graph.
            raise ValueError("rotary attention needs heads whose width is a multiple of 16")
        return self


class RecurrentConfig(Preset):
    """Sizes of an LSTM."""

    layers: int = Field(3, ge=0, description="0: what the last tokens say, no memory beyond them")
    width: int = Field(512, ge=8)
    local_width: int = Field(1, ge=1)
    token_width: int = Field(64, ge=1)
    dropout: float = Field(0.2, ge=0, lt=1)


class GridConfig(Preset):
    """Sizes of a Transformer over the columns of a grid; it sees the whole window at once."""

    layers: int = Field(4, ge=1)
    width: int = Field(256, ge=8)
    heads: int = Field(8, ge=1)
    feedforward: int = Field(1024, ge=8)
    cell_width: int = Field(32, ge=4, description="of the embedding of a cell's half")
    head_width: int = Field(96, ge=4, description="of what is said of a cell's half")
    near_width: int = Field(64, ge=1, description="of a column, as its neighbours see it")
    reach: int = Field(8, ge=0, description="columns to either side that enter together")
    window: int = Field(
        544, ge=16, description="columns it can be shown at once: 32 bars of 4/4 and two edges"
    )
    ensembles: tuple[str, ...] = Field(("choir", "strings"), min_length=1)
    dropout: float = Field(0.15, ge=0, lt=1)

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.width % (2 * self.heads):
            raise ValueError(f"{self.heads} heads of even width must divide {self.width}")
        return self


class TrainingConfig(Config):
    """How a stage is trained."""

    steps: int | None = Field(None, ge=1, description="updates; without: from minutes")
    minutes: float | None = Field(None, gt=0, description="time budget; the speed is measured")
    batch_size: int = Field(6, ge=1, description="sequences a step and process")
    length: int = Field(512, ge=4, description="tokens a sequence")
    learning_rate: float = Field(1e-3, gt=0)
    warmup_steps: int = Field(100, ge=0)
    schedule: Literal["cosine", "constant", "inverse_sqrt"] = "cosine"
    weight_decay: float = Field(0.1, ge=0)
    beta1: float = Field(0.9, ge=0, lt=1, description="memory of the direction; games: 0 to 0.5")
    beta2: float = Field(0.98, gt=0, lt=1)
    clip: float = Field(1.0, gt=0, description="largest norm of all gradients together")
    ema: float = Field(0.998, ge=0, lt=1, description="decay of the averaged weights; 0: none")
    validate_every: int = Field(250, ge=1, description="steps")
    patience: int = Field(0, ge=0, description="stop after so many validations without gain; 0: no")


class TokenPreset(Preset):
    """Everything that makes a token model: representation, network, training, playing."""

    representation: dict[str, Any]
    # The narrower one first: its fields are among the other's, so only this order tells them apart.
    network: RecurrentConfig | TransformerConfig
    training: TrainingConfig = TrainingConfig()
    transpose: int = Field(6, ge=0, le=12, description="augmentation, semitones up and down")
    stretches: tuple[float, ...] = Field((1.0,), description="augmentation, factors of time")
    instruments: tuple[int, ...] | None = Field(
        None, description="play these programs alone (128: drums); without: those of the music"
    )
    defaults: dict[str, Any] = Field(default_factory=dict, description="controls when not given")


class GridPreset(Preset):
    """Everything that makes a grid model: representation, network, training, playing."""

    representation: dict[str, Any]
    network: GridConfig = GridConfig()
    training: TrainingConfig = TrainingConfig(length=256, batch_size=8)
    transpose: int = Field(6, ge=0, le=12, description="augmentation, semitones up and down")
    shares: dict[str, float] = Field(
        default_factory=dict, description="how often a corpus is drawn beside the others; 1 if not"
    )
    defaults: dict[str, Any] = Field(
        default_factory=dict,
        description="controls when not given; under the name of a task (and ensemble) its own",
    )

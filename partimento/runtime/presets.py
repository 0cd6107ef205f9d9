"""Configs of networks and of training, read by ``training`` and shown by the cards.

They stand here, without torch, so that a card can show its presets in the instrument.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from partimento.config import Config

__all__ = [
    "GridConfig",
    "GridPreset",
    "Preset",
    "RecurrentConfig",
    "RollConfig",
    "RollPreset",
    "TokenPreset",
    "TrainingConfig",
    "TransformerConfig",
    "current_name",
]


_MAX_STEP_TOKENS = 2**22
_MAX_LAYERS, _MAX_WIDTH, _MAX_VOICES = 256, 32_768, 64


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

    kind: Literal["transformer"] = "transformer"
    layers: int = Field(5, ge=1, le=_MAX_LAYERS)
    width: int = Field(256, ge=8, le=_MAX_WIDTH)
    heads: int = Field(8, ge=1, le=_MAX_WIDTH)
    kv_heads: int = Field(8, ge=1, le=_MAX_WIDTH)
    attention_width: int | None = Field(
        None, ge=8, le=_MAX_WIDTH, description="of all heads together; if not set, the width"
    )
    feedforward: int = Field(1024, ge=8, le=_MAX_WIDTH)
    attention: Literal["relative", "sliding", "rotary", "absolute"] = Field(
        "relative", description="sliding: relative, and each layer sees max_distance places alone"
    )
    max_distance: int = Field(512, ge=2, le=65_536)
    local_width: int = Field(16, ge=1, le=_MAX_WIDTH)
    token_width: int = Field(64, ge=1, le=_MAX_WIDTH)
    relative_inputs: bool = Field(
        False,
        description="the last local_width tokens enter as intervals from their voice's last, too",
    )
    relative_outputs: int = Field(
        0,
        ge=0,
        le=_MAX_VOICES,
        description="last tokens from which the intervals to the next one are scored; 0: none",
    )
    dropout: float = Field(0.2, ge=0, lt=1)
    attention_dropout: float = Field(0.0, ge=0, lt=1, description="of the weights of attention")

    @property
    def query_width(self) -> int:
        """The width of all heads' queries together."""
        return self.attention_width or self.width

    @property
    def head_width(self) -> int:
        """The width of one head."""
        return self.query_width // self.heads

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.query_width % self.heads or self.heads % self.kv_heads:
            of = "width" if self.attention_width is None else "attention_width"
            raise ValueError(
                f"{self.heads} heads must divide the {of} {self.query_width}, and {self.kv_heads} "
                f"kv_heads the heads"
            )
        if self.attention == "rotary" and self.head_width % 16:
            # A limit of the kernel that plays the exported graph.
            raise ValueError("rotary attention needs heads whose width is a multiple of 16")
        return self


class RecurrentConfig(Preset):
    """Sizes of an LSTM."""

    kind: Literal["recurrent"] = "recurrent"
    layers: int = Field(
        3, ge=0, le=_MAX_LAYERS, description="0: the last tokens alone, no memory beyond them"
    )
    width: int = Field(512, ge=8, le=_MAX_WIDTH)
    local_width: int = Field(1, ge=1, le=_MAX_WIDTH)
    token_width: int = Field(64, ge=1, le=_MAX_WIDTH)
    dropout: float = Field(0.2, ge=0, lt=1)


class GridConfig(Preset):
    """Sizes of a Transformer over the columns of a grid; it sees the whole window at once."""

    kind: Literal["grid"] = "grid"
    layers: int = Field(4, ge=1, le=_MAX_LAYERS)
    width: int = Field(256, ge=8, le=_MAX_WIDTH)
    heads: int = Field(8, ge=1, le=_MAX_WIDTH)
    feedforward: int = Field(1024, ge=8, le=_MAX_WIDTH)
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


class RollConfig(Preset):
    """Sizes of a convolutional network over voices by pitch by time."""

    kind: Literal["roll"] = "roll"
    layers: int = Field(16, ge=2, le=_MAX_LAYERS, description="of them two are a residual block")
    width: int = Field(48, ge=4, le=_MAX_WIDTH, description="filters of a layer")
    dilations: tuple[Annotated[int, Field(ge=1, le=64)], ...] = Field(
        (1,), min_length=1, max_length=64, description="in time, of the blocks in turn"
    )
    lowest: int = Field(36, ge=0, le=127, description="pitches outside the range are not seen")
    highest: int = Field(81, ge=0, le=127)
    window: int = Field(160, ge=16, le=1 << 16, description="columns it can be shown at once")
    ensembles: tuple[str, ...] = Field(("choir",), min_length=1)

    @model_validator(mode="after")
    def _whole_blocks(self) -> Self:
        if self.layers % 2:
            raise ValueError(f"layers are whole blocks of two, not {self.layers}")
        if self.lowest > self.highest:
            raise ValueError(f"{self.lowest}..{self.highest} is no range of pitches")
        return self


class TrainingConfig(Config):
    """How a stage is trained."""

    steps: int | None = Field(None, ge=1, le=10**9, description="updates; without: from minutes")
    minutes: float | None = Field(
        None, gt=0, le=525_600, description="time budget, a year at most; the speed is measured"
    )
    batch_size: int = Field(6, ge=1, le=4096, description="sequences a step and process")
    length: int = Field(512, ge=4, le=65_536, description="tokens a sequence")
    learning_rate: float = Field(1e-3, gt=0, le=10)
    warmup_steps: int = Field(100, ge=0, le=10**9)
    schedule: Literal["cosine", "constant", "inverse_sqrt", "linear"] = "cosine"
    weight_decay: float = Field(0.1, ge=0, le=10)
    beta1: float = Field(0.9, ge=0, lt=1, description="memory of the direction; games: 0 to 0.5")
    beta2: float = Field(0.98, gt=0, lt=1)
    clip: float = Field(1.0, gt=0, description="largest norm of all gradients together")
    ema: float = Field(0.998, ge=0, lt=1, description="decay of the averaged weights; 0: none")
    validate_every: int = Field(250, ge=1, le=10**9, description="steps")
    patience: int = Field(
        0, ge=0, le=10**9, description="stop after so many validations without gain; 0: no"
    )

    @model_validator(mode="after")
    def _fits_memory(self) -> Self:
        tokens = self.batch_size * self.length
        if tokens > _MAX_STEP_TOKENS:
            raise ValueError(
                f"batch_size {self.batch_size} times length {self.length} is {tokens:,} tokens a "
                f"step; {_MAX_STEP_TOKENS:,} are the most"
            )
        return self


class TokenPreset(Preset):
    """Everything that makes a token model: representation, network, training, playing."""

    representation: dict[str, Any]
    network: TransformerConfig | RecurrentConfig = Field(discriminator="kind")
    training: TrainingConfig = TrainingConfig()
    transpose: int = Field(6, ge=0, le=12, description="augmentation, semitones up and down")
    stretches: tuple[float, ...] = Field((1.0,), description="augmentation, factors of time")
    instruments: tuple[int, ...] | None = Field(
        None, description="play these programs alone (128: drums); without: those of the music"
    )
    defaults: dict[str, Any] = Field(default_factory=dict, description="controls when not given")
    fit: bool = Field(
        False, description="choose smaller sizes where the minutes, the music or the CPU ask for it"
    )

    @model_validator(mode="before")
    @classmethod
    def _kind_of_network(cls, values: Any) -> Any:
        """Add the ``kind`` that networks of version 0.1.0 lack; an LSTM has fewer options."""
        network = values.get("network") if isinstance(values, dict) else None
        if isinstance(network, dict) and "kind" not in network:
            is_recurrent = set(network) <= set(RecurrentConfig.model_fields)
            kind = "recurrent" if is_recurrent else "transformer"
            return {**values, "network": {"kind": kind, **network}}
        return values


class _OfGrids(Preset):
    """What presets of models over the track grid have in common."""

    representation: dict[str, Any]
    training: TrainingConfig = TrainingConfig(length=256, batch_size=8)
    transpose: int = Field(6, ge=0, le=12, description="augmentation, semitones up and down")
    shares: dict[str, float] = Field(
        default_factory=dict, description="how often a corpus is drawn beside the others; 1 if not"
    )
    defaults: dict[str, Any] = Field(
        default_factory=dict,
        description="controls when not given; under the name of a task (and ensemble) its own",
    )


class GridPreset(_OfGrids):
    """Everything that makes a grid model: representation, network, training, playing."""

    network: GridConfig = GridConfig()
    loss: Literal["masked", "published"] = Field(
        "masked",
        description="published: cells are also replaced by others, and conditions count by half",
    )


class RollPreset(_OfGrids):
    """The same of a model that sees the grid as a roll of voices by pitch by time."""

    network: RollConfig = RollConfig()

"""Configs of systems that write sound as codes, level by level: codecs, priors, and presets.

They stand here, without torch, so that a card can show its presets in the instrument. Levels count
from the finest, 0, to the coarsest.
"""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from partimento.config import Config
from partimento.runtime.audio.presets import AudioData
from partimento.runtime.presets import Preset, TrainingConfig

__all__ = ["CodesConfig", "CodesFacts", "JukeboxPreset", "LyricsConfig", "PriorConfig"]

_Hop = Annotated[int, Field(ge=1, le=1 << 20)]
_Entries = Annotated[int, Field(ge=2, le=1 << 16)]
_Count = Annotated[int, Field(ge=1, le=1 << 14)]
_LEVELS = 8
_CODECS = 0.55  # of the minutes of a run; the priors share the rest


class CodesConfig(Preset):
    """Sizes of the codecs, one a level, each with a codebook of its own."""

    kind: Literal["spectral", "published"] = Field(
        "spectral", description="published: dilated convolutions from sample to sample"
    )
    hops: tuple[_Hop, ...] = Field(
        (128, 512, 2048), min_length=1, max_length=_LEVELS, description="samples a code, by level"
    )
    entries: tuple[_Entries, ...] = Field(
        (2048, 2048, 1024), min_length=1, max_length=_LEVELS, description="of each codebook"
    )
    code_width: int = Field(16, ge=1, le=4096, description="numbers an entry")
    size: int = Field(2048, ge=16, le=1 << 15, description="samples of the Fourier window")
    hop: int = Field(512, ge=4, le=1 << 13, description="samples between frames")
    bins: int = Field(640, ge=8, le=1 << 14, description="frequencies coded, from the lowest")
    encoder_widths: tuple[_Count, ...] = Field(
        (160, 96, 96), min_length=1, max_length=_LEVELS, description="by level"
    )
    peaks: tuple[float, ...] = Field(
        (1.0, 1.0, 1.0),
        min_length=1,
        max_length=_LEVELS,
        description="weights of the distance of square roots of magnitudes, by level",
    )
    width: int = Field(192, ge=1, le=1 << 13, description="of the decoder; published: of blocks")
    kernel: int = Field(7, ge=1, le=255, description="steps that a block sees")
    expansion: int = Field(3, ge=1, le=64, description="width inside a block over its own")
    frame_blocks: int = Field(3, ge=1, le=64, description="blocks at the rate of frames")
    code_blocks: int = Field(2, ge=1, le=64, description="blocks at each slower rate")
    depth: int = Field(4, ge=1, le=64, description="published: residual blocks a halving of time")
    doubled: int = Field(1, ge=0, description="published: levels of twice the width and depth")
    commitment: float = Field(0.02, ge=0, description="weight of the distance to the entries")
    decay: float = Field(0.99, ge=0, lt=1, description="memory of the codebooks")
    restart_below: float = Field(
        0.05,
        ge=0,
        description="mean use a batch, under which an entry is restarted; 0: never",
    )

    @property
    def levels(self) -> int:
        """How many levels there are."""
        return len(self.hops)

    def joins(self, level: int) -> tuple[int, ...]:
        """Return by how much time is divided at each step from frames to the codes of a level."""
        slower = [hop for hop in self.hops[: level + 1] if hop > self.hop]
        return tuple(high // low for low, high in pairwise([self.hop, *slower]))

    def frames(self, level: int) -> int:
        """Return the frames a code of a level; 1 where a frame has several."""
        return prod(self.joins(level))

    def split(self, level: int) -> int:
        """Return the codes a frame of a level; 1 where a code has several."""
        return max(1, self.hop // self.hops[level])

    def reach(self, level: int) -> int:
        """Return the codes on each side on which what the decoder says of a code depends."""
        frames, step = 0, self.frames(level)
        blocks = [self.code_blocks] * len(self.joins(level)) + [self.frame_blocks]
        if not self.joins(level):
            blocks = [self.code_blocks + self.frame_blocks]
        for count, up in zip(blocks, (*reversed(self.joins(level)), 1), strict=True):
            frames += count * (self.kernel // 2) * step
            step //= up
        return -(-frames // self.frames(level)) * self.split(level)

    @model_validator(mode="after")
    def _levels_fit(self) -> Self:
        for name in ("entries", "encoder_widths", "peaks"):
            if len(getattr(self, name)) != len(self.hops):
                raise ValueError(f"{name} names {len(self.hops)} levels, as hops does")
        for low, high in zip(self.hops, self.hops[1:], strict=False):
            if high % low or high == low:
                raise ValueError(f"the hop {high} must be a multiple of the one below, {low}")
        if self.kind == "published":
            if any(hop & (hop - 1) for hop in self.hops):
                raise ValueError("published codecs halve time: their hops are powers of two")
            return self
        if self.size % self.hop or self.size < 3 * self.hop or self.size % 2:
            raise ValueError(f"the hop {self.hop} must divide the even window {self.size} in three")
        if any(max(hop, self.hop) % min(hop, self.hop) for hop in self.hops):
            raise ValueError(f"a code is whole frames of {self.hop} samples, or frames whole codes")
        if not self.kernel % 2:
            raise ValueError("a block sees as many steps to either side: the kernel is odd")
        if self.bins > self.size // 2 + 1:
            raise ValueError(f"a window of {self.size} samples has {self.size // 2 + 1} bins")
        return self


class PriorConfig(Preset):
    """Sizes of the network over the codes of one level, factored attention in its layers."""

    window: int = Field(512, ge=4, le=1 << 17, description="codes it sees at once")
    row: int = Field(32, ge=1, le=1 << 15, description="codes a row; whole rows fill the window")
    layers: int = Field(6, ge=3, le=512, description="row, column, previous row, and again")
    width: int = Field(192, ge=2, le=1 << 15)
    heads: int = Field(4, ge=1, le=1024)
    attention_width: int = Field(96, ge=1, le=1 << 15, description="of all heads together")
    feedforward: int = Field(416, ge=1, le=1 << 17)
    conditioner_width: int = Field(64, ge=1, le=1 << 14, description="of what reads upper codes")
    conditioner_depth: int = Field(6, ge=1, le=256, description="its dilated blocks")
    conditioner_cycle: int = Field(3, ge=1, le=32, description="dilations 3^0, 3^1, .. and again")
    overlap: float = Field(
        0.5, gt=0, le=1, description="a new window begins after this share of the last one"
    )
    dropout: float = Field(0.1, ge=0, lt=1)

    @property
    def step(self) -> int:
        """Codes between the starts of two windows."""
        return max(1, int(self.overlap * self.window))

    @model_validator(mode="after")
    def _rows_fit(self) -> Self:
        if self.window % self.row:
            raise ValueError(f"the window {self.window} is whole rows of {self.row}")
        if self.attention_width % self.heads:
            raise ValueError(f"{self.heads} heads must divide {self.attention_width}")
        return self


class LyricsConfig(Preset):
    """Sizes of the encoder of lyrics; ``characters`` 0 has none."""

    characters: int = Field(0, ge=0, le=1 << 14, description="about the place of a window")
    alphabet: int = Field(80, ge=2, le=1 << 12, description="characters that are told apart")
    layers: int = Field(2, ge=1, le=256)
    width: int = Field(96, ge=2, le=1 << 14)
    heads: int = Field(4, ge=1, le=1024)
    loss: float = Field(0.4, ge=0, description="weight of the lyrics' own likelihood")


class CodesFacts(Config):
    """What the config of a model of codes says of its networks."""

    codec: CodesConfig
    priors: tuple[PriorConfig, ...] = Field(min_length=1, max_length=_LEVELS)
    artists: tuple[str, ...] = Field(("unknown",), min_length=1, max_length=4096)
    genres: tuple[str, ...] = Field(("unknown",), min_length=1, max_length=4096)

    @model_validator(mode="after")
    def _levels_match(self) -> Self:
        if len(self.priors) != self.codec.levels:
            raise ValueError(f"priors names {self.codec.levels} levels, as codec.hops does")
        return self


class JukeboxPreset(Preset):
    """Everything that makes a Jukebox: data, codecs, priors, training, playing."""

    data: AudioData = AudioData()
    codec: CodesConfig = CodesConfig()
    priors: tuple[PriorConfig, ...] = Field(
        (PriorConfig(), PriorConfig(), PriorConfig(overlap=0.125)), max_length=_LEVELS
    )
    lyrics: LyricsConfig = LyricsConfig()
    artists: tuple[str, ...] = Field(
        (), max_length=4096, description="without: as the data name them"
    )
    genres: tuple[str, ...] = Field(
        (), max_length=4096, description="without: as the data name them"
    )
    codec_training: TrainingConfig = TrainingConfig(
        length=32, batch_size=4, learning_rate=1e-3, warmup_steps=50, weight_decay=0.01,
        beta2=0.99, ema=0, validate_every=200,
    )  # fmt: skip
    training: TrainingConfig = TrainingConfig(
        length=512, batch_size=4, learning_rate=1e-3, warmup_steps=50, weight_decay=0.05,
        beta2=0.95, ema=0.99, validate_every=200,
    )  # fmt: skip
    steps: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (), description="of the priors, finest first; without: those of training for each"
    )
    defaults: dict[str, Any] = Field(default_factory=dict, description="controls when not given")

    @model_validator(mode="after")
    def _priors_fit(self) -> Self:
        levels = self.codec.levels
        if len(self.priors) != levels:
            raise ValueError(f"priors names {levels} levels, as codec.hops does")
        if len(self.steps) not in (0, levels):
            raise ValueError(f"steps names {levels} levels, as codec.hops does")
        for level, (prior, ratio) in enumerate(zip(self.priors, self.ratios, strict=False)):
            if prior.window % ratio or prior.step % ratio:
                raise ValueError(
                    f"window and step of priors.{level} are whole codes of the level above, "
                    f"{ratio} to one"
                )
        return self

    @property
    def ratios(self) -> tuple[int, ...]:
        """Codes of each level to one of the level above; the coarsest has none above."""
        hops = self.codec.hops
        return tuple(high // low for low, high in pairwise(hops))

    def trainings(self) -> tuple[TrainingConfig, ...]:
        """Return the training configs of the codecs and of the priors, the coarsest first.

        Minutes of ``training`` are those of the whole run, a little more than half of them the
        codecs'. Without minutes, steps of ``training`` are those of each prior; codecs that name
        nothing take four times as many.
        """
        count = self.codec.levels
        codecs, priors = self.codec_training, (self.training,) * count
        minutes, steps = self.training.minutes, self.training.steps
        if minutes is not None:
            each = minutes * (1 - _CODECS) / count
            new = {"steps": None, "minutes": each}
            priors = tuple(prior.model_copy(update=new) for prior in priors)
            codecs = codecs.model_copy(update={"steps": None, "minutes": minutes * _CODECS})
        elif steps is not None and codecs.steps is None and codecs.minutes is None:
            codecs = codecs.model_copy(update={"steps": 4 * steps})
        if self.steps and minutes is None:
            priors = tuple(
                prior.model_copy(update={"steps": each})
                for prior, each in zip(priors, reversed(self.steps), strict=True)
            )
        return (codecs, *priors)

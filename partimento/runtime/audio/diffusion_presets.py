"""Configs of sound that a language model of semantic tokens leads: words, tokens, diffusion.

They stand here, without torch, so that a card can show its presets in the instrument.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from partimento.config import Config
from partimento.representations.guides import NUMBERS
from partimento.representations.words import FAMILIES, WordsConfig
from partimento.runtime.audio.presets import AudioData, CodecConfig
from partimento.runtime.presets import Preset, TrainingConfig, TransformerConfig

__all__ = ["DiffusionConfig", "MelodyFacts", "MelodyPreset"]


class DiffusionConfig(Preset):
    """Sizes of a dual-path denoiser of latents, and of the windows that it is given."""

    kind: Literal["published", "aligned"] = Field(
        "aligned", description="aligned: as many tokens as latents, each leads its own frame"
    )
    width: int = Field(160, ge=8, le=1 << 13)
    blocks: int = Field(3, ge=1, le=64)
    heads: int = Field(4, ge=1, le=256)
    coarse_layers: int = Field(1, ge=1, le=16, description="of the RoFormer across segments")
    segment: int = Field(8, ge=2, le=1024, description="frames a segment; half of them overlap")
    length: int = Field(128, ge=4, le=1 << 16, description="latents a window")
    chunks: int = Field(4, ge=1, le=256, description="parts of a window with an angle of their own")
    angle_width: int = Field(64, ge=4, le=4096)
    recurrence: Literal["sru", "gru"] = "sru"
    hidden: int | None = Field(
        None,
        ge=1,
        le=1 << 13,
        description="of the recurrence, a direction; without: half the width",
    )
    objective: Literal["velocity", "flow"] = Field(
        "velocity", description="flow: rectified flow, straight lines from noise to latents"
    )
    guide: int = Field(NUMBERS, ge=0, le=4096, description="numbers of the guide a token; 0: none")
    style: int = Field(32, ge=0, le=4096, description="numbers of the words' embedding; 0: none")
    unguided: float = Field(0.1, ge=0, lt=1, description="share of rows that nothing leads")

    @property
    def chunk(self) -> int:
        """Latents a chunk."""
        return self.length // self.chunks

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.segment % 2 or self.length % (self.segment // 2) or self.length % self.chunks:
            raise ValueError(
                f"half of the segment {self.segment} and the chunks {self.chunks} must divide the "
                f"length {self.length}"
            )
        if self.width % (4 * self.heads):
            raise ValueError(f"{self.heads} heads of even width must divide half of {self.width}")
        return self


class MelodyPreset(Preset):
    """Everything that makes a melody: sound, codec, tokens, words, language model, diffusion."""

    data: AudioData = AudioData()
    codec: CodecConfig = CodecConfig(
        latent_frames=4, latent_width=32, joins=(2, 2), lookahead=2, noise=0.15
    )
    tokens: int = Field(512, ge=2, le=1 << 16, description="clusters of the semantic features")
    words: WordsConfig = WordsConfig()
    language: TransformerConfig = TransformerConfig(
        layers=3, width=128, heads=8, kv_heads=4, feedforward=512, attention="sliding",
        max_distance=128, local_width=8, token_width=32, dropout=0.1,
    )  # fmt: skip
    diffusion: DiffusionConfig = DiffusionConfig()
    codec_training: TrainingConfig = TrainingConfig(
        length=26, batch_size=4, learning_rate=6e-4, warmup_steps=100, weight_decay=0.01,
        beta2=0.99, ema=0.999, validate_every=250,
    )  # fmt: skip
    words_training: TrainingConfig = TrainingConfig(
        steps=1500, length=64, batch_size=96, learning_rate=2e-3, warmup_steps=50,
        weight_decay=0.05, ema=0, validate_every=250,
    )  # fmt: skip
    language_training: TrainingConfig = TrainingConfig(
        length=128, batch_size=16, learning_rate=1.5e-3, warmup_steps=100, ema=0.998,
    )  # fmt: skip
    training: TrainingConfig = TrainingConfig(
        length=128, batch_size=12, learning_rate=1.2e-3, warmup_steps=200, weight_decay=0.01,
        beta2=0.99, ema=0.999, validate_every=250,
    )  # fmt: skip
    defaults: dict[str, Any] = Field(default_factory=dict, description="controls when not given")

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.language.attention != "sliding":
            raise ValueError("the language model's attention is sliding: its streams have no end")
        if self.diffusion.style not in (0, self.words.width):
            raise ValueError(f"style is the words' width {self.words.width}, or 0")
        return self


class MelodyFacts(Config):
    """What the config of a model says of its networks."""

    codec: CodecConfig
    diffusion: DiffusionConfig
    tokens: int = Field(ge=2, le=1 << 16)
    words: WordsConfig
    language: dict[str, Any] = Field(description="as of a model of tokens")
    scale: tuple[float, ...] = Field(description="deviation of each number of a latent")
    mean: tuple[float, ...] = Field(description="its mean")
    tempo: tuple[float, float] = Field(description="usual beats a minute, from and to")
    families: tuple[str, ...] = Field((), description="of instruments that it was trained on")

    @model_validator(mode="after")
    def _widths_fit(self) -> Self:
        if not len(self.scale) == len(self.mean) == self.codec.latent_width:
            raise ValueError(f"a latent has {self.codec.latent_width} numbers")
        if min(self.scale) <= 0:
            raise ValueError("deviations are above 0")
        if not 20 <= self.tempo[0] <= self.tempo[1] <= 400:
            raise ValueError("usual tempi are 20..400, from low to high")
        strange = [name for name in self.families if name not in FAMILIES]
        if strange:
            raise ValueError(f"no family of instruments is called {strange[0]!r}")
        return self

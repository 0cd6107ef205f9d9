"""Configs of systems that make sound: their data, their codec, their latent game.

They stand here, without torch, so that a card can show its presets in the instrument.
"""

from __future__ import annotations

from math import prod
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from partimento.config import Config
from partimento.runtime.presets import Preset, TrainingConfig

__all__ = [
    "AudioData",
    "CodecConfig",
    "GameConfig",
    "LatentAudioFacts",
    "MusikaPreset",
    "SoundFacts",
]

_Width = Annotated[int, Field(ge=1, le=1 << 14)]
_Blocks = Annotated[int, Field(ge=1, le=256)]
_Join = Annotated[int, Field(ge=1, le=256)]
_CHOIR = (52, 52, 52, 52)
_STRINGS = (48, 48, 48, 48)
# Of the minutes of a run: the codec, the codec with its discriminators, the latent game.
_SHARES = (0.5, 0.2, 0.3)


class AudioData(Preset):
    """What sound is learnt from: recordings as they are, scores played with variation."""

    sample_rate_hz: int = Field(44_100, ge=8_000, le=96_000)
    hours: float | None = Field(None, gt=0, description="of sound at most; without: all there is")
    programs: tuple[tuple[int, ...], ...] = Field(
        (_CHOIR, _STRINGS),
        description="General MIDI programs of a score's tracks in turn; one of these a rendition; "
        "(): those of the score",
    )
    renditions: int = Field(2, ge=1, le=64, description="playings of each score of the train split")
    tempo: tuple[float, float] = Field((0.8, 1.25), description="factors of the written tempo")
    transpose: int = Field(3, ge=0, le=12, description="semitones up and down at most")
    velocity: tuple[int, int] = Field((50, 105), description="a playing's mean, softest to loudest")
    soundfont: str | None = Field(
        None,
        description="of FluidSynth (.sf2, .sf3), or auto: the machine's, if it has FluidSynth and "
        "one; without: the built-in synthesiser",
    )
    tracks: tuple[str, ...] | None = Field(
        None, min_length=1, description="play the tracks of these names alone; drums: any drums"
    )
    room: tuple[float, float] = Field((0.0, 0.35), description="reverberation added, 0..1")
    level_db: tuple[float, float] = Field((-12.0, -1.0), description="peak of a playing, dBFS")
    least_seconds: float = Field(
        0.0, ge=0, le=600, description="a shorter score is repeated, bar after bar, up to this"
    )
    shard_seconds: int = Field(120, ge=2, le=3600, description="of sound a cached file")
    seed: int = Field(1, ge=0)

    @model_validator(mode="after")
    def _ranges_fit(self) -> Self:
        for name in ("tempo", "velocity", "room", "level_db"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} goes from low to high, not {low} to {high}")
        if not 0.1 <= self.tempo[0] <= self.tempo[1] <= 10:
            raise ValueError("tempo factors are 0.1..10")
        if not 1 <= self.velocity[0] <= self.velocity[1] <= 127:
            raise ValueError("velocities are 1..127")
        if not 0 <= self.room[0] <= self.room[1] <= 1 or self.level_db[1] > 0:
            raise ValueError("room is 0..1, level_db at most 0")
        if any(not part or not all(0 <= p <= 127 for p in part) for part in self.programs):
            raise ValueError("each of programs names General MIDI programs 0..127")
        return self


class CodecConfig(Preset):
    """Sizes of the codec between sound and latents."""

    kind: Literal["flowing", "two_level"] = "flowing"
    size: int = Field(2048, ge=16, le=1 << 15, description="samples of the Fourier window")
    hop: int = Field(512, ge=4, le=1 << 13, description="samples between frames")
    latent_frames: int = Field(8, ge=1, le=256, description="frames a latent")
    latent_width: int = Field(64, ge=1, le=4096, description="numbers a latent")
    lookahead: int = Field(1, ge=0, le=64, description="latents that the decoder waits for")
    kernel: int = Field(7, ge=1, le=255, description="steps that a block sees")
    expansion: int = Field(3, ge=1, le=64, description="width inside a block over its own")
    encoder_widths: tuple[_Width, ...] = Field((160, 160, 224), min_length=1, max_length=16)
    decoder_widths: tuple[_Width, ...] = Field((320, 224, 224), min_length=1, max_length=16)
    encoder_blocks: tuple[_Blocks, ...] = Field((2, 2, 2), min_length=1, max_length=16)
    decoder_blocks: tuple[_Blocks, ...] = Field((2, 2, 4), min_length=1, max_length=16)
    joins: tuple[_Join, ...] = Field(
        (2, 4), max_length=15, description="frames joined between encoder levels"
    )
    noise: float = Field(0.1, ge=0, description="added to latents in training, standard deviation")
    discriminator_sizes: tuple[int, ...] = Field(
        (2048, 1024, 512),
        min_length=1,
        description="Fourier windows of the discriminators of sound",
    )
    discriminator_width: int = Field(
        32, ge=1, description="channels of each discriminator of sound"
    )

    @property
    def latent_samples(self) -> int:
        """Samples a latent."""
        return self.hop * self.latent_frames

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.size % self.hop or self.size < 3 * self.hop or self.size % 2:
            raise ValueError(
                f"the hop {self.hop} must divide the even window {self.size} in three or more"
            )
        if self.kind == "flowing":
            if prod(self.joins) != self.latent_frames:
                raise ValueError(f"joins {self.joins} must come to {self.latent_frames} frames")
            levels = len(self.joins) + 1
            for name in ("encoder_widths", "decoder_widths", "encoder_blocks", "decoder_blocks"):
                if len(getattr(self, name)) != levels:
                    raise ValueError(f"{name} names {levels} levels")
        return self


class GameConfig(Preset):
    """Sizes of the generator of latents and of its discriminator."""

    kind: Literal["flowing", "halves"] = "flowing"
    coordinate: int = Field(64, ge=1, le=4096, description="numbers of the latent coordinates")
    style: int = Field(64, ge=1, le=4096, description="numbers of the style")
    noise: int = Field(16, ge=0, le=4096, description="noise numbers a latent")
    conditions: int = Field(5, ge=0, le=4096, description="condition numbers a latent")
    anchor_every: int = Field(384, ge=2, le=1 << 20, description="latents between anchors")
    style_every: int = Field(
        768, ge=2, le=1 << 20, description="latents between anchors of the style track"
    )
    interpolation: Literal["slerp", "linear"] = "slerp"
    crop: int = Field(256, ge=8, description="latents the discriminator sees")
    width: int = Field(224, ge=8)
    expansion: int = Field(2, ge=1, description="width inside a block over its own")
    blocks: int = Field(6, ge=1, le=64)
    kernel: int = Field(7, ge=1, le=63)
    discriminator_width: int = Field(256, ge=8)
    discriminator_blocks: int = Field(4, ge=1, description="each halves the time")
    r1: tuple[float, float] = Field((10.0, 0.01), description="weight at first, and its step")
    penalty_every: int = Field(
        4, ge=1, description="discriminator's steps between penalties, on average"
    )
    moments: float = Field(1.0, ge=0, description="weight of the moments over time")
    obey: float = Field(1.0, ge=0, description="weight of the conditions recovered from the output")
    matching: float = Field(0.0, ge=0, description="weight of the discriminator's mean features")
    augment: bool | None = Field(
        None, description="hide parts of what the discriminator sees; without: where data are few"
    )

    @property
    def margin(self) -> int:
        """Latents on each side that the generator must see."""
        return self.blocks * (self.kernel // 2)


_Quantiles = Annotated[
    tuple[Annotated[float, Field(ge=-10, le=10)], ...], Field(min_length=2, max_length=1001)
]


class LatentAudioFacts(Config):
    """What the config of a model of sound says of its networks."""

    codec: CodecConfig
    game: GameConfig
    conditions: dict[Literal["density", "loudness", "tempo"], _Quantiles] = Field(
        default_factory=dict, description="quantiles over the training sound, from low to high"
    )
    cap: float = Field(8.0, gt=0, le=100, description="level above which the codec says no more")

    @model_validator(mode="after")
    def _conditions_rise(self) -> Self:
        for name, quantiles in self.conditions.items():
            if list(quantiles) != sorted(quantiles):
                raise ValueError(f"the quantiles of {name} go from low to high")
        return self


class SoundFacts(Config):
    """What the config of a model of sound says of the sound itself."""

    name: Literal["sound"]
    channels: Literal[2]
    sample_rate_hz: int = Field(ge=8_000, le=192_000)


class MusikaPreset(Preset):
    """Everything that makes a Musika: data, codec, latent game, training, playing."""

    data: AudioData = AudioData()
    codec: CodecConfig = CodecConfig()
    game: GameConfig = GameConfig()
    codec_training: TrainingConfig = TrainingConfig(
        length=16, batch_size=8, learning_rate=5e-4, warmup_steps=200, weight_decay=0.01,
        beta2=0.99, ema=0.999,
    )  # fmt: skip
    discriminator_training: TrainingConfig = TrainingConfig(
        length=16, batch_size=8, learning_rate=2e-4, warmup_steps=100, weight_decay=0.0,
        beta2=0.99, ema=0.999,
    )  # fmt: skip
    training: TrainingConfig = TrainingConfig(
        length=256, batch_size=64, learning_rate=4e-4, warmup_steps=100, weight_decay=0.0,
        beta1=0.5, beta2=0.99, clip=10.0, ema=0.999, validate_every=500,
    )  # fmt: skip
    defaults: dict[str, Any] = Field(default_factory=dict, description="controls when not given")

    def trainings(self) -> tuple[TrainingConfig, TrainingConfig, TrainingConfig]:
        """Return the training configs of the codec, of its discriminators and of the latent game.

        Minutes of ``training`` are those of the whole run: half are the codec's, a fifth the
        discriminators', the rest the latent game's. Without minutes, steps of ``training`` are the
        latent game's alone; another stage that names nothing takes as many in that proportion.
        """
        each = (self.codec_training, self.discriminator_training, self.training)
        if self.training.minutes is None:
            if self.training.steps is None:
                return each
            whole = self.training.steps / _SHARES[2]
            codec, discriminators = (
                training
                if training.steps or training.minutes
                else training.model_copy(update={"steps": max(1, round(whole * share))})
                for training, share in zip(each, _SHARES[:2], strict=False)
            )
            return codec, discriminators, self.training
        codec, discriminators, game = (
            training.model_copy(update={"steps": None, "minutes": self.training.minutes * share})
            for training, share in zip(each, _SHARES, strict=True)
        )
        return codec, discriminators, game

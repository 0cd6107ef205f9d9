"""Musika: endless sound from a generator of latents and a fast decoder."""

from __future__ import annotations

from collections.abc import Mapping

from partimento.runtime.audio.performer import LatentAudioPerformer, MusikaControls
from partimento.runtime.audio.presets import AudioData, CodecConfig, GameConfig, MusikaPreset
from partimento.runtime.contract import Card, Paper, Task
from partimento.runtime.presets import TrainingConfig

__all__ = ["CARD", "PRESETS"]

# For two cores of a processor: small batches, and as many steps as the minutes give.
_CODEC_RECIPE = TrainingConfig(
    length=16,
    batch_size=4,
    learning_rate=1e-3,
    warmup_steps=300,
    weight_decay=0.01,
    beta2=0.99,
    clip=1.0,
    ema=0.999,
    validate_every=400,
)
_CRITIC_RECIPE = TrainingConfig(
    length=16,
    batch_size=2,
    learning_rate=2e-4,
    warmup_steps=50,
    weight_decay=0.0,
    beta1=0.8,
    beta2=0.99,
    clip=5.0,
    ema=0.999,
    validate_every=200,
)
_GAME_RECIPE = MusikaPreset().training.model_copy(update={"batch_size": 12, "minutes": 120})
# For a GPU, and what the shipped model had of one: nine minutes.
_ENSEMBLE = MusikaPreset(
    data=AudioData(hours=5),
    game=GameConfig(obey=1.0),
    codec_training=_CODEC_RECIPE.model_copy(update={"length": 32, "batch_size": 32, "steps": 4443}),
    discriminator_training=_CRITIC_RECIPE.model_copy(update={"batch_size": 16, "steps": 492}),
    training=MusikaPreset().training.model_copy(update={"batch_size": 128, "steps": 3276}),
)
_TINY_RECIPE = TrainingConfig(
    steps=6, length=4, batch_size=2, learning_rate=1e-3, warmup_steps=2, ema=0.9, validate_every=3
)

PRESETS: Mapping[str, MusikaPreset] = {
    # For a folder of one's own music: minutes as given, two hours if none are.
    "default": MusikaPreset(
        codec_training=_CODEC_RECIPE, discriminator_training=_CRITIC_RECIPE, training=_GAME_RECIPE
    ),
    # Chorales sung by a choir and played by strings.
    "ensemble": _ENSEMBLE,
    # Pasini and Schlueter 2022: shapes to be counted; how its codec was trained is not published.
    "paper": MusikaPreset(
        codec=CodecConfig(kind="two_level", size=1024, hop=256, latent_frames=16),
        game=GameConfig(
            kind="halves",
            interpolation="linear",
            noise=0,
            conditions=0,
            r1=(10.0, 0.001),
            penalty_every=1,
            moments=0,
            obey=0,
        ),
        training=TrainingConfig(
            steps=2_000_000,
            length=256,
            batch_size=32,
            learning_rate=1e-4,
            warmup_steps=0,
            schedule="constant",
            weight_decay=0.0,
            beta1=0.5,
            beta2=0.999,
            ema=0.999,
        ),
    ),
    "tiny": MusikaPreset(
        data=AudioData(programs=((48,),), renditions=1, shard_seconds=30.0),
        codec=CodecConfig(
            latent_width=8,
            expansion=2,
            encoder_widths=(16, 16, 16),
            decoder_widths=(16, 16, 16),
            encoder_blocks=(1, 1, 1),
            decoder_blocks=(1, 1, 1),
            discriminator_sizes=(512,),
            discriminator_width=4,
        ),
        game=GameConfig(
            coordinate=4,
            style=4,
            noise=2,
            anchor_every=8,
            style_every=8,
            crop=32,
            width=16,
            blocks=1,
            discriminator_width=16,
            discriminator_blocks=2,
        ),
        codec_training=_TINY_RECIPE,
        discriminator_training=_TINY_RECIPE,
        training=_TINY_RECIPE.model_copy(update={"length": 32}),
    ),
}

CARD = Card(
    name="musika",
    paper=Paper(
        "Musika! Fast Infinite Waveform Music Generation",
        "Marco Pasini, Jan Schlueter",
        2022,
        "https://arxiv.org/abs/2208.08706",
    ),
    summary="endless sound of any length, from latents that a fast codec turns into audio",
    tasks=frozenset({Task.GENERATE, Task.CONTINUE}),
    controls=MusikaControls,
    presets=PRESETS,
    load=LatentAudioPerformer.load,
    makes="audio",
)

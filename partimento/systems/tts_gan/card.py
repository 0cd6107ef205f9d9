"""TTS-GAN: a Transformer that makes time series, here what makes a performance human."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from partimento.runtime.contract import Card, Controls, Paper, Task
from partimento.runtime.curves.generator import SeriesNetwork, SeriesPreset
from partimento.runtime.presets import TrainingConfig
from partimento.systems.tts_gan.inference import load

__all__ = ["CARD", "PRESETS", "HumanizeControls"]


class HumanizeControls(Controls):
    """How much of a hand there is."""

    amount: float = Field(1.0, ge=0, le=1, description="0 leaves the score as it is, 1 is all")


_GROOVE = SeriesPreset(
    representation={"name": "performance_curves", "steps": 32, "channels": "limbs"},
    network=SeriesNetwork(
        width=32,
        discriminator_width=48,
        discriminator_layers=2,
        discriminator_dropout=0.0,
    ),
    training=TrainingConfig(
        steps=3000,
        batch_size=48,
        learning_rate=1e-3,
        warmup_steps=100,
        weight_decay=0.0,
        beta2=0.99,
        clip=5.0,
        ema=0.995,
        validate_every=100,
    ),
    discriminator_rate=2.0,
    energy=0.2,
)

PRESETS: Mapping[str, SeriesPreset] = {
    # For a folder of one's own playing.
    "default": _GROOVE.model_copy(
        update={"training": _GROOVE.training.model_copy(update={"steps": None, "minutes": 30})}
    ),
    "groove": _GROOVE,
    # Li et al. 2022: series of 150 x 3, rates 1e-4 and 3e-4, batches of 16, clipped at 5.
    "paper": SeriesPreset(
        representation={"name": "performance_curves", "steps": 150, "channels": "pooled"},
        network=SeriesNetwork(
            kind="free",
            latent=100,
            width=10,
            layers=3,
            heads=5,
            dropout=0.5,
            discriminator_width=50,
            discriminator_layers=3,
            discriminator_heads=5,
            discriminator_dropout=0.0,
            patch=15,
        ),
        training=TrainingConfig(
            steps=50_000,
            batch_size=16,
            learning_rate=1e-4,
            warmup_steps=0,
            schedule="constant",
            weight_decay=0.0,
            beta2=0.999,
            clip=5.0,
            ema=0.995,
        ),
        discriminator_rate=3.0,
    ),
    "tiny": SeriesPreset(
        representation={"name": "performance_curves", "steps": 16, "channels": "limbs"},
        network=SeriesNetwork(
            latent=4,
            grain=2,
            width=8,
            layers=1,
            heads=2,
            discriminator_width=8,
            discriminator_layers=1,
            discriminator_heads=2,
        ),
        training=TrainingConfig(steps=30, batch_size=4, warmup_steps=5, validate_every=10),
    ),
}

CARD = Card(
    name="tts_gan",
    paper=Paper(
        "TTS-GAN: A Transformer-based Time-Series Generative Adversarial Network",
        "Xiaomin Li, Vangelis Metsis, Huangyingrui Wang, Anne Hee Hiong Ngu",
        2022,
        "https://arxiv.org/abs/2202.02691",
    ),
    summary="a Transformer GAN over velocity and micro-timing: scores sound played",
    tasks=frozenset({Task.HUMANIZE}),
    controls=HumanizeControls,
    presets=PRESETS,
    load=load,
)

"""SeqGAN: an LSTM that learns from a CNN discriminator by policy gradient (Yu et al. 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from partimento.runtime.contract import Card, Paper, SamplingControls, Task
from partimento.runtime.presets import Preset, RecurrentConfig, TokenPreset, TrainingConfig
from partimento.runtime.tokens.performer import TokenPerformer

__all__ = ["CARD", "PRESETS", "ConvDiscriminatorConfig", "SeqGanPreset"]


class ConvDiscriminatorConfig(Preset):
    """The discriminator: a text CNN with a highway layer, and its training beforehand."""

    width: int = Field(64, ge=1, description="of a token's embedding")
    kernels: tuple[tuple[int, int], ...] = Field(
        ((2, 32), (3, 32), (4, 32), (6, 32), (8, 32)),
        min_length=1,
        description="(tokens a filter spans, how many filters)",
    )
    dropout: float = Field(0.25, ge=0, lt=1)
    penalty: float = Field(0.01, ge=0, description="of half the squared last layer")
    training: TrainingConfig = TrainingConfig(
        steps=200,
        batch_size=64,
        length=32,
        learning_rate=1e-3,
        warmup_steps=10,
        schedule="constant",
        weight_decay=0.0,
        beta2=0.999,
        ema=0.0,
    )


_GAME = TrainingConfig(
    steps=100,
    batch_size=32,
    length=32,
    learning_rate=3e-4,
    warmup_steps=5,
    schedule="constant",
    weight_decay=0.0,
    beta2=0.999,
    clip=5.0,
    ema=0.9,
    validate_every=5,
    patience=8,
)


class SeqGanPreset(TokenPreset):
    """A melody model, its discriminator, and the game between them; ``training`` is of likelihood.

    ``training.length`` is T, the tokens of every sequence that the discriminator reads.
    """

    discriminator: ConvDiscriminatorConfig = ConvDiscriminatorConfig()
    game: TrainingConfig = _GAME
    discriminator_updates: int = Field(
        1, ge=1, description="of the discriminator for one of the generator"
    )
    rollouts: int = Field(8, ge=1, description="N, completions of each prefix")
    spacing: int = Field(1, ge=1, description="tokens between two searched prefixes")
    lag: float = Field(0.8, ge=0, lt=1, description="what the rollout policy keeps each step")
    baseline: Literal["none", "batch_mean", "learned", "rank"] = "batch_mean"
    entropy_weight: float = Field(0.0, ge=0, description="of the entropy bonus")
    teacher_weight: float = Field(0.0, ge=0, description="of teacher forcing in the same step")
    validated: int = Field(256, ge=8, description="sequences made at each validation")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.representation.get("name") != "melody_steps":
            raise ValueError("this system plays melody_steps; representation.name is another")
        if not isinstance(self.network, RecurrentConfig):
            raise ValueError("the generator is an LSTM: network has no heads, no feedforward")
        longest = max(span for span, _ in self.discriminator.kernels)
        if longest > self.training.length:
            raise ValueError(
                f"discriminator.kernels span {longest} tokens and training.length is "
                f"{self.training.length}; "
                "use longer sequences or narrower filters"
            )
        return self


_MELODY = {"name": "melody_steps"}
_DEFAULTS = {"bars": 16, "tempo": 75.0, "temperature": 1.0, "top_p": 0.98}

PRESETS: Mapping[str, SeqGanPreset] = {
    "default": SeqGanPreset(
        representation=_MELODY,
        network=RecurrentConfig(layers=1, width=128, local_width=1, token_width=64, dropout=0.0),
        training=TrainingConfig(
            steps=600,
            batch_size=64,
            length=32,
            learning_rate=5e-3,
            weight_decay=0.01,
            validate_every=50,
            patience=6,
        ),
        transpose=3,
        defaults=_DEFAULTS,
    ),
    # The official code's sizes and rates, over the 88 pitches of the paper's section 5.2.
    "paper": SeqGanPreset(
        representation=_MELODY,
        network=RecurrentConfig(layers=1, width=32, local_width=1, token_width=32, dropout=0.0),
        training=TrainingConfig(
            steps=18_720,
            batch_size=64,
            length=32,
            learning_rate=1e-2,
            warmup_steps=0,
            schedule="constant",
            weight_decay=0.0,
            beta2=0.999,
            clip=5.0,
            ema=0.0,
        ),
        discriminator=ConvDiscriminatorConfig(
            width=64,
            kernels=(
                (1, 100),
                (2, 200),
                (3, 200),
                (4, 200),
                (5, 200),
                (6, 100),
                (7, 100),
                (8, 100),
                (9, 100),
                (10, 100),
                (15, 160),
                (20, 160),
            ),
            dropout=0.25,
            penalty=0.2,
            training=TrainingConfig(
                steps=23_400,
                batch_size=64,
                length=32,
                learning_rate=1e-4,
                warmup_steps=0,
                schedule="constant",
                weight_decay=0.0,
                beta2=0.999,
                ema=0.0,
            ),
        ),
        game=_GAME.model_copy(
            update={
                "steps": 200,
                "batch_size": 64,
                "learning_rate": 1e-2,
                "patience": 0,
                "ema": 0.0,
            }
        ),
        discriminator_updates=2340,
        rollouts=16,
        baseline="none",
        transpose=0,
        defaults=_DEFAULTS,
    ),
    "tiny": SeqGanPreset(
        representation=_MELODY,
        network=RecurrentConfig(layers=1, width=24, local_width=1, token_width=16, dropout=0.0),
        training=TrainingConfig(
            steps=30, batch_size=4, length=8, warmup_steps=5, validate_every=10
        ),
        discriminator=ConvDiscriminatorConfig(
            width=16,
            kernels=((2, 8), (4, 8)),
            training=TrainingConfig(steps=4, batch_size=8, length=8, warmup_steps=2, ema=0.0),
        ),
        game=TrainingConfig(
            steps=4,
            batch_size=8,
            length=8,
            learning_rate=1e-3,
            warmup_steps=2,
            ema=0.0,
            validate_every=2,
        ),
        discriminator_updates=2,
        rollouts=2,
        validated=16,
        transpose=2,
        defaults={"bars": 2},
    ),
}

CARD = Card(
    name="seqgan",
    paper=Paper(
        "SeqGAN: Sequence Generative Adversarial Nets with Policy Gradient",
        "Lantao Yu, Weinan Zhang, Jun Wang, Yong Yu",
        2016,
        "https://arxiv.org/abs/1609.05473",
    ),
    summary="an LSTM that learns melodies from a convolutional discriminator by policy gradient",
    tasks=frozenset({Task.GENERATE, Task.CONTINUE}),
    controls=SamplingControls,
    presets=PRESETS,
    load=TokenPerformer.load,
)

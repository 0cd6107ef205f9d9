"""Transformer GAN: a Transformer generator and discriminator, trained by policy gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from partimento.runtime.contract import Card, Paper, SamplingControls, Task
from partimento.runtime.presets import Preset, TokenPreset, TrainingConfig, TransformerConfig
from partimento.runtime.tokens.performer import TokenPerformer

__all__ = ["CARD", "PRESETS", "GamePreset", "SequenceDiscriminatorConfig"]


# The discriminator of all presets but the paper's and the tiny one, which change it.
_DISCRIMINATOR = TransformerConfig(
    layers=1, width=128, heads=4, kv_heads=4, feedforward=256, max_distance=128, local_width=16,
    token_width=8, dropout=0.2,
)  # fmt: skip


class SequenceDiscriminatorConfig(Preset):
    """The discriminator and its training: ``training.steps`` alone, then with the generator.

    It sees as many tokens a column as the generator, whatever its ``local_width``.
    """

    network: TransformerConfig = _DISCRIMINATOR
    training: TrainingConfig = TrainingConfig(
        steps=150,
        learning_rate=3e-4,
        warmup_steps=10,
        schedule="constant",
        length=256,
        batch_size=32,
        ema=0.0,
    )
    updates: int = Field(2, ge=1, description="steps to each of the generator's")


class GamePreset(TokenPreset):
    """A token model and the game that it learns by; ``training`` is that of the game.

    ``likelihood`` is the stage of maximum likelihood before it; without one the generator begins
    from a trained model (``--start-from``).
    """

    likelihood: TrainingConfig | None = None
    discriminator: SequenceDiscriminatorConfig = SequenceDiscriminatorConfig()
    route: Literal[
        "expected_steps", "anchored_steps", "steps", "monte_carlo", "terminal", "gumbel"
    ] = Field("expected_steps", description="how the discriminator's opinion becomes a gradient")
    baseline: Literal["none", "batch_mean", "learned", "rank"] = Field(
        "batch_mean", description="of the routes steps, monte_carlo and terminal"
    )
    rollouts: int = Field(4, ge=1, description="completions of each prefix (monte_carlo)")
    spacing: int = Field(64, ge=1, description="tokens between two prefixes (monte_carlo)")
    reward_weight: float = Field(
        1.0,
        gt=0,
        description="of the discriminator's opinion; how far an anchored generator may go",
    )
    teacher_weight: float = Field(0.2, ge=0, description="of teacher forcing in the same step")
    served_in: int = Field(4, ge=1, description="steps that one batch of made sequences serves")
    kept: int = Field(4, ge=1, description="such batches that the discriminator remembers")
    from_nothing: float = Field(0.5, ge=0, le=1, description="batches without a real prompt")
    start_temperature: float = Field(
        1.0, gt=0, le=2, description="the generator begins as it plays at this temperature"
    )
    validated: int = Field(64, ge=4, description="sequences made at each validation")

    @model_validator(mode="after")
    def _is_fit(self) -> Self:
        if not isinstance(self.network, TransformerConfig):
            raise ValueError("the generator is a Transformer: network needs heads, feedforward")
        own = self.discriminator.network
        if own.relative_inputs or own.relative_outputs:
            raise ValueError(
                "the discriminator always has intervals; leave relative_inputs and "
                "relative_outputs to the generator's network"
            )
        if self.discriminator.training.batch_size > self.training.batch_size * self.served_in:
            raise ValueError(
                "the discriminator's batch_size is at most training.batch_size x served_in"
            )
        return self


_GRID = {"name": "four_voice_grid", "lowest": 36, "highest": 81}
_CHORALE_PIECES = {"name": "countdown", "base": _GRID, "bars": 8}
_BARS = {"name": "bar_events"}
_PIECES = {"name": "countdown", "base": _BARS, "bars": 8}

# The networks are those of the Music Transformers that ship, so that their weights fit.
_GAME = TrainingConfig(
    steps=200, batch_size=16, length=256, learning_rate=1e-4, warmup_steps=10,
    schedule="constant", weight_decay=0.0, ema=0.9, validate_every=25,
)  # fmt: skip
_CHORALES = GamePreset(
    representation=_CHORALE_PIECES,
    network=TransformerConfig(layers=4, width=256, max_distance=384, dropout=0.3),
    route="anchored_steps",
    training=TrainingConfig(
        steps=160,
        batch_size=8,
        length=512,
        learning_rate=2e-4,
        warmup_steps=10,
        weight_decay=0.0,
        ema=0.9,
        validate_every=80,
    ),
    discriminator=SequenceDiscriminatorConfig(
        network=_DISCRIMINATOR.model_copy(update={"max_distance": 256}),
        training=TrainingConfig(
            steps=400, batch_size=16, length=512, learning_rate=1e-3, warmup_steps=10, ema=0.0
        ),
    ),
    teacher_weight=0.0,
    served_in=8,
    kept=8,
    from_nothing=0.7,
    start_temperature=0.9,
    transpose=6,
    defaults={"bars": 16, "tempo": 84.0, "temperature": 1.0, "top_p": 1.0},
)
_PIANO = GamePreset(
    representation=_PIECES,
    network=TransformerConfig(layers=4, width=256, max_distance=384, dropout=0.1),
    training=_GAME,
    transpose=6,
    instruments=(0,),
    defaults={"bars": 16, "temperature": 1.0, "top_p": 1.0, "max_silence": 4.0},
)


def _by(route: str, **changes: Any) -> GamePreset:
    shared = {
        "training": _GAME,
        "discriminator": SequenceDiscriminatorConfig(),
        "teacher_weight": 0.2,
        "kept": 4,
    }
    own = {"route": route, "served_in": 1, "from_nothing": 0.5, "start_temperature": 0.87}
    return _CHORALES.model_copy(update={**shared, **own, **changes})


# Published is attention of 500; what plays wants heads of a multiple of 8.
_PUBLISHED = TransformerConfig(
    layers=6, width=500, attention_width=480, heads=10, kv_heads=10, feedforward=1000,
    max_distance=1152, local_width=1, token_width=500, dropout=0.1,
)  # fmt: skip
_TINY = TransformerConfig(
    layers=2, width=32, heads=4, kv_heads=2, feedforward=64, max_distance=64, local_width=4,
    token_width=16, dropout=0.1,
)  # fmt: skip


def _published(rate: float, warmup: int) -> TrainingConfig:
    """Return a training of Muhamed et al.: Adam, a warm-up, then the inverse root of the step."""
    return TrainingConfig(
        steps=100_000, batch_size=512, length=128, learning_rate=rate, warmup_steps=warmup,
        schedule="inverse_sqrt", weight_decay=0.0, beta2=0.999, clip=1.0, ema=0.0,
        validate_every=1000,
    )  # fmt: skip


PRESETS: Mapping[str, GamePreset] = {
    # For a folder of one's own: likelihood first, then the game.
    "default": _PIANO.model_copy(
        update={
            "likelihood": TrainingConfig(minutes=20, length=384, learning_rate=8e-4, patience=8),
            "instruments": None,
            "defaults": {"bars": 16, "temperature": 1.0, "top_p": 1.0},
        }
    ),
    # Meant to start from a Music Transformer of the same music.
    "chorales": _CHORALES,
    "piano": _PIANO,
    # The other routes, both players at once; each but the first as it was published.
    "chorales_expected": _by("expected_steps", served_in=4),
    "chorales_steps": _by("steps"),
    "chorales_monte_carlo": _by("monte_carlo"),
    "chorales_terminal": _by("terminal"),
    "chorales_gumbel": _by("gumbel"),
    # Muhamed et al. 2021, their model/training_config/experiment_spanbert.yml; the page lists what
    # is missing. Of Zhang 2020 only the abstract was read, which gives no sizes.
    "paper": GamePreset(
        representation={"name": "performance_events"},
        network=_PUBLISHED,
        likelihood=_published(4e-3, warmup=4000),
        training=_published(2e-3, warmup=1000),
        discriminator=SequenceDiscriminatorConfig(
            network=_DISCRIMINATOR.model_copy(
                update={"layers": 5, "max_distance": 128, "dropout": 0.1}
            ),
            training=_published(2e-3, warmup=1000).model_copy(update={"steps": 100}),
            updates=1,
        ),
        route="gumbel",
        teacher_weight=1.0,
        served_in=1,
        kept=1,
        from_nothing=0.0,
        transpose=3,
        stretches=(0.95, 0.975, 1.0, 1.025, 1.05),
    ),
    "tiny": GamePreset(
        representation=_BARS,
        network=_TINY,
        training=TrainingConfig(
            steps=4, batch_size=4, length=32, warmup_steps=2, validate_every=2, ema=0.9
        ),
        likelihood=TrainingConfig(
            steps=30, batch_size=4, length=32, warmup_steps=5, validate_every=10
        ),
        discriminator=SequenceDiscriminatorConfig(
            network=_DISCRIMINATOR.model_copy(
                update={"width": 32, "local_width": 4, "feedforward": 32}
            ),
            training=TrainingConfig(steps=4, batch_size=4, length=32, warmup_steps=2, ema=0.0),
            updates=1,
        ),
        validated=4,
        served_in=2,
        kept=2,
        transpose=2,
        defaults={"bars": 2},
    ),
}

CARD = Card(
    name="transformer_gan",
    paper=Paper(
        "Learning Adversarial Transformer for Symbolic Music Generation",
        "Ning Zhang",
        2020,
        "https://pubmed.ncbi.nlm.nih.gov/32614773/",
    ),
    summary="a Transformer that learns from a Transformer discriminator by policy gradient",
    tasks=frozenset({Task.GENERATE, Task.CONTINUE}),
    controls=SamplingControls,
    presets=PRESETS,
    load=TokenPerformer.load,
)

"""Performance RNN: the LSTM baseline (Oore et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping

from partimento.runtime.contract import Card, Paper, SamplingControls, Task
from partimento.runtime.presets import RecurrentConfig, TokenPreset, TrainingConfig
from partimento.runtime.tokens.performer import TokenPerformer

__all__ = ["CARD", "PRESETS"]

_GRID = {"name": "four_voice_grid", "lowest": 36, "highest": 81}
_BARS = {"name": "bar_events"}
_PIECES = {"name": "countdown", "base": _BARS, "bars": 8}
_CHORALE_PIECES = {"name": "countdown", "base": _GRID, "bars": 8}
_EVENTS = {"name": "performance_events"}

# The rivals of Music Transformer: its tokens, its augmentation, and as many tokens of training as
# its preset of the same name has (batch x length x steps), so that only the network differs.
_CHORALES = TokenPreset(
    representation=_GRID,
    network=RecurrentConfig(layers=2, width=512, local_width=1, token_width=64, dropout=0.3),
    training=TrainingConfig(steps=2813, batch_size=16, length=256, learning_rate=2e-3),
    defaults={"bars": 16, "tempo": 84.0},
)

PRESETS: Mapping[str, TokenPreset] = {
    "default": TokenPreset(
        representation=_BARS,
        network=RecurrentConfig(layers=2, width=512, local_width=1, token_width=512),
        training=TrainingConfig(
            minutes=30, batch_size=16, length=256, learning_rate=2e-3, patience=8
        ),
        defaults={"bars": 16},
    ),
    "piano": TokenPreset(
        representation=_PIECES,
        network=RecurrentConfig(layers=2, width=384, local_width=1, token_width=256),
        training=TrainingConfig(steps=3094, batch_size=16, length=256, learning_rate=2e-3),
        instruments=(0,),
        defaults={"bars": 16, "max_silence": 4.0},
    ),
    "chorales": _CHORALES,
    # From nothing; Music Transformer's preset of this name goes on from ``chorales``.
    "chorale_pieces": _CHORALES.model_copy(
        update={
            "representation": _CHORALE_PIECES,
            "training": _CHORALES.training.model_copy(update={"steps": 3375}),
        }
    ),
    # Oore et al.: three layers of 512 over 388 events, learning rate 1e-3, batch 64, clip 3.
    "paper": TokenPreset(
        representation=_EVENTS,
        network=RecurrentConfig(layers=3, width=512, local_width=1, token_width=512, dropout=0.0),
        training=TrainingConfig(
            steps=100_000,
            batch_size=64,
            length=512,
            learning_rate=1e-3,
            warmup_steps=0,
            schedule="constant",
            weight_decay=0.0,
            beta2=0.999,
            clip=3.0,
            ema=0.0,
        ),
        transpose=3,
        stretches=(0.95, 0.975, 1.0, 1.025, 1.05),
    ),
    "tiny": TokenPreset(
        representation=_EVENTS,
        network=RecurrentConfig(layers=2, width=24, local_width=1, token_width=16, dropout=0.1),
        training=TrainingConfig(
            steps=30, batch_size=4, length=64, warmup_steps=5, validate_every=10
        ),
        transpose=2,
        defaults={"bars": 2},
    ),
}

CARD = Card(
    name="performance_rnn",
    paper=Paper(
        "This Time with Feeling: Learning Expressive Musical Performance",
        "Sageev Oore, Ian Simon, Sander Dieleman, Douglas Eck, Karen Simonyan",
        2018,
        "https://arxiv.org/abs/1808.03715",
    ),
    summary="an LSTM over note events: the recurrent baseline",
    tasks=frozenset({Task.GENERATE, Task.CONTINUE}),
    controls=SamplingControls,
    presets=PRESETS,
    load=TokenPerformer.load,
)

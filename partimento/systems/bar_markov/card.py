"""Bar Markov: the next eighth from the last bar of eighths (Brooks et al. 1957)."""

from __future__ import annotations

from collections.abc import Mapping

from partimento.runtime.contract import Card, Paper, SamplingControls, Task
from partimento.runtime.presets import RecurrentConfig, TokenPreset, TrainingConfig
from partimento.runtime.tokens.performer import TokenPerformer

__all__ = ["CARD", "PRESETS"]

_MELODY = {"name": "melody_steps"}
_BAR = 8  # eighths in a bar of 4/4: the order of the chain, as in the paper

PRESETS: Mapping[str, TokenPreset] = {
    "default": TokenPreset(
        representation=_MELODY,
        network=RecurrentConfig(layers=0, width=128, local_width=_BAR, token_width=32),
        training=TrainingConfig(
            steps=600, batch_size=64, length=32, learning_rate=5e-3, validate_every=50, patience=6
        ),
        defaults={"bars": 16, "tempo": 96.0},
    ),
    "tiny": TokenPreset(
        representation=_MELODY,
        network=RecurrentConfig(layers=0, width=24, local_width=_BAR, token_width=16),
        training=TrainingConfig(
            steps=30,
            batch_size=4,
            length=16,
            learning_rate=1e-2,
            warmup_steps=5,
            ema=0.9,
            validate_every=10,
        ),
        transpose=2,
        defaults={"bars": 2},
    ),
}

CARD = Card(
    name="bar_markov",
    paper=Paper(
        "An Experiment in Musical Composition",
        "Frederick P. Brooks, Albert L. Hopkins, Peter G. Neumann, William V. Wright",
        1957,
        "https://doi.org/10.1109/TEC.1957.5222016",
    ),
    summary="a Markov chain over eighths whose memory is one bar: the smallest system",
    tasks=frozenset({Task.GENERATE, Task.CONTINUE}),
    controls=SamplingControls,
    presets=PRESETS,
    load=TokenPerformer.load,
)

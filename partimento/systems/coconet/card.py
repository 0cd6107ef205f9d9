"""Coconet: four-part counterpoint by convolution, any cells from any others, by Gibbs sampling."""

from __future__ import annotations

from partimento.runtime.contract import Card, Paper, Task
from partimento.runtime.grids.gibbs_performer import GibbsControls, GibbsPerformer
from partimento.runtime.presets import RollConfig, RollPreset, TrainingConfig

__all__ = ["CARD", "PRESETS"]

_VOICES = {
    "name": "track_grid",
    "tracks": [
        {"name": "Soprano", "program": 52, "voices": 1},
        {"name": "Alto", "program": 52, "voices": 1},
        {"name": "Tenor", "program": 52, "voices": 1},
        {"name": "Bass", "program": 52, "voices": 1},
    ],
}
_DEFAULTS = {"bars": 16, "tempo": 84.0, "steps": 64}

PRESETS: dict[str, RollPreset] = {
    # A tenth of the published network's products, for a CPU; dilations widen what it sees.
    "default": RollPreset(
        representation=_VOICES,
        network=RollConfig(layers=16, width=48, dilations=(1, 2, 4, 8)),
        training=TrainingConfig(
            steps=6000,
            batch_size=8,
            length=128,
            learning_rate=2e-3,
            warmup_steps=100,
            weight_decay=0.01,
            validate_every=300,
        ),
        defaults=_DEFAULTS,
    ),
    # Sizes of the paper (section 5): 64 layers of 128 filters.
    "paper": RollPreset(
        representation=_VOICES,
        network=RollConfig(layers=62, width=128),
        training=TrainingConfig(
            steps=60_000,
            batch_size=20,
            length=128,
            learning_rate=1e-3,
            schedule="constant",
            weight_decay=0.0,
        ),
        transpose=0,
        defaults=_DEFAULTS,
    ),
    "tiny": RollPreset(
        representation={
            "name": "track_grid",
            "tracks": [{"name": "High", "voices": 2}, {"name": "Low", "voices": 1}],
        },
        network=RollConfig(layers=2, width=8, window=128),
        training=TrainingConfig(
            steps=30, batch_size=4, length=64, warmup_steps=5, validate_every=10
        ),
        transpose=2,
        defaults={"bars": 2, "steps": 4},
    ),
}

CARD = Card(
    name="coconet",
    paper=Paper(
        "Counterpoint by Convolution",
        "Cheng-Zhi Anna Huang, Tim Cooijmans, Adam Roberts, Aaron Courville, Douglas Eck",
        2017,
        "https://arxiv.org/abs/1903.07227",
    ),
    summary="four-part counterpoint: any cells of a roll from any others, by Gibbs sampling",
    tasks=frozenset({Task.GENERATE, Task.CONTINUE, Task.INFILL, Task.ACCOMPANY}),
    controls=GibbsControls,
    presets=PRESETS,
    load=GibbsPerformer.load,
)

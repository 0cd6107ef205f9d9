"""GETMusic: any part from any part, by diffusion over a grid of tracks and sixteenths."""

from __future__ import annotations

from partimento.runtime.contract import Card, Paper, Task
from partimento.runtime.grids.performer import GridControls, GridPerformer
from partimento.runtime.presets import GridConfig, GridPreset, TrainingConfig

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
_BAND = {
    "name": "track_grid",
    "tracks": [
        {"name": "Bass", "program": 33, "voices": 1},
        {"name": "Drums", "program": 0, "voices": 1},
        {"name": "Guitar", "program": 25, "voices": 1},
        {"name": "Lead", "program": 80, "voices": 1},
        {"name": "Piano", "program": 0, "voices": 1},
        {"name": "Strings", "program": 48, "voices": 1},
    ],
}

# New music is drawn with some freedom, or it would repeat its notes. What goes with a given part
# is drawn more greedily, and for a choir what the model itself finds unlikely is regenerated.
_DEFAULTS = {
    "bars": 16,
    "tempo": 84.0,
    "steps": 20,
    "temperature": 0.7,
    "care": 8,
    "infill": {"temperature": 0.5, "choir": {"steps": 12, "refinements": 12}},
    "accompany": {"temperature": 0.2, "choir": {"steps": 12, "refinements": 12}},
}

PRESETS: dict[str, GridPreset] = {
    "default": GridPreset(
        representation=_VOICES,
        training=TrainingConfig(
            steps=8000,
            batch_size=6,
            length=256,
            learning_rate=8e-4,
            warmup_steps=150,
            validate_every=400,
            ema=0.998,
        ),
        defaults=_DEFAULTS,
    ),
    # What the shipped model began with: ten times the music of ``default``, for a GPU.
    "four_voices": GridPreset(
        representation=_VOICES,
        network=GridConfig(layers=6, dropout=0.2),
        training=TrainingConfig(
            steps=5660,
            batch_size=48,
            length=256,
            learning_rate=1.2e-3,
            warmup_steps=150,
            validate_every=300,
            ema=0.998,
        ),
        shares={"jsb_chorales": 3.0},
        defaults=_DEFAULTS,
    ),
    # Training as in the published configs/train.yaml.
    "paper": GridPreset(
        representation=_BAND,
        network=GridConfig(
            layers=12,
            width=768,
            heads=12,
            feedforward=3072,
            cell_width=96,
            head_width=96,
            near_width=1,
            reach=0,
            window=512,
            ensembles=("band",),
            dropout=0.1,
        ),
        training=TrainingConfig(
            steps=300_000,
            batch_size=3,
            length=512,
            learning_rate=1e-4,
            warmup_steps=1000,
            schedule="linear",
            weight_decay=0.01,
            beta2=0.999,
            clip=0.5,
            ema=0.9,
        ),
        loss="published",
        transpose=0,
    ),
    "tiny": GridPreset(
        representation={
            "name": "track_grid",
            "tracks": [{"name": "High", "voices": 2}, {"name": "Low", "voices": 1}],
        },
        network=GridConfig(
            layers=2,
            width=32,
            heads=2,
            feedforward=64,
            cell_width=8,
            head_width=16,
            near_width=16,
            reach=2,
            window=128,
            dropout=0.1,
        ),
        training=TrainingConfig(
            steps=30, batch_size=4, length=64, warmup_steps=5, validate_every=10
        ),
        transpose=2,
        defaults={"bars": 2, "steps": 8},
    ),
}

CARD = Card(
    name="getmusic",
    paper=Paper(
        "GETMusic: Generating Any Music Tracks with a Unified Representation and Diffusion "
        "Framework",
        "Ang Lv, Xu Tan, Peiling Lu, Wei Ye, Shikun Zhang, Jiang Bian, Rui Yan",
        2023,
        "https://arxiv.org/abs/2305.10841",
    ),
    summary="any part from any part: fills every cell that is asked for, given all the others",
    tasks=frozenset({Task.GENERATE, Task.CONTINUE, Task.INFILL, Task.ACCOMPANY}),
    controls=GridControls,
    presets=PRESETS,
    load=GridPerformer.load,
)

"""Jukebox: music in pure sound, as codes on several levels, each with a prior."""

from __future__ import annotations

from collections.abc import Mapping

from partimento.runtime.audio.presets import AudioData
from partimento.runtime.audio_tokens.performer import CodesControls, CodesPerformer
from partimento.runtime.audio_tokens.presets import (
    CodesConfig,
    JukeboxPreset,
    LyricsConfig,
    PriorConfig,
)
from partimento.runtime.contract import Card, Paper, Task
from partimento.runtime.presets import TrainingConfig

__all__ = ["CARD", "PRESETS"]

_PRIORS = (PriorConfig(window=1024), PriorConfig(), PriorConfig(overlap=0.125))
_TINY = TrainingConfig(
    steps=6, length=16, batch_size=2, learning_rate=2e-3, warmup_steps=2, ema=0.9, validate_every=3
)
_TINY_PRIOR = PriorConfig(
    window=16,
    row=4,
    layers=3,
    width=16,
    heads=2,
    attention_width=8,
    feedforward=16,
    conditioner_width=8,
    conditioner_depth=2,
    conditioner_cycle=2,
    dropout=0,
)
_PAPER_UPSAMPLER = PriorConfig(
    window=8192,
    row=128,
    layers=72,
    width=1920,
    heads=1,
    attention_width=480,
    feedforward=1920,
    conditioner_width=1024,
    conditioner_depth=16,
    conditioner_cycle=8,
    dropout=0,
)

PRESETS: Mapping[str, JukeboxPreset] = {
    # For a folder of one's own music: minutes as given, two hours if none are.
    "default": JukeboxPreset(
        priors=_PRIORS, training=JukeboxPreset().training.model_copy(update={"minutes": 120})
    ),
    # The scores of two games about space, in the sizes of the shipped model.
    "games": JukeboxPreset(
        priors=_PRIORS,
        codec_training=JukeboxPreset().codec_training.model_copy(update={"steps": 4000}),
        training=JukeboxPreset().training.model_copy(
            update={"steps": 700, "validate_every": 100, "learning_rate": 2e-3}
        ),
        steps=(3000, 2000, 1000),
    ),
    # Dhariwal et al. 2020, Tables 4 to 6: shapes to be counted.
    "paper": JukeboxPreset(
        codec=CodesConfig(
            kind="published",
            hops=(8, 32, 128),
            entries=(2048, 2048, 2048),
            code_width=64,
            width=32,
            depth=4,
            decay=0.99,
            restart_below=1.0,
        ),
        priors=(
            _PAPER_UPSAMPLER,
            _PAPER_UPSAMPLER,
            PriorConfig(
                window=8192,
                row=128,
                layers=72,
                width=4800,
                heads=8,
                attention_width=1200,
                feedforward=4800,
                overlap=0.125,
                dropout=0,
            ),
        ),
        lyrics=LyricsConfig(characters=512, layers=18, width=1280, heads=4),
        training=TrainingConfig(
            steps=500_000,
            length=8192,
            batch_size=512,
            learning_rate=1.5e-4,
            weight_decay=0.002,
            beta2=0.999,
            ema=0,
        ),
    ),
    "tiny": JukeboxPreset(
        data=AudioData(programs=((48,),), renditions=1, shard_seconds=30),
        codec=CodesConfig(
            hops=(256, 1024),
            entries=(16, 8),
            peaks=(1, 0),
            code_width=8,
            bins=64,
            encoder_widths=(16, 16),
            width=16,
            kernel=3,
            expansion=2,
            frame_blocks=1,
            code_blocks=1,
        ),
        priors=(_TINY_PRIOR, _TINY_PRIOR.model_copy(update={"overlap": 0.25})),
        codec_training=_TINY,
        training=_TINY,
    ),
}

CARD = Card(
    name="jukebox",
    paper=Paper(
        "Jukebox: A Generative Model for Music",
        "Prafulla Dhariwal, Heewoo Jun, Christine Payne, Jong Wook Kim, Alec Radford, "
        "Ilya Sutskever",
        2020,
        "https://arxiv.org/abs/2005.00341",
    ),
    summary="recorded music as codes on several levels, each sampled by a prior of its own",
    tasks=frozenset({Task.GENERATE, Task.CONTINUE}),
    controls=CodesControls,
    presets=PRESETS,
    load=CodesPerformer.load,
    makes="audio",
    has_codes=True,
)

"""MeLoDy: sound that a language model of semantic tokens leads, made by dual-path diffusion."""

from __future__ import annotations

from collections.abc import Mapping

from partimento.representations.words import WordsConfig
from partimento.runtime.audio.diffusion_presets import DiffusionConfig, MelodyPreset
from partimento.runtime.audio.led_latents import MelodyControls
from partimento.runtime.audio.led_performer import LedPerformer
from partimento.runtime.audio.presets import AudioData, CodecConfig
from partimento.runtime.conditions import ChordCondition, TextCondition
from partimento.runtime.contract import Card, Paper, Task
from partimento.runtime.presets import TrainingConfig, TransformerConfig

__all__ = ["CARD", "PRESETS"]

_TINY = TrainingConfig(
    steps=6, length=16, batch_size=2, learning_rate=1e-3, warmup_steps=2, ema=0.9, validate_every=3
)
_PAPER_TRAINING = TrainingConfig(
    length=2500, batch_size=16, learning_rate=1e-4, warmup_steps=0, schedule="constant"
)
_ENSEMBLES = ((48,), (52,), (0,), (19,), (73, 68, 71, 70))

PRESETS: Mapping[str, MelodyPreset] = {
    # For a folder of one's own music.
    "default": MelodyPreset(),
    # Chorales, songs and quartets, played by FluidSynth through five ensembles.
    "ensembles": MelodyPreset(
        data=AudioData(
            hours=2.5,
            programs=_ENSEMBLES,
            renditions=1,
            tempo=(0.75, 1.3),
            transpose=5,
            velocity=(45, 105),
            room=(0.0, 0.3),
            level_db=(-10.0, -1.5),
            soundfont="auto",
        ),
        defaults={"guidance": 2.0},
    ),
    # Lam et al. 2023: shapes to be counted, 250 latents of 16 numbers a second, 25 tokens.
    "paper": MelodyPreset(
        tokens=1024,
        words=WordsConfig(width=128, codes=1024),
        language=TransformerConfig(
            layers=24, width=1024, heads=16, kv_heads=16, feedforward=4096, attention="sliding",
            max_distance=256,
        ),
        codec=CodecConfig(
            size=480, hop=96, latent_frames=1, latent_width=16, joins=(), lookahead=0,
            encoder_widths=(256,), decoder_widths=(768,), encoder_blocks=(2,), decoder_blocks=(8,),
        ),
        diffusion=DiffusionConfig(
            kind="published", width=768, blocks=8, heads=12, coarse_layers=2, segment=64,
            length=2560, chunks=4, angle_width=256, hidden=768, guide=0, style=0,
        ),
        training=_PAPER_TRAINING,
    ),
    "tiny": MelodyPreset(
        data=AudioData(programs=((48,),), renditions=1, shard_seconds=30),
        codec=CodecConfig(
            latent_frames=4, latent_width=8, joins=(2, 2), lookahead=1, expansion=2,
            encoder_widths=(16, 16, 16), decoder_widths=(16, 16, 16), encoder_blocks=(1, 1, 1),
            decoder_blocks=(1, 1, 1),
        ),
        tokens=16,
        words=WordsConfig(buckets=64, gram_width=8, width=8, levels=2, codes=4),
        language=TransformerConfig(
            layers=1, width=64, heads=2, kv_heads=2, feedforward=32, attention="sliding",
            max_distance=16, local_width=2, token_width=4, dropout=0.0,
        ),
        diffusion=DiffusionConfig(
            width=16, blocks=1, heads=2, segment=4, length=16, chunks=4, angle_width=8, style=8,
        ),
        codec_training=_TINY.model_copy(update={"length": 4}),
        words_training=_TINY,
        language_training=_TINY,
        training=_TINY,
    ),
}  # fmt: skip

CARD = Card(
    name="melody",
    paper=Paper(
        "Efficient Neural Music Generation",
        "Max W. Y. Lam et al.",
        2023,
        "https://arxiv.org/abs/2305.15719",
    ),
    summary="sound led by chords, words and a score: a language model, then dual-path diffusion",
    tasks=frozenset({Task.GENERATE, Task.CONTINUE, Task.RENDER}),
    controls=MelodyControls,
    presets=PRESETS,
    load=LedPerformer.load,
    makes="audio",
    conditions=frozenset({ChordCondition, TextCondition}),
)

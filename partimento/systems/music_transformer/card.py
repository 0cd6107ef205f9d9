"""Music Transformer: a causal Transformer with relative attention (Huang et al. 2018)."""

from __future__ import annotations

import math
from collections.abc import Mapping

from partimento.runtime.contract import Card, Paper, SamplingControls, Task
from partimento.runtime.presets import TokenPreset, TrainingConfig, TransformerConfig
from partimento.runtime.tokens.performer import TokenPerformer

__all__ = ["CARD", "PRESETS"]

_GRID = {"name": "four_voice_grid", "lowest": 36, "highest": 81}
_BARS = {"name": "bar_events"}
_PIECES = {"name": "countdown", "base": _BARS, "bars": 8}
_CHORALE_PIECES = {"name": "countdown", "base": _GRID, "bars": 8}
_EVENTS = {"name": "performance_events"}

_CHORALES = TokenPreset(
    representation=_GRID,
    network=TransformerConfig(layers=4, width=256, max_distance=384, dropout=0.3),
    training=TrainingConfig(steps=5000, batch_size=6, length=384, learning_rate=8e-4),
    transpose=6,
    defaults={"bars": 16, "tempo": 84.0, "temperature": 0.95, "top_p": 0.97},
)
_PIANO = TokenPreset(
    representation=_PIECES,
    network=TransformerConfig(layers=4, width=256, max_distance=384, dropout=0.1),
    training=TrainingConfig(steps=5500, batch_size=6, length=384, learning_rate=8e-4),
    transpose=6,
    defaults={"bars": 16, "temperature": 0.95, "top_p": 0.97},
)


def _as_published(width: int, steps: int, batch_size: int, length: int) -> TrainingConfig:
    """Return the training of Tensor2Tensor's ``transformer_base``, which the paper builds on.

    Its rate is 2 / sqrt(width) min(step / 8000, 1) / sqrt(max(step, 8000)); Adam's betas are .9 and
    .997; there is no weight decay, no clipping and no average of the weights.
    """
    warmup = 8000
    return TrainingConfig(
        steps=steps,
        batch_size=batch_size,
        length=length,
        learning_rate=2.0 / math.sqrt(width * warmup),
        warmup_steps=warmup,
        schedule="inverse_sqrt",
        weight_decay=0.0,
        beta2=0.997,
        clip=1e9,
        ema=0.0,
    )


# The networks of the paper see one token, not the last sixteen.
PRESETS: Mapping[str, TokenPreset] = {
    # For a folder of one's own: half an hour, or less if the pieces are soon memorised;
    # the sizes are the largest that are chosen from (training/tokens/fitting.py).
    "default": _PIANO.model_copy(
        update={
            "training": TrainingConfig(minutes=30, length=384, learning_rate=8e-4, patience=8),
            "fit": True,
        }
    ),
    "chorales": _CHORALES,
    "chorales_absolute": _CHORALES.model_copy(
        update={"network": _CHORALES.network.model_copy(update={"attention": "absolute"})}
    ),
    # Intervals as well as pitches: what is learnt in one key holds in all.
    "chorales_relative_pitch": _CHORALES.model_copy(
        update={
            "network": _CHORALES.network.model_copy(
                update={"relative_inputs": True, "relative_outputs": 4}
            )
        }
    ),
    # For streams: every token costs the same, however many came before.
    "chorales_sliding": _CHORALES.model_copy(
        update={"network": _CHORALES.network.model_copy(update={"attention": "sliding"})}
    ),
    # Meant to start from a run of ``chorales``: it learns endings, and a second corpus.
    "chorale_pieces": _CHORALES.model_copy(
        update={
            "representation": _CHORALE_PIECES,
            "training": TrainingConfig(steps=1000, length=384, learning_rate=4e-4),
        }
    ),
    "piano": _PIANO.model_copy(
        update={"instruments": (0,), "defaults": {**_PIANO.defaults, "max_silence": 4.0}}
    ),
    # The row of the JSB table with relative attention: 5 layers, hidden 512, attention 512,
    # feed-forward 512, 256 relative distances, 8 heads.
    "paper_jsb": TokenPreset(
        representation=_GRID,
        network=TransformerConfig(
            layers=5,
            width=512,
            heads=8,
            feedforward=512,
            max_distance=256,
            local_width=1,
            token_width=512,
            dropout=0.1,
        ),
        training=_as_published(512, steps=300_000, batch_size=1, length=1024),
        transpose=0,
    ),
    # The paper's row of piano performances: 6 layers, hidden 256, attention 512, feed-forward 2048,
    # 1024 relative distances, 8 heads.
    "paper_piano": TokenPreset(
        representation=_EVENTS,
        network=TransformerConfig(
            layers=6,
            width=256,
            attention_width=512,
            heads=8,
            feedforward=2048,
            max_distance=1024,
            local_width=1,
            token_width=256,
            dropout=0.1,
        ),
        training=_as_published(256, steps=1_000_000, batch_size=3, length=2048),
        transpose=3,
        stretches=(0.95, 0.975, 1.0, 1.025, 1.05),
    ),
    # Magenta's published piano model is another: 8 layers, hidden 384, attention 512,
    # feed-forward 1024, dropout .2.
    "published_piano": TokenPreset(
        representation=_EVENTS,
        network=TransformerConfig(
            layers=8,
            width=384,
            attention_width=512,
            heads=8,
            feedforward=1024,
            max_distance=1024,
            local_width=1,
            token_width=384,
            dropout=0.2,
        ),
        training=_as_published(384, steps=1_000_000, batch_size=3, length=2048),
        transpose=3,
        stretches=(0.95, 0.975, 1.0, 1.025, 1.05),
    ),
    "tiny": TokenPreset(
        representation=_BARS,
        network=TransformerConfig(
            layers=2,
            width=32,
            heads=4,
            kv_heads=2,
            feedforward=64,
            max_distance=64,
            local_width=4,
            token_width=16,
            dropout=0.1,
        ),
        training=TrainingConfig(
            steps=30, batch_size=4, length=64, warmup_steps=5, validate_every=10
        ),
        transpose=2,
        defaults={"bars": 2},
    ),
}

CARD = Card(
    name="music_transformer",
    paper=Paper(
        "Music Transformer: Generating Music with Long-Term Structure",
        "Cheng-Zhi Anna Huang, Ashish Vaswani, Jakob Uszkoreit, Noam Shazeer, Ian Simon, "
        "Curtis Hawthorne, Andrew M. Dai, Matthew D. Hoffman, Monica Dinculescu, Douglas Eck",
        2018,
        "https://arxiv.org/abs/1809.04281",
    ),
    summary="a causal Transformer with relative attention over note events or a four-voice grid",
    tasks=frozenset({Task.GENERATE, Task.CONTINUE}),
    controls=SamplingControls,
    presets=PRESETS,
    load=TokenPerformer.load,
)

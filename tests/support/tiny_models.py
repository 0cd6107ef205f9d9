"""Small networks and small music that several test modules train, export and play."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from partimento import catalog
from partimento.config import validate_config
from partimento.files.corpora.corpus import Corpus
from partimento.files.corpora.items import CorpusItem
from partimento.music import Note, Score, TimeSignature, Track
from partimento.representations import FourVoiceGrid
from partimento.runtime.contract import Task
from partimento.runtime.decoders import TokenDecoder, decoder_kind
from partimento.runtime.presets import (
    RecurrentConfig,
    TokenPreset,
    TrainingConfig,
    TransformerConfig,
)
from partimento.runtime.sessions import open_session
from partimento.training.export.writer import quantized, token_graph
from partimento.training.tokens.task import TokenTask

GRID = {"name": "four_voice_grid", "lowest": 60, "highest": 66}
RECIPE = TrainingConfig(
    steps=12, batch_size=2, length=16, warmup_steps=2, validate_every=4, ema=0.9
)
ATTENTIONS = ("relative", "sliding", "rotary", "absolute")


def transformer(attention: str = "relative", **changes: Any) -> TransformerConfig:
    """Return a network of two layers whose longest distance is 24."""
    sizes = {
        "layers": 2, "width": 64, "heads": 4, "kv_heads": 2, "feedforward": 48,
        "max_distance": 24, "local_width": 3, "token_width": 8, "dropout": 0.0,
    }  # fmt: skip
    return TransformerConfig.model_validate({**sizes, "attention": attention, **changes})


def relative_pitch(attention: str = "relative", **changes: Any) -> TransformerConfig:
    """Return such a network with intervals in its first and its last layer."""
    relative = {"relative_inputs": True, "relative_outputs": 4, "local_width": 5}
    return transformer(attention, **{**relative, **changes})


def lstm(**changes: Any) -> RecurrentConfig:
    """Return an LSTM of two layers."""
    sizes = {"layers": 2, "width": 24, "local_width": 2, "token_width": 8, "dropout": 0.0}
    return RecurrentConfig.model_validate({**sizes, **changes})


def grid_preset(network: TransformerConfig | RecurrentConfig, **changes: Any) -> TokenPreset:
    """Return a preset over a grid of seven pitches."""
    values = {"representation": GRID, "network": network, "training": RECIPE, "transpose": 1}
    return TokenPreset.model_validate({**values, **changes})


def training_task_of(preset: TokenPreset, system: str = "") -> TokenTask:
    """Return the training_task of a preset, its weights those of seed 0 and far from symmetric."""
    if not system:
        is_lstm = isinstance(preset.network, RecurrentConfig)
        system = "performance_rnn" if is_lstm else "music_transformer"
    torch.manual_seed(0)
    training_task: TokenTask = import_module(f"partimento.systems.{system}.training").training_task(
        preset
    )
    return training_task


def system_task(system: str) -> Any:
    """Return the training_task of a system's preset ``tiny``: of tokens or of anything else."""
    preset = catalog.find_card(system).presets["tiny"]
    torch.manual_seed(0)
    return import_module(f"partimento.systems.{system}.training").training_task(preset)


def roughen(network: nn.Module, scale: float = 1.0) -> None:
    """Give every weight a size at which a fault in any part shows in the logits."""
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in network.parameters():
            fan_in = weight.shape[-1] if weight.ndim > 1 else 8
            weight.add_(torch.randn(weight.shape, generator=draw) * scale / fan_in**0.5)


def decoder_of(
    training_task: TokenTask, folder: Path, precision: str = "fp32"
) -> TokenDecoder[Any]:
    """Return the decoder of a training_task's exported graph."""
    graph, facts = token_graph(training_task)
    if precision == "int8":
        graph = quantized(graph)
    path = folder / f"{precision}.onnx"
    path.write_bytes(graph.SerializeToString())
    kind = decoder_kind(facts)
    checked = validate_config(kind.facts, facts, "network", strict=True)
    return kind(open_session(path, 1), training_task.representation, checked)


def torch_logits(
    training_task: TokenTask, columns: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Return the network's logits (S, V) of columns (S, C), without dropout."""
    training_task.network.eval()
    with torch.no_grad():
        logits: torch.Tensor = training_task.network(torch.from_numpy(columns)[None])[0]
    return logits.numpy()


def chorale(seed: int, bars: int = 4) -> Score:
    """Return four voices that step up and down inside seven pitches, struck again each bar."""
    draw = np.random.default_rng(seed)
    grid = FourVoiceGrid(60, 66)
    walk = np.cumsum(draw.integers(-1, 2, size=(bars * 4, 4)), axis=0) % 7
    return grid.score(np.repeat(60 + walk, 4, axis=0))


def song(seed: int, bars: int = 4) -> Score:
    """Return a piano score of one melody and one bass in 4/4."""
    draw = np.random.default_rng(seed)
    melody = tuple(
        Note(240 * at, int(60 + draw.integers(12)), 240, int(60 + draw.integers(40)))
        for at in range(bars * 8)
    )
    bass = tuple(Note(960 * at, int(40 + draw.integers(12)), 960, 70) for at in range(bars * 2))
    return Score(
        (Track("Piano", tuple(sorted((*melody, *bass)))),),
        time_signatures=(TimeSignature(0, 4, 4),),
        written_length_ticks=bars * 1920,
    )


class _Given:
    """Loads a score that is there already."""

    def __init__(self, score: Score) -> None:
        self.score = score

    def __call__(self) -> Score:
        return self.score


def corpus(scores: list[Score], valid: int = 1) -> Corpus:
    """Return scores as a corpus, the last ``valid`` of them for validation and for the test."""
    first_valid = len(scores) - valid
    items = tuple(
        CorpusItem(f"{at}.mid", "train" if at < first_valid else "valid", str(at), _Given(score))
        for at, score in enumerate(scores)
    )
    return Corpus("toy", "CC0-1.0", items)


def chorales(count: int = 4) -> Corpus:
    """Return a corpus of small chorales."""
    return corpus([chorale(seed) for seed in range(count)])


def groove(seed: int, bars: int = 8, loud: int = 40, late: int = 30) -> Score:
    """Return drums played by a hand uneven by up to ``loud`` in velocity, ``late`` in ticks."""
    draw = np.random.default_rng(seed)
    notes = []
    for at in range(bars * 8):
        for pitch in (42, *((36,) if at % 4 == 0 else ()), *((38,) if at % 4 == 2 else ())):
            onset = max(0, 240 * at + int(draw.integers(-late, late + 1)))
            notes.append(Note(onset, pitch, 60, 70 + int(draw.integers(-loud, loud + 1))))
    return Score((Track("Drums", tuple(notes), is_drum=True),))


def music_of(system: str) -> Corpus:
    """Return a small corpus of the kind of music that a system learns from."""
    if catalog.find_card(system).tasks == {Task.HUMANIZE}:
        return corpus([groove(seed) for seed in range(4)])
    return songs(3)


def songs(count: int = 4) -> Corpus:
    """Return a corpus of small piano pieces."""
    return corpus([song(seed) for seed in range(count)])

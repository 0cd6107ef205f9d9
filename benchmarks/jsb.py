"""Test NLL on the published JSB chorales task: S, A, T, B in sixteenths, nats a token.

The split is the published one (229/76/77), nothing but its training part was learnt from, and
every token of every test chorale counts. Contestants, all under ``benchmarks/models/``:

- relative attention (Music Transformer), in fp32 under PyTorch and in int8 under ONNX Runtime
  (its matrices are kept here in int8 with a step a row, for the space),
- absolute positions, the same network, data, steps and seed otherwise,
- an LSTM of about the same size, as Performance RNN has it,
- a counting model (interpolated n-grams), fitted here.

To make the weights again::

    partimento train music_transformer jsb_chorales --preset chorales -o runs/jsb-relative
    partimento train music_transformer jsb_chorales --preset chorales_absolute -o runs/jsb-absolute
    partimento train performance_rnn jsb_chorales --preset chorales -o runs/jsb-lstm
    partimento train performance_rnn chopin_first_editions:one_edition \\
        openscore_lieder:part=piano --preset piano -o runs/piano-lstm
    python -m benchmarks.jsb --keep runs

The last is the piano baseline of ``benchmarks.quality``. Relative and absolute positions had 5000
steps each; the weights of the LSTMs that are here had ``--steps 1000`` and ``--steps 400``.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from benchmarks.harness import Options, say, start
from benchmarks.rivals import RIVALS, pack, rival
from partimento.catalog import find_card
from partimento.config import validate_config
from partimento.files import open_corpus
from partimento.metrics.ngram import NGramModel
from partimento.music import Score
from partimento.representations import FourVoiceGrid
from partimento.representations.base import Tokens
from partimento.runtime.model_folder import ModelFolder
from partimento.runtime.presets import TokenPreset
from partimento.runtime.tokens.performer import TokenPerformer
from partimento.systems.music_transformer.training import training_task as make_training_task
from partimento.training.loop.run import load_best, told
from partimento.training.tokens.task import TokenTask, sequence_nll

WINDOW = 768
STEPS = ":step"  # of a matrix kept in int8, one a row


def chorales(split: str) -> list[Tokens]:
    """Return the token sequences of a published split."""
    grid = FourVoiceGrid()
    pieces = (piece for _, piece in open_corpus("jsb_chorales").pieces(split))
    return [grid.encode(piece) for piece in pieces if isinstance(piece, Score)]


def relative() -> TokenTask:
    """Return the network with relative attention and its weights."""
    folder = RIVALS / "jsb-relative"
    values = json.loads((folder / "preset.json").read_text())["preset"]
    training_task = make_training_task(validate_config(TokenPreset, values))
    stored = load_file(folder / "weights.safetensors")
    training_task.network.load_state_dict(
        {
            name: value.float() * stored.get(f"{name}{STEPS}", torch.ones(()))
            for name, value in stored.items()
            if not name.endswith(STEPS)
        }
    )
    training_task.network.eval()
    return training_task


def torch_nll(training_task: TokenTask, pieces: list[Tokens]) -> float:
    """Return nats a token of the network in fp32."""
    total, count = 0.0, 0
    for tokens in pieces:
        features = training_task.representation.features(tokens)
        nll = sequence_nll(
            training_task.network,
            training_task.representation,
            tokens,
            features,
            training_task.local_width,
            WINDOW,
        )
        total, count = total + float(nll.sum()), count + len(nll)
    return total / count


def player_nll(folder: ModelFolder, pieces: list[Tokens], precision: str = "int8") -> float:
    """Return nats a token of a model folder's graph, as the instrument plays it."""
    performer = TokenPerformer.load(folder, precision=precision)
    return float(np.concatenate([performer.nll(tokens) for tokens in pieces]).mean())


def run(options: Options) -> dict[str, Any]:
    """Measure every contestant on the test chorales."""
    test, train = chorales("test"), chorales("train")
    if options.quick:
        test = test[:6]
    figures: dict[str, Any] = {"tokens": sum(len(tokens) for tokens in test)}
    training_task = relative()
    figures["nll_test"] = round(torch_nll(training_task, test), 4)
    say(f"relative, fp32: {figures['nll_test']}")
    with tempfile.TemporaryDirectory() as name:
        folder = training_task.export(Path(name) / "jsb-relative", {})
        figures["nll_test_int8"] = round(player_nll(folder, test), 4)
    say(f"relative, int8: {figures['nll_test_int8']}")
    for key, name in (("nll_absolute", "jsb-absolute"), ("nll_lstm", "jsb-lstm")):
        figures[key] = round(player_nll(ModelFolder.open(rival(name)), test), 4)
        say(f"{name}: {figures[key]}")
    counts = NGramModel(FourVoiceGrid().vocabulary.size, (4, 1, 8, 2, 3), (4, 16)).fit(train)
    figures["nll_counting"] = round(
        float(np.concatenate([counts.nll(tokens) for tokens in test]).mean()), 4
    )
    return figures


def small(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return weights with the matrices in int8 and a step for each of their rows."""
    out: dict[str, torch.Tensor] = {}
    for name, value in weights.items():
        if value.ndim < 2:
            out[name] = value.float().contiguous()
            continue
        step = value.float().abs().amax(dim=-1, keepdim=True).clamp_min(1e-12) / 127
        out[name] = (value.float() / step).round().to(torch.int8).contiguous()
        out[f"{name}{STEPS}"] = step
    return out


def keep(runs: Path) -> None:
    """Copy what the benchmark needs from finished runs into ``benchmarks/models``."""
    target = RIVALS / "jsb-relative"
    target.mkdir(parents=True, exist_ok=True)
    preset = runs / "jsb-relative" / "training" / "preset.json"
    shutil.copy(preset, target / "preset.json")
    training_task = make_training_task(
        validate_config(TokenPreset, json.loads(preset.read_text())["preset"])
    )
    load_best(training_task, runs / "jsb-relative")
    save_file(small(training_task.network.state_dict()), target / "weights.safetensors")
    for name in ("jsb-absolute", "jsb-lstm", "piano-lstm"):
        values = json.loads((runs / name / "training" / "preset.json").read_text())
        card = find_card(values["system"])
        module = __import__(f"partimento.systems.{card.name}.training", fromlist=["training_task"])
        other = module.training_task(validate_config(TokenPreset, values["preset"]))
        state = load_best(other, runs / name)
        other.export(RIVALS / name, {"steps": state["step"], **told(state)})
        pack(RIVALS / name)


if __name__ == "__main__":
    if "--keep" in sys.argv:
        keep(Path(sys.argv[sys.argv.index("--keep") + 1]))
    else:
        start(
            __doc__,
            run,
            {
                "nll_test": lambda value: value <= 0.39,
                "nll_test_int8": lambda value: value <= 0.39 * 1.01,
            },
        )

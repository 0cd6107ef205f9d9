"""Test NLL on the published JSB chorales task: S, A, T, B in sixteenths, nats a token.

The split is the published one (229/76/77), nothing but its training part was learnt from, and
every token of every test chorale counts. Contestants:

- ``nll_test``: the best single network that is there, chosen by ``nll_valid``, in
  fp32 under PyTorch; matrices are kept there in int8 for the space. ``nll_test_int8``: its int8
  graph under ONNX Runtime. They hear up to 768 tokens. ``nll_relative`` and ``nll_relative_pitch``:
  relative attention (Music Transformer) without and with relative pitch; ``nll_distilled``: what
  ``benchmarks.distil`` made of both. Only the first is kept; a run that a command makes takes
  part as well, and is null where it is not there.
- ``nll_ensemble``: the mean of the probabilities of all but the distilled one. ``nll_transposed``:
  the mean of what the best network alone says of the piece as it is and in other keys (``SHIFTS``).
- ``nll_counting``: a counting model (interpolated n-grams), fitted here.

Others are not kept, since one command each trains them (``benchmarks.rivals.COMMANDS``;
``partimento train`` prints the time that is left). Where one is not there, its figure is null and
the command is printed:

- ``runs/NAME`` of the best: the same network with weights that never were int8.
  ``nll_unrounded`` is its fp32, ``int8_cost`` what the int8 graph of these weights has more.
- ``runs/jsb-absolute``: absolute positions; ``nll_absolute``. The same network, data, steps and
  seed as ``nll_relative`` otherwise. Its table ends at 384 places, so both are compared with
  windows of 384: beside it stands ``nll_relative_384``.
- ``runs/jsb-lstm``: an LSTM of about the same size, as Performance RNN has it, with as many tokens
  of training (11.5 million), in fp32, its memory unbroken; ``nll_lstm``.

To replace what is kept by a run: ``python -m benchmarks.jsb --keep runs``.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file

from benchmarks.harness import Options, say, start
from benchmarks.rivals import RIVALS, found
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
from partimento.training.loop.run import load_best
from partimento.training.tokens.task import TokenTask, sequence_nll

PLAIN, WITH_PITCH, DISTILLED = "jsb-relative", "jsb-relative-pitch", "jsb-distilled"
KEPT = {  # the figure of each network that is kept
    "nll_relative": PLAIN,
    "nll_relative_pitch": WITH_PITCH,
    "nll_distilled": DISTILLED,
}
WINDOW = 768
SHIFTS = (-1, 1, -2)
SAME_WINDOW = 384  # the longest that absolute positions of the preset reach
TARGETS: dict[str, Callable[[Any], bool]] = {
    "nll_test": lambda value: value <= 0.39,
    "nll_test_int8": lambda value: value <= 0.39 * 1.01,
    "int8_cost": lambda value: value is None or value <= 0.004,
    "gain_over_absolute": lambda value: value is None or value > 0,
    "gain_over_lstm": lambda value: value is None or value > 0,
}
STEPS = ":step"  # of a matrix kept in int8, one a row


def chorales(split: str) -> list[Tokens]:
    """Return the token sequences of a published split."""
    grid = FourVoiceGrid()
    pieces = (piece for _, piece in open_corpus("jsb_chorales").pieces(split))
    return [grid.encode(piece) for piece in pieces if isinstance(piece, Score)]


def kept(name: str) -> TokenTask | None:
    """Return a network that is kept and its weights, or None where it is not."""
    folder = RIVALS / name
    if not folder.exists():
        return None
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


def trained(name: str) -> TokenTask | None:
    """Return the network of a finished run in fp32, or None where there is none."""
    folder = found(name)
    if folder is None:
        return None
    values = json.loads((folder / "training" / "preset.json").read_text())
    card = find_card(values["system"])
    module = import_module(f"partimento.systems.{card.name}.training")
    made: TokenTask = module.training_task(validate_config(TokenPreset, values["preset"]))
    load_best(made, folder)
    made.network.eval()
    return made


def torch_nll(training_task: TokenTask, pieces: list[Tokens], window: int = WINDOW) -> float:
    """Return nats a token of the network in fp32, read in windows of so many tokens."""
    return float(each_nll(training_task, pieces, window).mean())


def each_nll(
    training_task: TokenTask, pieces: list[Tokens], window: int = WINDOW
) -> npt.NDArray[np.float64]:
    """Return the nats of every token (n,) of all pieces; see ``torch_nll``."""
    found = []
    for tokens in pieces:
        features = training_task.representation.features(tokens)
        nll = sequence_nll(
            training_task.network,
            training_task.representation,
            tokens,
            features,
            training_task.local_width,
            window,
        )
        found.append(np.asarray(nll, dtype=np.float64))
    return np.concatenate(found)


def transposed_nll(
    training_task: TokenTask, pieces: list[Tokens], untransposed: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the nats of every token (n,) by the mean of what is said of it in several keys.

    Pitches that a shift puts off the grid are read as its edge, and get no probability from that
    shift: so nothing is known of what comes later, and probabilities sum to at most 1.
    """
    rest = FourVoiceGrid().rest_token
    each = [untransposed]
    for shift in SHIFTS:
        moved = [np.where(tokens < rest, tokens + shift, tokens) for tokens in pieces]
        inside = np.concatenate(
            [
                (tokens >= rest) | ((at >= 0) & (at < rest))
                for tokens, at in zip(pieces, moved, strict=True)
            ]
        )
        clipped = [
            np.where(tokens < rest, np.clip(at, 0, rest - 1), at)
            for tokens, at in zip(pieces, moved, strict=True)
        ]
        each.append(np.where(inside, each_nll(training_task, clipped), np.inf))
    return mean_nll(each)


def mean_nll(each: Collection[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Return the nats (n,) of the mean of the probabilities given to the same tokens."""
    found: npt.NDArray[np.float64] = -np.log(np.mean([np.exp(-nll) for nll in each], axis=0))
    return found


def player_nll(folder: ModelFolder, pieces: list[Tokens], precision: str = "int8") -> float:
    """Return nats a token of a model folder's graph, as the instrument plays it."""
    performer = TokenPerformer.load(folder, precision=precision)
    return float(np.concatenate([performer.nll(tokens) for tokens in pieces]).mean())


def run(options: Options) -> dict[str, Any]:
    """Measure every contestant on the test chorales."""
    test, valid, train = chorales("test"), chorales("valid"), chorales("train")
    if options.quick:
        test, valid = test[:6], valid[:2]
    figures: dict[str, Any] = {"tokens": sum(len(tokens) for tokens in test)}
    tasks = {
        name: task for name in KEPT.values() if (task := kept(name) or trained(name)) is not None
    }
    on_valid = {name: torch_nll(task, valid) for name, task in tasks.items()}
    each = {name: each_nll(task, test) for name, task in tasks.items()}
    on_test = {name: float(nll.mean()) for name, nll in each.items()}
    best = min(on_valid, key=lambda name: on_valid[name])
    figures["best"], figures["nll_valid"] = best, round(on_valid[best], 4)
    figures["nll_test"] = round(on_test[best], 4)
    teachers = [nll for name, nll in each.items() if name != DISTILLED]
    figures["nll_ensemble"] = round(float(mean_nll(teachers).mean()), 4)
    figures["nll_test_int8"] = round(int8_nll(tasks[best], test), 4)
    for figure, name in KEPT.items():
        figures[figure] = round(on_test[name], 4) if name in on_test else None
    say(f"fp32, valid: {on_valid}, test: {on_test}; {best} int8: {figures['nll_test_int8']}")
    turned = transposed_nll(tasks[best], test, each[best])
    figures["nll_transposed"] = round(float(turned.mean()), 4)
    counts = NGramModel(FourVoiceGrid().vocabulary.size, (4, 1, 8, 2, 3), (4, 16)).fit(train)
    figures["nll_counting"] = round(
        float(np.concatenate([counts.nll(tokens) for tokens in test]).mean()), 4
    )
    return figures | against_runs(tasks, best, test)


def int8_nll(training_task: TokenTask, pieces: list[Tokens]) -> float:
    """Return nats a token of the int8 graph of a network."""
    with tempfile.TemporaryDirectory() as name:
        return player_nll(training_task.export(Path(name) / "int8", {}), pieces)


def against_runs(
    tasks: Mapping[str, TokenTask], best: str, test: list[Tokens]
) -> dict[str, float | None]:
    """Return the figures of the runs that are there, null for those that are not."""
    unrounded, absolute, lstm = (trained(name) for name in (best, "jsb-absolute", "jsb-lstm"))
    found: dict[str, float | None] = {"nll_unrounded": None, "int8_cost": None}
    if unrounded is not None:
        nll = torch_nll(unrounded, test)
        found = {"nll_unrounded": nll, "int8_cost": int8_nll(unrounded, test) - nll}
    relative = torch_nll(tasks[PLAIN], test, SAME_WINDOW)
    other = None if absolute is None else torch_nll(absolute, test, SAME_WINDOW)
    longest = max(map(len, test))  # an LSTM needs no windows
    memory = None if lstm is None else torch_nll(lstm, test, longest)
    found |= {"nll_relative_384": relative, "nll_absolute": other, "nll_lstm": memory}
    found["gain_over_absolute"] = None if other is None else other - relative
    found["gain_over_lstm"] = None if memory is None else memory - torch_nll(tasks[PLAIN], test)
    return {name: None if value is None else round(value, 4) for name, value in found.items()}


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
    """Copy what the benchmark needs from a finished run into ``benchmarks/models``."""
    preset = runs / PLAIN / "training" / "preset.json"
    target = RIVALS / PLAIN
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(preset, target / "preset.json")
    training_task = make_training_task(
        validate_config(TokenPreset, json.loads(preset.read_text())["preset"])
    )
    load_best(training_task, runs / PLAIN)
    save_file(small(training_task.network.state_dict()), target / "weights.safetensors")


if __name__ == "__main__":
    if "--keep" in sys.argv:
        keep(Path(sys.argv[sys.argv.index("--keep") + 1]))
    else:
        start(__doc__, run, TARGETS)

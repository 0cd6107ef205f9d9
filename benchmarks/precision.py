"""Are int8 products exact on this processor? Every shipped model against exact arithmetic.

    python -m benchmarks.precision [--emulate CPU] [--quick]

A processor without VNNI adds pairs of 8-bit products with saturation: large sums are clipped,
unless ONNX Runtime takes other kernels, as `runtime/sessions.py` asks. Every int8 graph of every
shipped model, and an LSTM of random weights (no recurrent model ships), gets the inputs that it
gets while it plays:

- ``saturation``: each int8 product against the same product in exact arithmetic, on the same
  inputs; the largest difference over the largest exact value, 0 where it is within what float32
  rounds. ``max_saturation`` is the largest of all and must be 0.
- ``output_error``: outputs of the whole graph, as it plays with fused kernels, against those of
  the graph with exact products (RMS of the difference over RMS); ``max_output_error`` must be
  below 1e-5.
- ``saturation_off``, ``output_error_off``: the same without the session option. Where products
  saturate without it (``saturates_without_option``), ``max_saturation_off`` must be above 0, else
  the benchmark could not see the fault (``sees_the_fault``).

A model that ships in fp32 is rounded here, by the code that exports int8 graphs, and measured like
the others; its ``rounding_error`` is what int8 costs beside weights that never were rounded.

Where qemu-user is installed (Debian: ``apt-get install qemu-user``), one call of each graph is
measured again as on a Haswell, which has AVX2 and neither VNNI nor AVX-512: figures under
``emulated``. ``--emulate CPU`` takes another processor of ``qemu-x86_64 -cpu help``, ``--emulate
none`` leaves it out.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper, numpy_helper

from benchmarks.exact_products import EXACT, PRODUCTS, beside, exact
from benchmarks.harness import Options, say, start
from partimento import api
from partimento.catalog import models, open_model
from partimento.representations.base import input_columns
from partimento.runtime import threads
from partimento.runtime.contract import Task
from partimento.runtime.decoders import AttentionDecoder
from partimento.runtime.model_folder import ModelFolder
from partimento.runtime.sessions import session_of
from partimento.systems.performance_rnn import PRESETS
from partimento.systems.performance_rnn.training import training_task as lstm_task
from partimento.training.export.writer import quantized

Feed = dict[str, npt.NDArray[Any]]
Open = Callable[[bytes], ort.InferenceSession]
EMULATED = "Haswell"
RECURRENT = "untrained-lstm"  # no recurrent model ships; saturation does not ask for training
QUICK = "musika-chorales"
GRAPH, UNROUNDED = "int8.onnx", "fp32.onnx"  # files of what is recorded
QEMU = "qemu-x86_64"
THREADS = 1  # under qemu, threads that wait for each other take most of the time
BARS, SECONDS = 8, 4.0  # that are played to record what graphs are given
PLACES = 64  # of a token model's prompt
MOST_OUTPUT_ERROR = 1e-5
# What float32 rounds: of a sum scaled to float, and of an LSTM's gates, which ONNX Runtime
# approximates. A saturated product is off by more than 1e-3 of the largest.
ROUNDING = {"MatMulInteger": 0.0, "MatMulIntegerToFloat": 1e-6, "DynamicQuantizeLSTM": 1e-5}


def exactly(graph: bytes) -> ort.InferenceSession:
    """Return a session as everything opens it."""
    return session_of(graph, THREADS)


def saturating(graph: bytes) -> ort.InferenceSession:
    """Return a session as ONNX Runtime opens it when it is asked for nothing."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = THREADS
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def saturates_without_option() -> bool:
    """Return whether int8 products saturate on this processor: 255 * 127 + 255 * 127 does."""
    a, w = np.full((1, 64), 255, np.uint8), np.full((64, 64), 127, np.int8)
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["a", "w"], ["y"])],
        "probe",
        [helper.make_tensor_value_info("a", TensorProto.UINT8, a.shape)],
        [helper.make_tensor_value_info("y", TensorProto.INT32, None)],
        [numpy_helper.from_array(w, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    model.ir_version = 10
    found = saturating(model.SerializeToString()).run(None, {"a": a})[0]
    return bool(np.any(found != 255 * 127 * 64))


@contextmanager
def recorded() -> Iterator[dict[str, list[Feed]]]:
    """Note what every graph is given while the block runs, by the name of its file."""
    feeds: dict[str, list[Feed]] = {}
    plain = ort.InferenceSession.run

    def run(session: Any, names: Any, feed: Mapping[str, Any], *more: Any) -> Any:
        kept = feeds.setdefault(session.name, [])
        kept.append({name: np.array(value) for name, value in feed.items()})
        return plain(session, names, feed, *more)

    with mock.patch.object(ort.InferenceSession, "run", run):
        yield feeds


def feeds_of(folder: ModelFolder) -> dict[str, list[Feed]]:
    """Return what each graph of a model gets while it plays, by the name of its file."""
    precision = "int8" if "int8" in folder.precisions else "fp32"
    instrument = api.load(str(folder.path), precision=precision)
    performer: Any = instrument._performer
    with recorded() as feeds:
        if instrument.makes == "audio":
            made = instrument.generate(seconds=SECONDS, seed=1)
            codec = getattr(performer, "codec", None)
            if codec is not None:
                codec.encode(made.audio.samples)  # what going on from a recording asks
            else:
                instrument.continue_(made, seconds=1.0, seed=1)
        elif Task.GENERATE in instrument.card.tasks:
            made = instrument.generate(bars=BARS, seed=1)
        else:
            api.humanize(api.load().generate(bars=BARS, seed=1).score, model=folder.name, seed=1)
    decoder = getattr(performer, "decoder", None)
    if isinstance(decoder, AttentionDecoder):
        feeds[folder.part("decoder", precision).name] = cached_feeds(decoder, made.score)
    return {
        name: [calls[at] for at in sorted({0, len(calls) // 2, len(calls) - 1})]
        for name, calls in feeds.items()
    }


def cached_feeds(decoder: AttentionDecoder, score: Any) -> list[Feed]:
    """Return two calls of a decoder that binds its cache: a prompt, and a place after it."""
    representation = decoder.representation
    tokens = representation.encode(score)[:PLACES]
    columns = input_columns(
        tokens, representation.features(tokens), representation.start_token, decoder.local_width
    )
    state = decoder.begin(1)
    prompt = {name: value for name, value in state.step.items() if name != "logits"}
    prompt["columns"] = columns[None, :-1]
    prompt["past"], prompt["total"] = (
        np.array([len(columns) + less], dtype=np.int32) for less in (-2, -1)
    )
    caches = [name for name in prompt if name.startswith(("key_", "value_"))]
    filled = decoder.session.run([f"new_{name}" for name in caches], prompt)
    place = prompt | dict(zip(caches, filled, strict=True))
    place["columns"] = columns[None, -1:]
    place["past"], place["total"] = prompt["past"] + 1, prompt["total"] + 1
    return [prompt, place]


def saturation(model: onnx.ModelProto, feeds: Sequence[Feed], open_graph: Open) -> float:
    """Return by how much int8 products are off, of the largest value of each; 0 if they are not."""
    both, kinds = beside(model)
    session, worst = open_graph(both.SerializeToString()), 0.0
    for kind, names in kinds.items():
        for feed in feeds:
            found = session.run([*names, *(f"{EXACT}{name}" for name in names)], feed)
            for ours, wanted in zip(found[: len(names)], found[len(names) :], strict=True):
                off = np.abs(ours.astype(np.float64) - wanted.astype(np.float64)).max()
                off /= max(float(np.abs(wanted.astype(np.float64)).max()), 1e-12)
                worst = max(worst, float(off) if off > ROUNDING[kind] else 0.0)
    return worst


def outputs(graph: bytes, feeds: Sequence[Feed], open_graph: Open) -> list[list[npt.NDArray[Any]]]:
    """Return all that a graph answers."""
    session = open_graph(graph)
    return [session.run(None, feed) for feed in feeds]


def difference(found: Sequence[Any], wanted: Sequence[Any]) -> float:
    """Return the largest of the outputs' differences, RMS over RMS, over all calls."""
    worst = 0.0
    for ours, right in zip(zip(*found, strict=True), zip(*wanted, strict=True), strict=True):
        a, b = (np.concatenate([np.ravel(each) for each in part]) for part in (ours, right))
        size = float(np.sqrt(np.mean(np.square(b, dtype=np.float64))))
        off = float(np.sqrt(np.mean(np.square(a.astype(np.float64) - b))))
        worst = max(worst, off / size if size else 0.0)
    return worst


def measured(graph: Path, feeds: Sequence[Feed]) -> dict[str, float]:
    """Return the figures of one graph."""
    model = onnx.load(graph)
    figures: dict[str, float] = {"products": sum(n.op_type in PRODUCTS for n in model.graph.node)}
    right = outputs(exact(model).SerializeToString(), feeds, exactly)
    for suffix, open_graph in (("", exactly), ("_off", saturating)):
        figures[f"saturation{suffix}"] = saturation(model, feeds, open_graph)
        found = outputs(graph.read_bytes(), feeds, open_graph)
        figures[f"output_error{suffix}"] = difference(found, right)
    if (unrounded := graph.with_name(UNROUNDED)).exists():
        full = outputs(unrounded.read_bytes(), feeds, exactly)
        figures["rounding_error"] = difference(right, full)
    return {name: float(f"{value:.3g}") for name, value in figures.items()}


def untrained(place: Path) -> ModelFolder:
    """Return the LSTM of the preset ``chorales`` with random weights, as a model folder."""
    torch.manual_seed(0)
    made: ModelFolder = lstm_task(PRESETS["chorales"]).export(place, {})
    return made


def record(names: Sequence[str], place: Path) -> None:
    """Play models, and keep their int8 graphs and what those were given."""
    for name in names:
        folder = untrained(place.parent / name) if name == RECURRENT else open_model(name)
        for file, feeds in sorted(feeds_of(folder).items()):
            inside = place / name / file.split(".")[0]
            inside.mkdir(parents=True)
            if ".int8." in file:
                shutil.copy(folder.path / file, inside / GRAPH)
            else:
                shutil.copy(folder.path / file, inside / UNROUNDED)
                onnx.save(quantized(onnx.load(folder.path / file)), inside / GRAPH)
            for at, feed in enumerate(feeds):
                np.savez(inside / f"{at}.npz", **feed)  # type: ignore[arg-type]


def measure(place: Path, calls: int | None = None) -> dict[str, Any]:
    """Return the figures of all graphs that were recorded, of so many calls, the smallest first."""
    graphs: dict[str, dict[str, float]] = {}
    for graph in sorted(place.rglob(GRAPH)):
        name = graph.parent.relative_to(place).as_posix()
        paths = sorted(graph.parent.glob("*.npz"), key=lambda path: path.stat().st_size)
        feeds = [dict(np.load(path)) for path in paths[:calls]]
        graphs[name] = measured(graph, feeds)
        say(f"{name}: {graphs[name]}")
    figures: dict[str, Any] = {
        f"max_{key}": max(each[key] for each in graphs.values())
        for key in ("saturation", "output_error", "saturation_off", "output_error_off")
    }
    saturates = saturates_without_option()
    figures["saturates_without_option"] = saturates
    figures["sees_the_fault"] = not saturates or figures["max_saturation_off"] > 0
    return figures | {"graphs": graphs}


def emulated(cpu: str, place: Path) -> dict[str, Any]:
    """Return the figures of another processor, which qemu emulates."""
    command = [QEMU, "-cpu", cpu, sys.executable, "-m", "benchmarks.precision", "--recorded"]
    done = subprocess.run([*command, str(place)], check=False, stdout=subprocess.PIPE)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def run(options: Options) -> dict[str, Any]:
    """Record what the models are given, and measure on this processor and on an emulated one."""
    if options.more.get("recorded"):
        # The file of the kernel names the processor below the emulated one.
        with mock.patch.object(threads, "_PROCESSOR_FILE", Path(os.devnull)):
            return measure(Path(str(options.more["recorded"])), calls=1)  # emulation is slow
    names = [QUICK] if options.quick else [each.name for each in models() if each.is_shipped]
    with tempfile.TemporaryDirectory() as name:
        place = Path(name) / "recorded"
        record([*names, RECURRENT], place)
        figures = measure(place)
        cpu = options.more.get("emulate") or ("none" if options.quick else EMULATED)
        if cpu != "none" and shutil.which(QEMU):
            say(f"as on a {cpu}:")
            figures["emulated"] = {cpu: emulated(cpu, place)}
    return figures


if __name__ == "__main__":
    start(
        __doc__,
        run,
        {
            "max_saturation": lambda value: value == 0,
            "max_output_error": lambda value: value <= MOST_OUTPUT_ERROR,
            "sees_the_fault": bool,
        },
        {
            "emulate": "the processor that qemu emulates, or none",
            "recorded": "measure one call of each graph that was recorded in this folder",
        },
    )

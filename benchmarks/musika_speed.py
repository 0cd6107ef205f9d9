"""How fast is endless sound? Coordinates to stereo WAV at 44.1 kHz in memory, 120 s, two cores.

    python -m benchmarks.musika_speed [--model NAME]

``realtime_factor`` is seconds of sound a second, the median of seven; ``first_audio_s`` the median
time from the call of a stream to its first samples, the model being loaded; ``peak_mb`` the largest
memory of a process of its own that loads the model and makes the 120 s. ``shares`` says what part
of the processor's time each stage takes (one after another, on one thread): latents, what the
decoder's network says, phases, spectra and their inverse, WAV. ``gflop_per_second`` is of the
networks for a second of sound, counted from their shapes; ``share_of_peak`` is what that comes to
beside the largest product this machine computes in float32 on two threads (``peak_gflops``,
measured in the same run): above 1 where products are in int8. Without a shipped model the weights
are as drawn, which changes nothing of the time.
"""

from __future__ import annotations

import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from benchmarks.audio_clips import F32, MODEL
from benchmarks.harness import Options, say, start
from partimento.catalog import open_model
from partimento.errors import PartimentoError
from partimento.playback.sinks import WavPipe
from partimento.representations.phase_tracks import steps_of
from partimento.representations.spectra import overlap_start
from partimento.runtime.audio.codec import turned_in_order
from partimento.runtime.audio.performer import LatentAudioPerformer, MusikaControls
from partimento.runtime.audio.presets import CodecConfig, GameConfig
from partimento.runtime.audio.stream import STRETCH
from partimento.runtime.contract import AUDIO_RATE_HZ, Request
from partimento.runtime.model_folder import ModelFolder
from partimento.runtime.sessions import session_of
from partimento.systems.musika import PRESETS
from partimento.systems.musika.training import training_task

SECONDS = 120.0
CORES = 2
ROUNDS = 7
LEAST_FACTOR, MOST_FIRST_SECONDS, MOST_MB = 150.0, 0.3, 600.0
PEAK_SIZE = 2048
STEP = 32  # latents that the network is given at once

_MEMORY = """
import json, os, resource, sys
import numpy as np
from partimento.runtime.contract import Request
from partimento.runtime.model_folder import ModelFolder
from partimento.runtime.audio.performer import LatentAudioPerformer, MusikaControls
folder, seconds, threads = ModelFolder.open(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
performer = LatentAudioPerformer.load(folder, threads)
request = Request(duration_seconds=seconds)
pieces = list(performer.stream(request, MusikaControls(), np.random.default_rng(1)))
whole = np.concatenate([piece.samples for piece in pieces], axis=1)
if os.path.exists("/proc/self/status"):  # there, getrusage counts the process that started us too
    line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    used = int(line.split()[1]) / 2**10
else:
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps(used))
"""


class _Noise:
    """Sound to settle the scales of int8 by, where there is no better."""

    def crops(self, draw: np.random.Generator, count: int, latents: int) -> tuple[F32, F32]:
        """Return samples (count, 2, N) and conditions (count, latents, 5)."""
        samples = draw.standard_normal((count, 2, latents * 4096), dtype=np.float32)
        return 0.1 * samples, np.full((count, latents, 5), 0.5, dtype=np.float32)


def model_of(name: str | None, place: Path) -> ModelFolder:
    """Return the model that is named or ships; else one with weights as drawn, in ``place``."""
    try:
        return open_model(name or MODEL)
    except PartimentoError:
        if name:
            raise
    say(f"{MODEL} is not here: weights as drawn")
    drawn = training_task(PRESETS["ensemble"])
    drawn.sets = {"valid": _Noise()}  # type: ignore[dict-item]
    folder: ModelFolder = drawn.export(place / "musika-drawn", {})
    return folder


def pieces_of(performer: LatentAudioPerformer, seconds: float, seed: int) -> Generator[F32]:
    """Yield the samples of a piece."""
    request = Request(duration_seconds=seconds)
    for piece in performer.stream(request, MusikaControls(), np.random.default_rng(seed)):
        yield piece.samples


def to_wav(pieces: Iterable[F32]) -> bytes:
    """Return pieces as a WAV in memory."""
    out = io.BytesIO()
    sink = WavPipe(out)
    for samples in pieces:
        sink.take(samples)
    return out.getvalue()


def peak_gflops(threads: int) -> float:
    """Return the speed of the largest product, in GFLOP a second: the best of seven."""
    side = PEAK_SIZE
    draw = np.random.default_rng(0)
    x, w = (draw.standard_normal((side, side), dtype=np.float32) for _ in range(2))
    shape: list[str | int] = [side, side]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "peak",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(w, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    model.ir_version = 10
    session = session_of(model.SerializeToString(), threads)
    took = [seconds_of(lambda: session.run(None, {"x": x})) for _ in range(8)][1:]
    return 2 * side**3 / min(took) / 1e9


def seconds_of(call: Callable[[], Any]) -> float:
    """Return the seconds that a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def decoder_flop(config: CodecConfig) -> float:
    """Return the decoder's operations for a second of sound: two for each weight and step."""
    rate = AUDIO_RATE_HZ / config.latent_samples
    widths, splits = config.decoder_widths, (1, *reversed(config.joins))
    total, before = 0.0, config.latent_width
    for width, blocks, split in zip(widths, config.decoder_blocks, splits, strict=True):
        total += before * width * split * rate  # at the rate of the level before
        rate *= split
        total += blocks * (2 * config.expansion * width + config.kernel) * width * rate
        before = width
    total += before * 4 * (config.size // 2 + 1) * rate
    return 2 * total


def generator_flop(config: GameConfig, codec: CodecConfig) -> float:
    """Return the generator's operations for a second of sound."""
    inner = config.coordinate + config.noise + config.conditions
    block = 2 * config.expansion * config.width + config.kernel + 2 * config.style
    a_latent = (inner + config.blocks * block + codec.latent_width) * config.width
    return 2 * a_latent * AUDIO_RATE_HZ / codec.latent_samples


def shares(performer: LatentAudioPerformer, seconds: float) -> dict[str, float]:
    """Return which share of the processor's time each stage takes, one after another."""
    codec = performer.codec
    count = round(seconds * AUDIO_RATE_HZ / codec.latent_samples)
    source = performer.source(MusikaControls(), np.random.default_rng(1))
    network, track, tail = codec.enter(), codec.track(), overlap_start(codec.framing, 2)
    sink = WavPipe(io.BytesIO())
    marks = dict.fromkeys(("latents", "network", "phases", "sound", "wav"), 0.0)
    for start_at in range(0, count, STRETCH):
        clock = [time.thread_time()]
        latents = source(start_at, start_at + STRETCH)
        clock.append(time.thread_time())
        stretches = []
        for part in np.split(latents, STRETCH // STEP):
            said, network = codec.said(network, part)
            stretches += said
        clock.append(time.thread_time())
        for stretch in stretches:
            steps_of(stretch.frames, codec.framing.overlap)
        again = time.thread_time() - clock[-1]  # was in the network's time already
        clock.append(time.thread_time())
        turned, track = turned_in_order(stretches, track)
        clock.append(time.thread_time())
        samples, tail = codec.sound(turned, tail)
        clock.append(time.thread_time())
        sink.take(samples)
        clock.append(time.thread_time())
        spent = np.diff(clock)
        times = (spent[0], spent[1] - again, spent[3] + again, spent[4], spent[5])
        for name, value in zip(marks, times, strict=True):
            marks[name] += float(value)
    total = sum(marks.values())
    return {name: round(value / total, 3) for name, value in marks.items()}


def run(options: Options) -> dict[str, Any]:
    """Measure."""
    rounds, seconds = (2, 20.0) if options.quick else (ROUNDS, SECONDS)
    with tempfile.TemporaryDirectory() as place:
        folder = model_of(options.more.get("model"), Path(place))
        performer = LatentAudioPerformer.load(folder, CORES)
        to_wav(pieces_of(performer, seconds, 0))  # the first run lays out the memory
        whole, first = [], []
        for seed in range(1, 1 + rounds):
            whole.append(seconds_of(partial(to_wav, pieces_of(performer, seconds, seed))))
            stream = pieces_of(performer, seconds, seed)
            first.append(seconds_of(partial(next, stream)))
            stream.close()
            say(f"{seconds / whole[-1]:.0f}x, first sound after {1000 * first[-1]:.0f} ms")
        command = [sys.executable, "-c", _MEMORY, str(folder.path), str(seconds), str(CORES)]
        memory = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        factor = seconds / statistics.median(whole)
        network = decoder_flop(performer.codec.config)
        flop = network + generator_flop(performer.generator.config, performer.codec.config)
        peak = peak_gflops(CORES)
        return {
            "realtime_factor": round(factor, 1),
            "first_audio_s": round(statistics.median(first), 4),
            "peak_mb": round(memory, 1),
            "shares": shares(performer, seconds),
            "gflop_per_second": round(flop / 1e9, 3),
            "peak_gflops": round(peak, 1),
            "share_of_peak": round(flop * factor / 1e9 / peak, 3),
            "model": folder.name,
        }


if __name__ == "__main__":
    start(
        __doc__,
        run,
        {
            "realtime_factor": lambda value: value >= LEAST_FACTOR,
            "first_audio_s": lambda value: value <= MOST_FIRST_SECONDS,
            "peak_mb": lambda value: value <= MOST_MB,
        },
        {"model": "the model that plays: a name or a folder"},
    )

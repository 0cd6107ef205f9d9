"""How fast is Jukebox? Twenty seconds of sound by all levels, on two cores.

    python -m benchmarks.jukebox_speed [--model NAME]

``seconds_20s`` is the time of 20 s of sound, all levels sampled and the finest decoded, the median
of three; ``levels`` what each level's codes take of it, the coarsest first, and ``decode`` the
finest sound; ``first_preview_s`` the time from the call to sound of the coarsest level;
``realtime_factor`` seconds of sound a second; ``steps_per_second_of_sound`` how many codes one
after another a second of sound needs (the paper's hops of 8, 32 and 128 need 7,235);
``eager_ratio`` how many times longer a step of the finest prior takes in PyTorch when the window is
run again for each code, as a loop without a cache does; ``peak_mb`` the largest memory of a process
of its own that loads the model and makes the 20 s. Without a model weights are as drawn, which
changes nothing of the time.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.harness import Options, say, start, timed
from benchmarks.recorded_clips import MODEL
from partimento.catalog import open_model
from partimento.errors import PartimentoError
from partimento.music import Audio
from partimento.runtime.audio_tokens.performer import CodesControls, CodesPerformer
from partimento.runtime.codes import Codes
from partimento.runtime.contract import AUDIO_RATE_HZ, Request
from partimento.runtime.model_folder import ModelFolder
from partimento.systems.jukebox import PRESETS
from partimento.systems.jukebox.networks import priors_of
from partimento.systems.jukebox.training import JukeboxTask

SECONDS, CORES, ROUNDS = 20.0, 2, 3
MOST_SECONDS, MOST_PREVIEW = 20.0, 2.0
PLACES = 5  # lengths of the window at which a step without a cache is measured

_MEMORY = """
import json, sys
import numpy as np
from partimento.runtime.contract import Request
from partimento.runtime.model_folder import ModelFolder
from partimento.runtime.audio_tokens.performer import CodesControls, CodesPerformer
performer = CodesPerformer.load(ModelFolder.open(sys.argv[1]), int(sys.argv[3]))
request = Request(duration_seconds=float(sys.argv[2]))
list(performer.stream(request, CodesControls(), np.random.default_rng(1)))
line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps(int(line.split()[1]) / 2**10))
"""
TARGETS = {
    "seconds_20s": lambda value: value <= MOST_SECONDS,
    "first_preview_s": lambda value: value <= MOST_PREVIEW,
}


def model_of(name: str | None, place: Path, preset: str) -> ModelFolder:
    """Return the model that is named or ships; else one with weights as drawn, in ``place``."""
    try:
        return open_model(name or MODEL)
    except PartimentoError:
        if name:
            raise
    say(f"{MODEL} is not here: weights as drawn")
    return JukeboxTask(PRESETS[preset]).export(place / "jukebox-drawn", {})


def made(performer: CodesPerformer, seconds: float, seed: int) -> dict[str, float]:
    """Return when each thing came of a piece, in seconds from the call."""
    request, began = Request(duration_seconds=seconds), time.perf_counter()
    marks: dict[str, float] = {}
    for each in performer.stream(request, CodesControls(), np.random.default_rng(seed)):
        now = time.perf_counter() - began
        if isinstance(each, Codes):
            level = min(int(name[5:]) for name in each.arrays if name.startswith("level"))
            marks.setdefault(f"level{level}", now)
        elif isinstance(each, Audio):
            marks["sound"] = now
        else:
            marks.setdefault("preview", now)
    marks["whole"] = time.perf_counter() - began
    return marks


def sampled(performer: CodesPerformer, seconds: float) -> dict[str, float]:
    """Return the seconds that the codes of each level take, and the decoding of the finest."""
    marks: dict[str, float] = {}
    levels = len(performer.codecs)
    begun = performer._begun(Request())
    streams = performer._streams(CodesControls(), begun, 1)
    for level in reversed(range(levels)):
        count = int(seconds * AUDIO_RATE_HZ / performer.codecs[level].hop)
        marks[f"level{level}"] = timed(lambda at=level, n=count: streams[at].ensure(n))
    codes = streams[0].part(0, int(seconds * AUDIO_RATE_HZ / performer.codecs[0].hop))
    marks["decode"] = timed(lambda: performer.codecs[0].decode_all(codes))
    return {name: round(value, 3) for name, value in marks.items()}


def eager_ratio(performer: CodesPerformer) -> float:
    """Return the time of a step without a cache in PyTorch over that of one with, at the finest."""
    config, entries = performer.facts.priors[0], performer.facts.codec.entries
    preset = PRESETS["tiny"].model_copy(
        update={"codec": performer.facts.codec, "priors": performer.facts.priors}
    )
    prior, ratio = priors_of(preset)[0].eval(), performer._ratios[0]
    row = max(config.row, ratio)
    spent = []
    with torch.inference_mode():
        for at in range(1, PLACES + 1):
            length = max(row, config.window * at // PLACES // row * row)
            batch = {
                "codes": torch.zeros(1, length, dtype=torch.int64),
                "artist": torch.zeros(1, dtype=torch.int64),
                "genres": torch.zeros(1, 5, dtype=torch.int64),
                "upper": torch.zeros(1, length // ratio, dtype=torch.int64),
            }
            spent.append(min(timed(lambda each=batch: prior(each)) for _ in range(3)))
    session = performer.priors[0]
    told = np.zeros((1, config.window // ratio), dtype=np.int64)
    artist, genres = np.zeros(1, dtype=np.int64), np.zeros((1, 5), dtype=np.int64)
    code = np.zeros((1, 1), dtype=np.int64)

    def window() -> None:
        state = session.begin(artist, genres, told)
        session.append(state, code[:, :0])
        for _ in range(config.window - 1):
            session.append(state, code)

    assert entries
    return statistics.mean(spent) / (min(timed(window) for _ in range(2)) / config.window)


def run(options: Options) -> dict[str, Any]:
    """Measure."""
    torch.set_num_threads(CORES)
    rounds, seconds = (1, 2.0) if options.quick else (ROUNDS, SECONDS)
    with tempfile.TemporaryDirectory() as place:
        preset = "tiny" if options.quick else "games"
        folder = model_of(options.more.get("model"), Path(place), preset)
        performer = CodesPerformer.load(folder, CORES)
        made(performer, 1.0, 0)  # the first run lays out the memory
        marks = [made(performer, seconds, seed) for seed in range(1, 1 + rounds)]
        whole = statistics.median(each["whole"] for each in marks)
        say(f"{seconds:g} s of sound in {whole:.2f} s: {marks[0]}")
        command = [sys.executable, "-c", _MEMORY, str(folder.path), str(seconds), str(CORES)]
        memory = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        hops = performer.facts.codec.hops
        return {
            "seconds_20s": round(whole * SECONDS / seconds, 2),
            "levels": sampled(performer, seconds),
            "first_preview_s": round(statistics.median(each["preview"] for each in marks), 3),
            "realtime_factor": round(seconds / whole, 2),
            "steps_per_second_of_sound": round(sum(AUDIO_RATE_HZ / hop for hop in hops), 1),
            "eager_ratio": round(eager_ratio(performer), 2),
            "peak_mb": round(memory, 1),
            "model": folder.name,
        }


if __name__ == "__main__":
    start(__doc__, run, TARGETS, {"model": "the model that plays: a name or a folder"})

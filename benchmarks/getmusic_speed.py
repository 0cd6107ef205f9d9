"""How fast is a piece filled? 32 bars of 4/4, four tracks, on two cores, at the default steps.

``seconds_32_bars`` is the median time from the request to the score, from nothing, with the int8
graph; ``seconds_accompany`` for three parts to a first one that is given. ``ratio_torch`` is how
many times longer the same takes with the same network in PyTorch in fp32: in the same sampler,
the torch network computes each of the very same calls (weights drawn at random: they do not change
the time), and the sampler goes on with what the graph had answered, so both take the same way.
Contestants take turns; the figure is the ratio of the medians. ``notes_per_s`` stands beside Music
Transformer's, which writes 32 bars of the same four voices token by token.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.getmusic_table import MODEL
from benchmarks.harness import Options, say, start
from partimento import api
from partimento.config import validate_config
from partimento.music import Score
from partimento.runtime.presets import GridPreset
from partimento.systems.getmusic.training import training_task

BARS = 32
CORES = 2
ROUNDS = 5
MOST_SECONDS = 2.0
CHORALES = "music-transformer-chorales"
INPUTS = ("cells", "sounding", "features", "given", "context")


class Recorder:
    """A session that remembers what it answered."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.answers: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run(self, names: Sequence[str] | None, feeds: Mapping[str, Any], *more: Any) -> Any:
        """Run the graph."""
        self.answers.append(self._session.run(names, feeds, *more))
        return self.answers[-1]


class Torch:
    """A session that computes in PyTorch, and answers what was recorded."""

    def __init__(self, network: torch.nn.Module, recorded: Recorder) -> None:
        self._network, self._recorded = network.eval(), recorded
        self.done = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._recorded, name)

    @torch.inference_mode()
    def run(self, names: Sequence[str] | None, feeds: Mapping[str, Any], *more: Any) -> Any:
        """Run the network."""
        given = (torch.from_numpy(np.ascontiguousarray(feeds[name])) for name in INPUTS)
        [half.numpy() for half in self._network(*given)]
        self.done += 1
        return self._recorded.answers[self.done - 1]


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return (the seconds that a call takes, what it returns)."""
    began = time.perf_counter()
    out = call()
    return time.perf_counter() - began, out


def generated(instrument: Any, seed: int) -> Score:
    """Return 32 bars of 4/4 from nothing."""
    made: Score = instrument.generate(bars=BARS, time_signature="4/4", seed=seed).score
    return made


def torch_session(instrument: Any, recorded: Recorder) -> Torch:
    """Return a session that plays an instrument's calls again in PyTorch."""
    preset = validate_config(GridPreset, instrument.folder.config["preset"], "preset")
    return Torch(training_task(preset).network, recorded)


def run(options: Options) -> dict[str, Any]:
    """Let the contestants take turns."""
    torch.set_num_threads(CORES)
    instrument = api.load(options.more.get("model") or MODEL, threads=CORES, precision="int8")
    chorales = api.load(CHORALES, threads=CORES)
    performer: Any = instrument._performer
    player = performer.network
    session = player.session
    times: dict[str, list[float]] = {name: [] for name in ("ours", "accompany", "torch", "other")}
    notes: dict[str, list[float]] = {"ours": [], "other": []}
    generated(instrument, 0)  # the first run of a graph lays out its memory
    for seed in range(1, 1 + (2 if options.quick else ROUNDS)):
        took, made = seconds(partial(generated, instrument, seed))
        times["ours"].append(took)
        notes["ours"].append(len(made.notes) / took)
        given = made.with_tracks(made.tracks[:1])
        parts = [track.name for track in made.tracks[1:]]
        took, _ = seconds(partial(instrument.accompany, given, tracks=parts, seed=seed))
        times["accompany"].append(took)
        player.session = Recorder(session)
        generated(instrument, seed)
        player.session = torch_session(instrument, player.session)
        took, _ = seconds(partial(generated, instrument, seed))
        times["torch"].append(took)
        player.session = session
        took, made = seconds(partial(generated, chorales, seed))
        times["other"].append(took)
        notes["other"].append(len(made.notes) / took)
        say(", ".join(f"{name} {spent[-1]:.2f} s" for name, spent in times.items()))
    middle = {name: statistics.median(spent) for name, spent in times.items()}
    return {
        "seconds_32_bars": round(middle["ours"], 3),
        "seconds_accompany": round(middle["accompany"], 3),
        "ratio_torch": round(middle["torch"] / middle["ours"], 2),
        "notes_per_s": round(statistics.median(notes["ours"]), 1),
        "notes_per_s_music_transformer": round(statistics.median(notes["other"]), 1),
        "tracks": len(instrument.folder.config["tracks"]),
        "steps": instrument.folder.config["defaults"].get("steps"),
    }


if __name__ == "__main__":
    start(
        __doc__,
        run,
        {"seconds_32_bars": lambda value: value <= MOST_SECONDS},
        {"model": "the model that plays: a name or a folder"},
    )

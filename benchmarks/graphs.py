"""Graphs by the exporter against the same network built node by node.

The generator of curves is exported both ways and played on one thread, the two taking turns; the
figures are processor time, so that other programs on the machine do not count. ``ratio_b1`` and
``ratio_b64`` are the exporter's time over the hand-built graph's for one window and for 64;
``difference`` is the largest difference of either from torch.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
import torch

from benchmarks.harness import Options, say, start
from partimento.representations.performance_curves import PerformanceCurves
from partimento.runtime.sessions import Session, session_of
from partimento.systems.tts_gan.card import PRESETS
from partimento.systems.tts_gan.networks import network
from partimento.training.export.curve_graph import generator_graph
from partimento.training.export.modules import export_module

_BATCHES = {1: 200, 64: 6}  # windows at once: runs a round


def _cpu_seconds(session: Session, feed: dict[str, Any], count: int) -> float:
    began = time.process_time()
    for _ in range(count):
        session.run(["values"], feed)
    return (time.process_time() - began) / count


def run(options: Options) -> dict[str, Any]:
    """Export both ways, compare the numbers, then the times."""
    torch.manual_seed(0)
    preset = PRESETS["groove"]
    config, curves = preset.network, PerformanceCurves.of_spec(preset.representation)
    module = network(preset).eval()
    weights = {name: value.detach().numpy() for name, value in module.state_dict().items()}

    def inputs(batch: int) -> dict[str, torch.Tensor]:
        return {
            "noise": torch.randn(batch, config.latent),
            "grain": torch.randn(batch, curves.steps, config.grain),
            "condition": torch.randn(batch, curves.steps, curves.feature_count),
        }

    free = {name: {0: "B"} for name in inputs(1)}
    graphs = {
        "hand": generator_graph(config, weights),
        "exporter": export_module(module, inputs(2), ["values"], free),
    }
    sessions = {name: session_of(g.SerializeToString(), 1) for name, g in graphs.items()}
    figures: dict[str, Any] = {"difference": 0.0}
    for batch, count in _BATCHES.items():
        given = inputs(batch)
        with torch.no_grad():
            wanted = module(*given.values()).numpy()
        feed = {name: value.numpy() for name, value in given.items()}
        for session in sessions.values():
            apart = float(np.abs(session.run(["values"], feed)[0] - wanted).max())
            figures["difference"] = max(figures["difference"], apart)
        times: dict[str, list[float]] = {name: [] for name in sessions}
        for _ in range(2 if options.quick else 15):
            for name, session in sessions.items():
                times[name].append(_cpu_seconds(session, feed, 2 if options.quick else count))
        medians = {name: statistics.median(each) for name, each in times.items()}
        say(f"{batch} windows: {', '.join(f'{n} {1e6 * t:.0f} us' for n, t in medians.items())}")
        figures[f"ratio_b{batch}"] = round(medians["exporter"] / medians["hand"], 3)
    return figures


if __name__ == "__main__":
    start(
        __doc__,
        run,
        {
            "difference": lambda value: value < 1e-4,
            "ratio_b1": lambda value: value <= 1.1,
            "ratio_b64": lambda value: value <= 1.1,
        },
    )

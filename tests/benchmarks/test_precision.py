"""The benchmark of precision runs, and sees the fault that it looks for."""

from __future__ import annotations

import json
import subprocess
import sys

from support.source import ROOT


def test_int8_products_of_a_shipped_model_are_exact() -> None:
    command = [sys.executable, "-m", "benchmarks.precision", "--quick"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["max_saturation"] == 0
    assert figures["max_output_error"] < 1e-5
    assert figures["sees_the_fault"]
    names = [f"musika-chorales/{part}" for part in ("decoder", "encoder", "generator")]
    assert list(figures["graphs"]) == [*names, "untrained-lstm/decoder"]
    assert all(graph["products"] > 0 for graph in figures["graphs"].values())

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from support.browsing import CHROMIUM
from support.source import ROOT


def last_line(name: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--quick"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    figures: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return figures


def test_the_benchmark_of_the_server_runs() -> None:
    figures = last_line("server")
    assert figures["hostile"] == {"tried": 8, "through": [], "answers": True}
    assert figures["lost_after_kill"] == 0


@pytest.mark.skipif(not CHROMIUM, reason="no chromium on this machine")
def test_the_benchmark_of_the_studio_runs() -> None:
    pytest.importorskip("playwright")
    figures = last_line("studio")
    assert set(figures) == {"frames_per_second", "paint_ms", "first_sound_ms", "page_bytes"}

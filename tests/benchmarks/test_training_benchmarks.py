"""The benchmarks of training run; their figures are those of a few tries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.source import ROOT


def last_line(*arguments: str, nowhere: Path) -> dict[str, Any]:
    """Return what a benchmark prints, without a data pack."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments, "--quick", "--data", str(nowhere)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(figures, dict)
    return figures


@pytest.mark.timeout(900)
def test_small_training(tmp_path: Path) -> None:
    figures = last_line("benchmarks.small_training", nowhere=tmp_path)
    keys = {"seconds_to_first_word", "ctrl_c_answer_s", "ctrl_c_s", "nll", "nll_counting", "holds"}
    assert keys <= figures.keys()
    assert figures["notes_played"] > 0


@pytest.mark.timeout(900)
def test_kill(tmp_path: Path) -> None:
    figures = last_line("benchmarks.kill", "--kills", "2", nowhere=tmp_path)
    assert figures["same_losses"] == figures["training_kills"] == 2
    assert figures["playable"] == figures["stream_kills"] == 10

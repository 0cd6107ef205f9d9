"""The instrument is light: importing it does nothing, and it plays where torch cannot be had."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

from partimento.training.export.writer import export_token_model

from support.source import ROOT
from support.tiny_models import system_task

HEAVY = ("matplotlib", "music21", "onnx", "onnxruntime", "safetensors", "symusic", "torch")


def python(script: str, *arguments: str) -> str:
    """Return what a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_importing_does_no_work() -> None:
    script = (
        "import sys, partimento, partimento.cli.main\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert python(script).strip() == "[]"


def test_loading_the_default_model_imports_its_system_alone() -> None:
    """The first note waits for nothing else."""
    script = (
        "import sys; from partimento import api; api.load();"
        "print(*sorted({n.split('.')[2] for n in sys.modules if '.systems.' in n}),"
        "'partimento.evaluation' in sys.modules)"
    )
    assert python(script).split() == ["music_transformer", "False"]


PLAY = """
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

class NoTraining(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "onnx", "safetensors", "matplotlib"):
            raise ImportError(f"{name} is not for the instrument")

sys.meta_path.insert(0, NoTraining())
import partimento

model, out = sys.argv[1], Path(sys.argv[2])
made = partimento.load(model, threads=1).generate(bars=2, seed=7)
made.save(out / "made.mid")
made.save(out / "made.wav")
again = partimento.read(out / "made.mid")
print(len(again.notes) == len(made.score.notes) > 0, made.bar_count)
"""


def test_the_instrument_plays_without_torch(tmp_path: Path) -> None:
    torch.manual_seed(0)
    export_token_model(system_task("music_transformer"), tmp_path / "tiny", {})
    assert python(PLAY, str(tmp_path / "tiny"), str(tmp_path)).strip() == "True 2"
    assert (tmp_path / "made.mid").read_bytes()[:4] == b"MThd"
    assert (tmp_path / "made.wav").read_bytes()[:4] == b"RIFF"

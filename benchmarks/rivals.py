"""Models that are only measured against: ``models/NAME``, their graphs packed for the space.

A model that was trained on from a shipped one is kept as its difference from that, byte by byte;
the file ``against`` names the shipped model. A difference from another version of it is found out,
since model folders have hashes.

Rivals that a command trains again are not kept: they are looked for under ``runs/NAME``, where
their command (``COMMANDS``) puts them, and a benchmark without one says which command to run.
"""

from __future__ import annotations

import lzma
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np

from benchmarks.harness import say
from partimento import catalog

__all__ = ["COMMANDS", "RIVALS", "RUNS", "found", "pack", "rival"]

RIVALS = Path(__file__).resolve().parent / "models"
RUNS = Path(__file__).resolve().parent.parent / "runs"
_CHORALES = "jsb_chorales js_fakes"
_PIANO = "chopin_first_editions:one_edition openscore_lieder:part=piano"
# Steps, where none are stated, are those of the presets: as many tokens as the Music Transformer
# of the same task.
COMMANDS = {
    "jsb-relative": "music_transformer jsb_chorales --preset chorales",
    "jsb-relative-pitch": (
        "music_transformer jsb_chorales --preset chorales_relative_pitch --steps 1800 "
        "--set network.dropout=0.45 --set network.attention_dropout=0.2 "
        "--set training.weight_decay=0.2"
    ),
    "jsb-absolute": "music_transformer jsb_chorales --preset chorales_absolute",
    "jsb-lstm": "performance_rnn jsb_chorales --preset chorales",
    "chorales-lstm": f"performance_rnn {_CHORALES} --preset chorale_pieces",
    "piano-lstm": f"performance_rnn {_PIANO} --preset piano",
}
_DISTILLED = "jsb-distilled"
_PACKED = ".xz"
_AGAINST = "against"


@lru_cache(maxsize=1)
def _room() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="partimento-rivals-")


def found(name: str) -> Path | None:
    """Return the finished run ``runs/NAME``, or None after saying how it is made."""
    if (RUNS / name / "config.json").exists():
        return RUNS / name
    say(f"{name} is not there and left out; train it: {_command(name)}")
    return None


def _command(name: str) -> str:
    if name == _DISTILLED:
        return (
            f"python -m benchmarks.distil {RUNS.name}/jsb-relative-pitch -o {RUNS.name}/{name} "
            "--steps 900"
        )
    return f"python -m partimento train {COMMANDS[name]} -o {RUNS.name}/{name}"


@lru_cache
def rival(name: str) -> Path:
    """Return the model folder of a rival, unpacked until the program ends."""
    place = Path(_room().name) / name
    shutil.copytree(RIVALS / name, place)
    against = place / _AGAINST
    base = catalog.open_model(against.read_text().strip()).path if against.exists() else None
    for packed in place.glob(f"*{_PACKED}"):
        graph = packed.with_suffix("")
        data = lzma.decompress(packed.read_bytes())
        graph.write_bytes(data if base is None else _sum(data, (base / graph.name).read_bytes()))
        packed.unlink()
    return place


def pack(folder: Path, against: str | None = None) -> None:
    """Pack the graphs of a model folder, as their difference from a shipped model if one is named.

    Raises:
        ValueError: if a graph is not as long as that of the shipped model.
    """
    base = None if against is None else catalog.open_model(against).path
    for graph in folder.glob("*.onnx"):
        data = graph.read_bytes()
        if base is not None:
            data = _sum(data, (base / graph.name).read_bytes(), -1)
        packed = lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)
        graph.with_name(f"{graph.name}{_PACKED}").write_bytes(packed)
        graph.unlink()
    if against is not None:
        (folder / _AGAINST).write_text(f"{against}\n")


def _sum(first: bytes, second: bytes, sign: int = 1) -> bytes:
    """Return the bytes of the first plus or minus those of the second, modulo 256."""
    a, b = (np.frombuffer(data, dtype=np.uint8) for data in (first, second))
    return (a + b if sign > 0 else a - b).tobytes()

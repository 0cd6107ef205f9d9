"""Models that are only measured against: ``models/NAME``, their graphs packed for the space."""

from __future__ import annotations

import lzma
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

__all__ = ["RIVALS", "pack", "rival"]

RIVALS = Path(__file__).resolve().parent / "models"
_PACKED = ".xz"


@lru_cache(maxsize=1)
def _room() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="partimento-rivals-")


@lru_cache
def rival(name: str) -> Path:
    """Return the model folder of a rival, unpacked until the program ends."""
    place = Path(_room().name) / name
    shutil.copytree(RIVALS / name, place)
    for packed in place.glob(f"*{_PACKED}"):
        packed.with_suffix("").write_bytes(lzma.decompress(packed.read_bytes()))
        packed.unlink()
    return place


def pack(folder: Path) -> None:
    """Pack the graphs of a model folder."""
    for graph in folder.glob("*.onnx"):
        data = lzma.compress(graph.read_bytes(), preset=9 | lzma.PRESET_EXTREME)
        graph.with_name(f"{graph.name}{_PACKED}").write_bytes(data)
        graph.unlink()

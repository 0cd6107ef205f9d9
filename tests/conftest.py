"""Fixtures that several test modules share."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from partimento import catalog, systems
from partimento.runtime.model_folder import ModelFolder, write_model_folder

FAKES = Path(__file__).parent / "fakes"
CARD = "---\nlicense: CC0-1.0\n---\n# A model that hums\n"

# ``nohup`` has hang-ups ignored, which the program respects; its tests send some.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

MakeModel = Callable[..., ModelFolder]


@pytest.fixture
def make_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeModel:
    """Return a maker of models of the fake system ``hum``, the only ones that are found."""
    root = tmp_path / "models"
    root.mkdir()
    monkeypatch.setattr(systems, "__path__", [*systems.__path__, str(FAKES)])
    monkeypatch.setattr(catalog, "SHIPPED", root)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv(catalog.MODELS_VARIABLE, raising=False)

    def make(name: str = "humming", **config: Any) -> ModelFolder:
        values = {
            "name": name,
            "system": "hum",
            "domain": "humming",
            "representation": {},
            "network": {},
            "parts": {"decoder": {"int8": "int8.onnx", "fp32": "fp32.onnx"}},
            "defaults": {"bars": 4, "tempo": 200.0, "temperature": 0.9},
            "parameters": 1234,
            **config,
        }
        graphs = {"int8.onnx": b"int8", "fp32.onnx": b"fp32"}
        return write_model_folder(root / name, values, graphs, CARD)

    return make


@pytest.fixture
def hum(make_model: MakeModel) -> ModelFolder:
    """Return one model of the fake system ``hum``."""
    return make_model()


@pytest.fixture
def drone(make_model: MakeModel) -> ModelFolder:
    """Return one model of the fake system ``drone``, which makes sound."""
    return make_model("droning", system="drone", defaults={"seconds": 2.0})

"""Servers with models that need no weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from partimento.runtime.model_folder import ModelFolder

from support.serving import Served, opened, served


@pytest.fixture
def client(hum: ModelFolder, tmp_path: Path) -> Iterator[TestClient]:
    """Return a client of a server with the model ``humming``."""
    with opened(tmp_path) as client:
        yield client


@pytest.fixture
def server(hum: ModelFolder, tmp_path: Path) -> Iterator[Served]:
    """Return a server with the model ``humming``, for WebSockets."""
    with served(tmp_path) as server:
        yield server

"""A server for tests, inside this process or in one of its own."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient
from websockets.sync.client import connect

from partimento.server.app import create_app
from partimento.server.run import make_server
from partimento.server.service import Service
from partimento.server.settings import Settings

from support.source import ROOT

__all__ = ["PORT", "Line", "Served", "document", "opened", "running", "served", "service_of"]

PORT = 8421


def document(*pitches: int, bars: int = 2) -> dict[str, Any]:
    """Return a document of one track, a quarter note each pitch."""
    notes = [[480 * index, pitch, 480, 80] for index, pitch in enumerate(pitches)]
    return {"length_ticks": 1920 * bars, "tracks": [{"name": "Hum", "notes": notes}]}


@contextmanager
def opened(folder: Path, **settings: Any) -> Iterator[TestClient]:
    """Yield a client of a server whose projects are in a folder."""
    values = {"port": PORT, "projects": folder / "projects.sqlite3", **settings}
    app = create_app(Settings(**values))
    with TestClient(app, base_url=f"http://127.0.0.1:{PORT}") as client:
        yield client


def service_of(client: TestClient) -> Service:
    """Return what stands behind the routes of a client's server."""
    guard: Any = client.app
    service: Service = guard.app.state.service
    return service


@contextmanager
def running(
    projects: Path, *options: str, verb: str = "serve", port: str = "0"
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Yield the address and the process of a server that was started as a user starts it."""
    command = [sys.executable, "-m", "partimento", verb, "--port", port]
    process = subprocess.Popen(
        [*command, "--projects", str(projects), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=projects.parent,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    errors: list[str] = []
    process.errors = errors  # type: ignore[attr-defined]
    reader = threading.Thread(target=lambda: errors.extend(process.stderr or ()), daemon=True)
    reader.start()
    try:
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found is not None, errors
        yield found[0].rstrip("/"), process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(60)
        process.stdout.close()
        reader.join(10)
        process.stderr.close()


class Line:
    """A WebSocket to a server; its messages are JSON or bytes."""

    def __init__(self, address: str, path: str = "/v1/stream", **options: Any) -> None:
        url = address.replace("http://", "ws://") + path
        self._connecting = connect(url, max_size=None, compression=None, close_timeout=1, **options)

    def __enter__(self) -> Line:
        self.socket = self._connecting.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._connecting.__exit__(*error)

    def say(self, message: Any) -> None:
        """Send text as it is, all else as JSON."""
        self.socket.send(message if isinstance(message, str) else json.dumps(message))

    def next(self, seconds: float = 30.0) -> Any:
        """Return the next message: JSON's value, or bytes."""
        told = self.socket.recv(seconds)
        return json.loads(told) if isinstance(told, str) else told


@dataclass(frozen=True)
class Served:
    """A server in a thread of this process."""

    address: str
    service: Service

    def line(self, path: str = "/v1/stream", **options: Any) -> Line:
        """Return a WebSocket to it."""
        return Line(self.address, path, **options)


@contextmanager
def served(folder: Path, **settings: Any) -> Iterator[Served]:
    """Yield a server on a free port, whose projects are in a folder."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 14)
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        values = {"port": port, "projects": folder / "projects.sqlite3", **settings}
        server = make_server(Settings(**values))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            service = server.config.app.app.state.service
            yield Served(f"http://127.0.0.1:{port}", service)
        finally:
            server.should_exit = True
            thread.join(30)

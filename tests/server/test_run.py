from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from partimento.runtime.model_folder import ModelFolder
from partimento.server import run

from support.serving import Line, document, running, served


def ask(address: str, path: str, body: object = None) -> dict[str, object]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        told: dict[str, object] = json.load(answer)
        return told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_success_and_keeps_what_was_saved(
    tmp_path: Path, number: signal.Signals
) -> None:
    base = tmp_path / "projects.sqlite3"
    with running(base) as (address, process):
        project = ask(address, "/v1/projects", {"name": "song"})
        ask(address, f"/v1/projects/{project['id']}/versions", {"document": document(60)})
        ask(address, "/v1/generate?wait=0", {"options": {"bars": 200}, "num_samples": 16})
        process.send_signal(number)
        assert process.wait(30) == 0
    assert not [line for line in process.errors if "Traceback" in line]  # type: ignore[attr-defined]
    with running(base) as (address, _process):
        assert len(ask(address, f"/v1/projects/{project['id']}")["versions"]) == 1  # type: ignore[arg-type]


def test_a_stream_does_not_hinder_the_end(tmp_path: Path) -> None:
    with running(tmp_path / "projects.sqlite3") as (address, process), Line(address) as line:
        line.say({"type": "start"})
        line.next()
        process.terminate()
        assert process.wait(30) == 0


def test_another_port_is_taken_where_one_is_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        base = tmp_path / "projects.sqlite3"
        with running(base, port=str(port)) as (address, _process):
            assert not address.endswith(f":{port}")
            assert ask(address, "/health")["status"] == "ok"


def test_an_open_address_without_a_token_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "partimento", "serve", "--host", "0.0.0.0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "--token" in done.stderr
    assert "Traceback" not in done.stderr


def test_silent_connections_are_closed(
    hum: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_SILENT_SECONDS", 0.2)
    with served(tmp_path) as server:
        port = int(server.address.rpartition(":")[2])
        idle = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(200)]
        began = time.monotonic()
        for each in idle:
            assert each.recv(1) == b""
            each.close()
        assert time.monotonic() - began < 8
        assert ask(server.address, "/health")["status"] == "ok"


def test_the_log_holds_no_contents(tmp_path: Path) -> None:
    with running(tmp_path / "projects.sqlite3") as (address, process):
        ask(address, "/v1/projects", {"name": "a secret song"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(address, "/v1/generate", {"options": {"key": "a secret key"}})
        refused.value.close()
        os.kill(process.pid, signal.SIGTERM)
        process.wait(30)
        rest = process.stdout.read() if process.stdout else ""
    assert "secret" not in rest + "".join(process.errors)  # type: ignore[attr-defined]

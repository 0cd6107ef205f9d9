"""What a server stands: time to the first bar, streams at once, infilling, slow clients, kills.

Every figure is measured from outside, against ``partimento serve`` in a process of its own with the
models that ship. A stream is without underrun if every bar arrives before the bar before it has
been heard. ``hostile`` counts the attacks that were tried and those that were refused.
"""

from __future__ import annotations

import http.client
import io
import json
import socket
import statistics
import tempfile
import threading
import time
import urllib.error
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from websockets.sync.client import connect

from benchmarks.harness import Options, say, start
from benchmarks.serving import Server, ask, serving

_STREAMS = (1, 2, 4, 8, 16, 32, 50)


def _stream(server: Server) -> Any:
    return connect(f"ws://127.0.0.1:{server.port}/v1/stream", max_size=None, close_timeout=1)


def first_note(server: Server, rounds: int) -> tuple[float, float]:
    """Return the ms from the request to the first bar: the first time, and the median after it."""
    times = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        with _stream(server) as line:
            line.send('{"type": "start"}')
            line.recv(60)
            times.append((time.perf_counter() - began) * 1000)
    return times[0], statistics.median(times[1:])


def _late(server: Server, seconds: float, late: list[float]) -> None:
    """Listen to one stream for a while; note by how much each bar is late."""
    with _stream(server) as line:
        line.send('{"type": "start"}')
        due = None
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            bar = json.loads(line.recv(60))
            now = time.monotonic()
            due = now if due is None else due
            late.append(now - due)
            due += bar["seconds"]


def streams(server: Server, counts: tuple[int, ...], seconds: float) -> int:
    """Return the largest of the counts of streams that all stay in time."""
    best = 0
    for count in counts:
        late: list[float] = []
        threads = [
            threading.Thread(target=_late, args=(server, seconds, late)) for _ in range(count)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        say(f"{count} streams: the latest bar {max(late):+.2f} s")
        if max(late) > 0:
            break
        best = count
    return best


def infill(server: Server, rounds: int) -> float:
    """Return the median ms until the first of four alternatives for 4 bars of one part is there."""
    piece = ask(server.address, "/v1/generate?wait=60", {"options": {"bars": 32}, "seed": 7})
    document = piece["results"][0]["document"]
    body = {"document": document, "bars": "9:12", "tracks": ["Alto"], "num_samples": 4}
    times = []
    for seed in range(rounds + 1):
        began = time.perf_counter()
        job = ask(server.address, "/v1/infill?wait=0", {**body, "seed": seed})
        while not job["results"]:
            job = ask(server.address, f"/v1/jobs/{job['id']}?wait=10")
        times.append((time.perf_counter() - began) * 1000)
        while job["state"] == "running":
            job = ask(server.address, f"/v1/jobs/{job['id']}?wait=10")
    return statistics.median(times[1:])


def slow_client(server: Server, seconds: float) -> float:
    """Return the MB that a client costs who asks for ten minutes of music and never reads."""
    with _stream(server) as line:  # the model is loaded, and the server warm
        line.send('{"type": "start"}')
        line.recv(60)
    before = server.memory_mb
    with socket.create_connection(("127.0.0.1", server.port)) as small:
        small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with connect(
            f"ws://127.0.0.1:{server.port}/v1/stream", sock=small, max_queue=1, close_timeout=1
        ) as line:
            line.send('{"type": "start", "ahead_seconds": 600}')
            time.sleep(seconds)
            return server.memory_mb - before


def lost_after_kill(folder: Path, kills: int) -> int:
    """Kill the server while documents are saved; return how many acknowledged ones are gone."""
    base, acknowledged, lost = folder / "killed.sqlite3", [], 0
    document = {"tracks": [{"name": "a", "notes": [[i * 10, 60, 10, 80] for i in range(2000)]}]}
    for number in range(kills):
        with serving(base) as server:
            for project, version in acknowledged[-20:]:
                try:
                    ask(server.address, f"/v1/projects/{project}/versions/{version}")
                except urllib.error.HTTPError:
                    lost += 1
            project = ask(server.address, "/v1/projects", {"name": f"p{number}"})["id"]
            killer = threading.Timer(0.05 + 0.01 * (number % 20), server.process.kill)
            killer.start()
            try:
                while True:
                    saved = ask(
                        server.address, f"/v1/projects/{project}/versions", {"document": document}
                    )
                    acknowledged.append((project, saved["id"]))
            except (OSError, http.client.HTTPException):
                killer.join()
    with serving(base) as server:
        for project, version in acknowledged:
            try:
                ask(server.address, f"/v1/projects/{project}/versions/{version}")
            except urllib.error.HTTPError:
                lost += 1
    say(f"{len(acknowledged)} documents were acknowledged in {kills} rounds")
    return lost


def health_rate(server: Server, seconds: float) -> float:
    """Return the answers a second to ``GET /health`` on one connection."""
    line = http.client.HTTPConnection("127.0.0.1", server.port)
    count, began = 0, time.monotonic()
    while time.monotonic() - began < seconds:
        line.request("GET", "/health")
        line.getresponse().read()
        count += 1
    line.close()
    return count / seconds


def _status(server: Server, path: str, data: bytes | None = None, **headers: str) -> int:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urlopen(Request(server.address + path, data, given), timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def _form(name: str, data: bytes) -> tuple[bytes, str]:
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return head.encode() + data + b"\r\n--x--\r\n", "multipart/form-data; boundary=x"


def _uploaded(server: Server, name: str, data: bytes) -> int:
    body, kind = _form(name, data)
    return _status(server, "/v1/pieces", body, Content_Type=kind)


def _bomb() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("score.musicxml", b"\0" * (300 << 20))
    return packed.getvalue()


def _gigabyte(server: Server) -> bool:
    with socket.create_connection(("127.0.0.1", server.port), 10) as line:
        line.sendall(
            f"POST /v1/pieces HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            f"Content-Length: {1 << 30}\r\n\r\n".encode()
        )
        return b" 413 " in line.recv(100)


def _idle(server: Server, count: int) -> bool:
    """Return whether the server answers while so many connections say nothing."""
    idle = []
    try:
        for _ in range(count):
            idle.append(socket.create_connection(("127.0.0.1", server.port), 10))
        return _status(server, "/health") == 200
    except OSError as error:
        say(f"only {len(idle)} idle connections could be opened: {error}")
        return False
    finally:
        for each in idle:
            each.close()


def hostile(server: Server, idle: int) -> dict[str, Any]:
    """Try what must be refused; return what was tried, what came through, and what is after."""
    json_kind = {"Content_Type": "application/json"}
    attacks: dict[str, Callable[[], bool]] = {
        "host": lambda: _status(server, "/health", Host="evil.example") == 421,
        "origin": lambda: _status(server, "/health", Origin="http://evil.example") == 403,
        "traversal": lambda: _status(server, "/..%2f..%2fetc/passwd") == 404,
        "model path": lambda: _status(
            server, "/v1/generate", b'{"model": "../../etc"}', **json_kind
        ) == 404,
        "zip bomb": lambda: _uploaded(server, "a.mxl", _bomb()) == 422,
        "gigabyte": lambda: _gigabyte(server),
        "malformed MIDI": lambda: _uploaded(server, "a.mid", b"MThd\0\0\0\6\0\1\xff\xff") == 422,
        "idle sockets": lambda: _idle(server, idle),
    }  # fmt: skip
    through = [name for name, is_refused in attacks.items() if not is_refused()]
    answers = _status(server, "/health") == 200
    return {"tried": len(attacks), "through": through, "answers": answers}


def run(options: Options) -> dict[str, Any]:
    """Measure all of it."""
    quick = options.quick
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with serving(folder / "projects.sqlite3") as server:
            cold, warm = first_note(server, 1 if quick else 9)
            say(f"first bar after {warm:.0f} ms, {cold:.0f} ms with loading the model")
            figures: dict[str, Any] = {
                "first_note_ms": round(warm),
                "first_note_cold_ms": round(cold),
            }
            figures["infill_ms"] = round(infill(server, 1 if quick else 5))
            say(f"first alternative after {figures['infill_ms']} ms")
            figures["slow_client_mb"] = round(slow_client(server, 3 if quick else 60), 1)
            figures["rps_health"] = round(health_rate(server, 0.5 if quick else 5))
            figures["hostile"] = hostile(server, 200 if quick else 10_000)
            say(f"hostile: {figures['hostile']}")
            figures["streams_without_underrun"] = streams(
                server, (1, 2) if quick else _STREAMS, 3 if quick else 20
            )
        figures["lost_after_kill"] = lost_after_kill(folder, 2 if quick else 100)
    return figures


TARGETS: dict[str, Callable[[Any], bool]] = {
    "first_note_ms": lambda ms: ms <= 300,
    "streams_without_underrun": lambda count: count >= 50,
    "infill_ms": lambda ms: ms <= 2000,
    "slow_client_mb": lambda mb: mb <= 20,
    "lost_after_kill": lambda lost: lost == 0,
    "rps_health": lambda rate: rate > 0,
    "hostile": lambda told: not told["through"] and told["answers"],
}

if __name__ == "__main__":
    start(__doc__, run, TARGETS)

"""A server in a process of its own, for the benchmarks of the server and of the studio."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

__all__ = ["Server", "ask", "serving"]

_ROOT = Path(__file__).resolve().parents[1]


class Server:
    """A running server: its address and its process."""

    def __init__(self, address: str, process: subprocess.Popen[str]) -> None:
        self.address, self.process = address, process
        self.port = int(address.rpartition(":")[2])

    @property
    def memory_mb(self) -> float:
        """Resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def serving(projects: Path, verb: str = "serve", *options: str) -> Iterator[Server]:
    """Yield a server on a free port whose projects are in a file."""
    command = [sys.executable, "-m", "partimento", verb, "--port", "0", "--projects", str(projects)]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    process = subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    try:
        found = re.search(r"http://\S+", process.stdout.readline())
        if found is None:
            raise RuntimeError("the server did not start")
        yield Server(found[0].rstrip("/"), process)
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


def ask(address: str, path: str, body: Any = None) -> Any:
    """Return the JSON that a server answers."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(address + path, data, {"Content-Type": "application/json"})
    with urlopen(request, timeout=120) as answer:
        return json.load(answer)

"""Two processes that are told what torchrun tells them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

__all__ = ["run_two_ranks"]


def run_two_ranks(script: str, folder: Path, beside: Path) -> None:
    """Run a script, given ``folder`` as its argument, as both ranks; it may import from ``beside``.

    Raises:
        AssertionError: with what a rank said, if it failed.
    """
    path = folder / "rank.py"
    path.write_text(script)
    paths = os.pathsep.join([str(beside), *(p for p in sys.path if p)])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    told |= {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    ranks = [
        subprocess.Popen(
            [sys.executable, str(path), str(folder)],
            env={**os.environ, **told, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in ranks:
        _, problem = process.communicate(timeout=200)
        assert process.returncode == 0, problem[-2000:]

"""What the server is run with, and the limits that keep it safe."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path

from partimento.errors import NotSupported

__all__ = ["MIB", "Settings", "projects_file"]

MIB = 1 << 20


def projects_file() -> Path:
    """Return the database of this user's projects; it need not exist."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "partimento" / "projects.sqlite3"


@dataclass(frozen=True)
class Settings:
    """One server.

    ``host`` other than loopback needs a ``token``, which every request must then carry.
    ``workers`` models compute at a time, each with one thread, so that clients share the cores.

    Raises:
        NotSupported: if a server that others can reach has no token.
    """

    host: str = "127.0.0.1"
    port: int = 8421
    token: str | None = None
    projects: Path = field(default_factory=projects_file)
    workers: int = 2
    queue: int = 32  # jobs that wait; one more is answered with 429
    upload_bytes: int = 32 * MIB
    idle_seconds: float = 600.0  # after which a model that nobody uses is unloaded
    kept_pieces: int = 512  # pieces of no project that are kept in memory
    streams: int = 64
    page: Path | None = None  # a folder of files that is served at /

    def __post_init__(self) -> None:
        if not self.is_loopback and not self.token:
            raise NotSupported(
                f"{self.host} can be reached by others; give a --token that they must know"
            )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def is_own_host(self, host: str) -> bool:
        """Return whether a Host header names this server (against DNS rebinding).

        A server with a token may stand behind any name: the token is what protects it.
        """
        if self.token or not self.is_loopback:
            return True
        name, _, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
        name, port = (host, "") if not name else (name, port)
        return name.strip("[]") in ("localhost", "127.0.0.1", "::1") and (
            not port or port == str(self.port)
        )

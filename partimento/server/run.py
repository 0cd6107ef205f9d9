"""Running the server: sockets, limits, and a stop that loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from partimento.server.app import create_app
from partimento.server.settings import Settings

__all__ = ["make_server", "run_server"]

_SILENT_SECONDS = 20.0  # after which a connection that has sent nothing is closed
_KEEP_ALIVE_SECONDS = 30
_STOP_SECONDS = 10
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Protocol(H11Protocol):  # type: ignore[misc]  # uvicorn is seen untyped
    """HTTP that closes connections on which nothing is ever sent."""

    def connection_made(self, transport: Any) -> None:
        """Start the clock."""
        super().connection_made(transport)
        self._silence = asyncio.get_running_loop().call_later(_SILENT_SECONDS, transport.close)

    def data_received(self, data: bytes) -> None:
        """Stop the clock: there is a client."""
        self._silence.cancel()
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._silence.cancel()
        super().connection_lost(exc)


class _Server(uvicorn.Server):  # type: ignore[misc]  # uvicorn is seen untyped
    """A server for which Ctrl-C and SIGTERM are the usual end, not a failure."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at a signal; uvicorn would raise it once more afterwards."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self.handle_exit) for each in _SIGNALS}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def run_server(settings: Settings, listening: socket.socket) -> int:
    """Serve until Ctrl-C or SIGTERM; jobs are cancelled then, and what was saved stays."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
    make_server(settings).run(sockets=[listening])
    return 0


def make_server(settings: Settings) -> Any:
    """Return a server that serves once it is ``run``."""
    config = uvicorn.Config(
        create_app(settings),
        http=_Protocol,
        ws="websockets-sansio",
        ws_max_size=1 << 20,
        ws_per_message_deflate=False,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_STOP_SECONDS,
        h11_max_incomplete_event_size=1 << 16,
    )
    return _Server(config)

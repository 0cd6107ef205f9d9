"""``partimento serve`` and ``partimento studio``."""

from __future__ import annotations

import socket
import sys
import webbrowser
from pathlib import Path
from threading import Timer

from partimento.cli import show
from partimento.errors import MissingExtra, NotSupported
from partimento.server.settings import Settings, projects_file
from partimento.studio import PAGE

__all__ = ["serve", "studio"]

_PORT = 8421


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = _PORT,
    token: str | None = None,
    projects: Path | None = None,
    workers: int = 2,
) -> int:
    """Serve HTTP and WebSocket to programs on this machine; the reference is at /docs.

    Parameters
    ----------
    host
        The address to listen on; other than this machine's own needs a token.
    port
        The port; a free one is taken where it is in use.
    token
        What every request must carry (Authorization: Bearer TOKEN).
    projects
        The database of projects; by default in your data folder.
    workers
        How many models compute at a time, each with one thread.
    """
    return _run(host, port, token, projects, workers, with_studio=False, browser=False)


def studio(
    *,
    host: str = "127.0.0.1",
    port: int = _PORT,
    token: str | None = None,
    projects: Path | None = None,
    workers: int = 2,
    no_browser: bool = False,
) -> int:
    """Open the studio in the browser: sketch, realise, listen, try again.

    Parameters
    ----------
    host
        The address to listen on; other than this machine's own needs a token.
    port
        The port; a free one is taken where it is in use.
    token
        What every request must carry; open the page with ?token=TOKEN.
    projects
        The database of projects; by default in your data folder.
    workers
        How many models compute at a time, each with one thread.
    no_browser
        Print the address and open nothing.
    """
    return _run(host, port, token, projects, workers, with_studio=True, browser=not no_browser)


def _run(
    host: str,
    port: int,
    token: str | None,
    projects: Path | None,
    workers: int,
    *,
    with_studio: bool,
    browser: bool,
) -> int:
    try:
        from partimento.server.run import run_server
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("partimento"):
            raise
        raise MissingExtra("the server", "studio") from None
    if not 0 <= port <= 65535:
        raise NotSupported(f"a port is 0..65535, not {port}")
    listening = _listening(host, port)
    bound = int(listening.getsockname()[1])
    if port not in (0, bound):
        show.note(f"port {port} is in use; this is another")
    settings = Settings(
        host=host,
        port=bound,
        token=token,
        projects=projects or projects_file(),
        workers=workers,
        page=PAGE if with_studio else None,
    )
    name = f"[{host}]" if ":" in host else host
    address = f"http://{name}:{bound}/" + (f"?token={token}" if token and with_studio else "")
    show.say(f"Partimento is at {address} (Ctrl-C stops it)")
    sys.stdout.flush()  # for programs that wait for the address
    if browser:
        Timer(0.5, webbrowser.open, [address]).start()
    return run_server(settings, listening)


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens on the port, or on a free one where it is in use.

    Raises:
        NotSupported: if the address is not one of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for each in (port, 0):
        # Named as TCP, its connections send at once; else each answer waits 40 ms for an ACK.
        made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((host, each))
            made.listen(2048)  # whoever comes before the server is up waits
        except OSError as error:
            made.close()
            if each == 0 or error.errno in (13, 99):  # not permitted, not an address of ours
                raise NotSupported(
                    f"{host} port {port} cannot be listened on: {error.strerror}"
                ) from None
            continue
        return made
    raise AssertionError("port 0 is always free")

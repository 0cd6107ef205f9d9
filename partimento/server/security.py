"""Who may ask, and how much: an ASGI wrapper around every request and WebSocket."""

from __future__ import annotations

import hmac
import json
import sys
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from partimento.server.settings import Settings

__all__ = ["Guard"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self' ws: wss:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_DOCS_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class _TooLarge(Exception):
    """A body is longer than is taken."""


class Guard:
    """Refuses foreign hosts (DNS rebinding) and origins, missing tokens, and bodies too large."""

    def __init__(self, app: App, settings: Settings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        problem = self._problem(scope, headers)
        if problem is not None:
            await _refuse(scope, send, *problem)
            return
        if scope["type"] == "websocket":
            await self.app(scope, receive, send)
            return
        await self._http(scope, receive, send)

    def _problem(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        """Return status and reason of a refusal; None where the request may go on."""
        settings = self.settings
        host = headers.get("host", "")
        if not settings.is_own_host(host):
            return 421, f"this server is not called {host!r}; use its address as printed at start"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return 403, f"requests from {origin} are not taken"
        if headers.get("sec-fetch-site") == "cross-site" and origin is None:
            return 403, "requests from other sites are not taken"
        if settings.token and not hmac.compare_digest(
            _token_of(scope, headers).encode(), settings.token.encode()
        ):
            return 401, "a token is needed: send 'Authorization: Bearer TOKEN'"
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > settings.upload_bytes:
            return 413, f"at most {settings.upload_bytes:,} bytes are taken"
        return None

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        taken = 0
        has_begun = False

        async def counted() -> MutableMapping[str, Any]:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self.settings.upload_bytes:
                raise _TooLarge
            return message

        def is_too_large() -> bool:
            return taken > self.settings.upload_bytes

        async def with_headers(message: MutableMapping[str, Any]) -> None:
            nonlocal has_begun
            if is_too_large() and not has_begun:
                raise _TooLarge  # the application took the end of the body for a fault of its own
            if message["type"] == "http.response.start":
                has_begun = True
                policy = _DOCS_POLICY if scope["path"] == "/docs" else _POLICY
                own = [*_HEADERS, (b"content-security-policy", policy.encode())]
                known = {name.lower() for name, _ in message.get("headers", ())}
                message["headers"] = [
                    *message.get("headers", ()),
                    *(pair for pair in own if pair[0] not in known),
                ]
            await send(message)

        try:
            await self.app(scope, counted, with_headers)
        except _TooLarge:
            if not has_begun:
                text = f"at most {self.settings.upload_bytes:,} bytes are taken"
                await _refuse(scope, send, 413, text)
        except Exception as error:
            _log(scope, error)
            if not has_begun:
                text = f"the server failed ({type(error).__name__}); report this"
                await _refuse(scope, send, 500, text)


def _log(scope: Scope, error: Exception) -> None:
    """Say where a fault of ours is; what clients sent is in no log."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{where.filename}:{where.lineno}"
    print(f"partimento: {scope['method']}: {type(error).__name__} at {place}", file=sys.stderr)


def _token_of(scope: Scope, headers: dict[str, str]) -> str:
    """Return the token of a request; a browser's WebSocket and first page send it in the query."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip()
    query: dict[str, list[str]] = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    return query.get("token", [""])[0]


async def _refuse(scope: Scope, send: Send, status: int, reason: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": reason[:120]})
        return
    body = json.dumps({"error": "Refused", "message": reason}).encode()
    headers = [(b"content-type", b"application/json"), *_HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

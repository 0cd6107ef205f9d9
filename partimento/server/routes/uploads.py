"""Files sent to a verb itself: ``multipart/form-data`` becomes the JSON that the verb takes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.datastructures import UploadFile

from partimento.server.documents import piece_of_upload

__all__ = ["MULTIPART", "UploadRoute"]

MULTIPART: dict[str, Any] = {
    "requestBody": {
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "MIDI, MusicXML, ABC, kern or sound",
                        },
                        "request": {
                            "type": "string",
                            "description": "the JSON body, without the piece",
                        },
                    },
                }
            }
        }
    }
}


class UploadRoute(APIRoute):
    """A route of JSON that also takes a form: the piece as ``file``, the rest as ``request``."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, behind the translation of forms."""
        handler = super().get_route_handler()

        async def translated(request: Request) -> Response:
            if request.headers.get("content-type", "").startswith("multipart/form-data"):
                request = await _as_json(request)
            return await handler(request)

        return translated


async def _as_json(request: Request) -> Request:
    service = request.app.state.service
    async with request.form(max_files=1, max_fields=1) as form:
        file, text = form.get("file"), form.get("request", "{}")
        if not isinstance(file, UploadFile):
            raise _invalid("file", "send the piece as a file of this name")
        try:
            body = json.loads(str(text))
        except ValueError:
            raise _invalid("request", "not JSON") from None
        if not isinstance(body, dict):
            raise _invalid("request", "not an object")
        name, data = file.filename or "upload", await file.read()
    read = service.jobs.run(lambda: piece_of_upload(name, data))
    kept = service.keep(await asyncio.wrap_future(read), "uploaded")
    sent = json.dumps({**body, "piece": kept.id}).encode()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": sent, "more_body": False}

    headers = [pair for pair in request.scope["headers"] if pair[0] != b"content-type"]
    headers.append((b"content-type", b"application/json"))
    return Request({**request.scope, "headers": headers}, receive)


def _invalid(field: str, problem: str) -> RequestValidationError:
    return RequestValidationError([{"loc": ("body", field), "msg": problem, "type": "value_error"}])

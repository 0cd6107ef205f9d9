"""What several routes need: the service, and the answers that every route may give."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Depends, Header, HTTPException, Query, Request, Response

from partimento.music import Piece
from partimento.server.documents import MEDIA_TYPES, rendered
from partimento.server.schemas import Problem
from partimento.server.service import Service

__all__ = ["BINARY", "PROBLEMS", "Accept", "Format", "ServiceOf", "bytes_of", "missing", "wanted"]

PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem} for code in (400, 401, 403, 404, 413, 421, 422, 429, 501, 507)
}


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


BINARY: dict[int | str, dict[str, Any]] = {
    200: {"content": {kind: {} for kind in MEDIA_TYPES.values()}}
}

Accept = Annotated[str, Header(max_length=1000)]
Format = Annotated[
    str | None,
    Query(max_length=10, description="json, or bytes: mid, musicxml, wav, ...; else by Accept"),
]
ServiceOf = Annotated[Service, Depends(_service)]


def missing(what: str) -> HTTPException:
    """Return the answer for something that is not there."""
    return HTTPException(404, {"error": "NotFound", "message": f"there is no such {what}"})


def wanted(format: str | None, accept: str) -> str:
    """Return the format that is asked for: that of ``format``, else the first of ``accept``.

    What ``accept`` prefers (``q``) comes first; JSON where it names nothing that there is.
    """
    if format is not None:
        return format
    kinds = {media: kind for kind, media in MEDIA_TYPES.items()}
    kinds |= {"application/json": "json", "*/*": "json"}
    asked = []
    for part in accept.split(","):
        media, *parameters = (each.strip() for each in part.split(";"))
        quality = next((each[2:] for each in parameters if each.startswith("q=")), "1")
        try:
            asked.append((-float(quality), media.lower()))
        except ValueError:
            continue
    return next(
        (kinds[media] for _, media in sorted(asked, key=lambda a: a[0]) if media in kinds), "json"
    )


async def bytes_of(service: Service, piece: Piece, kind: str, name: str) -> Response:
    """Return the answer that is a piece in a format; it is written by a worker.

    Raises:
        NotSupported: for a format that there is not.
    """
    data = await asyncio.wrap_future(service.jobs.run(lambda: rendered(piece, kind)))
    headers = {"Content-Disposition": f'attachment; filename="{name}.{kind}"'}
    return Response(data, media_type=MEDIA_TYPES[kind], headers=headers)

"""What several routes need: the service, and the answers that every route may give."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request

from partimento.server.schemas import Problem
from partimento.server.service import Service

__all__ = ["PROBLEMS", "ServiceOf", "missing"]

PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem} for code in (400, 401, 403, 404, 413, 421, 422, 429, 501, 507)
}


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceOf = Annotated[Service, Depends(_service)]


def missing(what: str) -> HTTPException:
    """Return the answer for something that is not there."""
    return HTTPException(404, {"error": "NotFound", "message": f"there is no such {what}"})

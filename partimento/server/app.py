"""The application: routes, errors as JSON, the guard around all of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

import partimento
from partimento.errors import (
    CannotBeMet,
    ConfigError,
    FileError,
    MissingExtra,
    ModelError,
    MusicError,
    NotSupported,
    PartimentoError,
)
from partimento.server.jobs import Busy
from partimento.server.routes import documents, models, projects, verbs
from partimento.server.security import Guard
from partimento.server.service import Service
from partimento.server.settings import Settings

__all__ = ["create_app"]

_TIDY_SECONDS = 60.0
_STATUS: tuple[tuple[type[PartimentoError], int], ...] = (
    (CannotBeMet, 422),
    (ConfigError, 422),
    (MusicError, 422),
    (NotSupported, 422),
    (ModelError, 404),
    (MissingExtra, 501),
    (FileError, 422),
)


def create_app(settings: Settings) -> Any:
    """Return the ASGI application of a server."""
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        tidying = asyncio.create_task(_tidy(service))
        yield
        tidying.cancel()
        await asyncio.to_thread(service.close)

    app = FastAPI(
        title="Partimento",
        version=partimento.__version__,
        description="Music generation over HTTP. Short work answers at once, long work as a job.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    for module in (models, verbs, documents, projects):
        app.include_router(module.router)
    if settings.page is not None:
        app.mount("/", StaticFiles(directory=settings.page, html=True))
    app.add_exception_handler(PartimentoError, _problem)
    app.add_exception_handler(Busy, _busy)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _fault)
    return Guard(app, settings)


async def _tidy(service: Service) -> None:
    while True:
        await asyncio.sleep(_TIDY_SECONDS)
        with suppress(PartimentoError):  # a full disk now does not end the tidying for good
            await asyncio.to_thread(service.tidy)


async def _problem(_request: Request, error: Exception) -> JSONResponse:
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
    if isinstance(error, FileError) and "cannot be written" in error.problem:
        status = 507
    body = {"error": type(error).__name__, "message": str(error)}
    return JSONResponse(body, status_code=status)


async def _busy(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Busy)
    body = {"error": "Busy", "message": str(error)}
    return JSONResponse(body, status_code=429, headers={"Retry-After": str(error.seconds)})


async def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    detail: Any = error.detail
    body = detail if isinstance(detail, dict) else {"error": "Refused", "message": str(detail)}
    return JSONResponse(body, status_code=error.status_code, headers=error.headers)


async def _fault(_request: Request, error: Exception) -> JSONResponse:
    message = f"the server failed ({type(error).__name__}); report this"
    return JSONResponse({"error": "Fault", "message": message}, status_code=500)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    body = {"error": "ConfigError", "message": f"{where}: {first['msg']}"}
    return JSONResponse(body, status_code=422)

"""Pieces: uploaded, looked at, and given out in any format."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Response, UploadFile

from partimento.errors import NotSupported
from partimento.music import Score
from partimento.server.documents import (
    ScoreDocument,
    piece_of_upload,
    score_of,
)
from partimento.server.routes.shared import (
    BINARY,
    PROBLEMS,
    Accept,
    Format,
    ServiceOf,
    bytes_of,
    missing,
    wanted,
)
from partimento.server.routes.uploads import MULTIPART, UploadRoute
from partimento.server.schemas import EvaluateRequest, PieceAnswer, RenderRequest

__all__ = ["evaluate", "keep_document", "piece", "render", "router", "upload"]

router = APIRouter(prefix="/v1", tags=["pieces"], responses=PROBLEMS)
verbs = APIRouter(route_class=UploadRoute)

PieceId = Annotated[str, Path(max_length=64)]


@router.post("/pieces")
async def upload(file: UploadFile, service: ServiceOf) -> PieceAnswer:
    """Take MIDI, MusicXML, ABC, kern or sound, and return it with an id."""
    data = await file.read()
    name = file.filename or "upload"
    piece = await asyncio.wrap_future(service.jobs.run(lambda: piece_of_upload(name, data)))
    return service.answer(service.keep(piece, "uploaded"))


@router.post("/pieces/document")
async def keep_document(document: ScoreDocument, service: ServiceOf) -> PieceAnswer:
    """Take notes as JSON and return them with an id."""
    return service.answer(service.keep(score_of(document), "sent"))


@router.get("/pieces/{piece_id}", response_model=PieceAnswer, responses=BINARY)
async def piece(
    piece_id: PieceId,
    service: ServiceOf,
    accept: Accept = "application/json",
    format: Format = None,
) -> Response | PieceAnswer:
    """Return a piece as JSON, or in the format that ``format`` or ``Accept`` names."""
    kept = service.find(piece_id)
    if kept is None:
        raise missing("piece")
    kind = wanted(format, accept)
    if kind == "json":
        return service.answer(kept)
    if kind == "recipe":
        text = kept.piece.recipe or "{}"
        return Response(text, media_type="application/json")
    return await bytes_of(service, kept.piece, kind, piece_id)


@verbs.post("/render", response_class=Response, responses=BINARY, openapi_extra=MULTIPART)
async def render(request: RenderRequest, service: ServiceOf) -> Response:
    """Return a piece in another format: sound of notes, MusicXML, a picture."""
    piece = service.piece_of(request.piece, request.document)
    return await bytes_of(service, piece, request.format, "piece")


@verbs.post("/evaluate", openapi_extra=MULTIPART)
async def evaluate(request: EvaluateRequest, service: ServiceOf) -> dict[str, str | None]:
    """Return for each promise that was asked None if it is kept, else where it is broken."""
    piece = service.piece_of(request.piece, request.document)
    if not isinstance(piece, Score):
        raise NotSupported("promises are of notes; send MIDI, MusicXML or a document")
    return service.promises_broken(piece, request.options)


router.include_router(verbs)

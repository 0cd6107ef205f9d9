"""Pieces: uploaded, looked at, and given out in any format."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Response, UploadFile

from partimento.errors import NotSupported
from partimento.music import Score
from partimento.server.documents import (
    MEDIA_TYPES,
    ScoreDocument,
    piece_of_upload,
    rendered,
    score_of,
)
from partimento.server.routes.shared import PROBLEMS, ServiceOf, missing
from partimento.server.schemas import EvaluateRequest, PieceAnswer, RenderRequest

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["pieces"], responses=PROBLEMS)

PieceId = Annotated[str, Path(max_length=64)]
_BINARY: dict[int | str, dict[str, Any]] = {
    200: {"content": {kind: {} for kind in MEDIA_TYPES.values()}}
}


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


@router.get("/pieces/{piece_id}", response_model=PieceAnswer, responses=_BINARY)
async def piece(
    piece_id: PieceId,
    service: ServiceOf,
    accept: Annotated[str, Header()] = "application/json",
    format: Annotated[str | None, Query(max_length=10, description="json, mid, wav, ...")] = None,
) -> Response | PieceAnswer:
    """Return a piece as JSON, or in the format that ``format`` or ``Accept`` names."""
    kept = service.find(piece_id)
    if kept is None:
        raise missing("piece")
    kind = format or next((k for k, media in MEDIA_TYPES.items() if media in accept), "json")
    if kind == "json":
        return service.answer(kept)
    if kind == "recipe":
        text = kept.piece.recipe or "{}"
        return Response(text, media_type="application/json")
    return await _bytes(service, kept.piece, kind, f"{piece_id}.{kind}")


@router.post("/render", response_class=Response, responses=_BINARY)
async def render(request: RenderRequest, service: ServiceOf) -> Response:
    """Return a piece in another format: sound of notes, MusicXML, a picture."""
    piece = service.piece_of(request.piece, request.document)
    return await _bytes(service, piece, request.format, f"piece.{request.format}")


@router.post("/evaluate")
async def evaluate(request: EvaluateRequest, service: ServiceOf) -> dict[str, str | None]:
    """Return for each promise that was asked None if it is kept, else where it is broken."""
    piece = service.piece_of(request.piece, request.document)
    if not isinstance(piece, Score):
        raise NotSupported("promises are of notes; send MIDI, MusicXML or a document")
    return service.promises_broken(piece, request.wishes)


async def _bytes(service: ServiceOf, piece: object, kind: str, name: str) -> Response:
    data = await asyncio.wrap_future(service.jobs.run(lambda: rendered(piece, kind)))  # type: ignore[arg-type]
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(data, media_type=MEDIA_TYPES[kind], headers=headers)

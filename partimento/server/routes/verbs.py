"""The verbs: short work is answered at once, long work by a job."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response, WebSocket
from fastapi.responses import StreamingResponse

from partimento.server.jobs import Job
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
from partimento.server.schemas import (
    AccompanyRequest,
    ContinueRequest,
    GenerateRequest,
    HumanizeRequest,
    InfillRequest,
    InterpolateRequest,
    JobAnswer,
    Problem,
)
from partimento.server.service import Service
from partimento.server.streams import serve_stream

__all__ = [
    "Answering",
    "accompany",
    "answer_of",
    "cancel",
    "continue_",
    "events",
    "generate",
    "humanize",
    "infill",
    "interpolate",
    "job",
    "router",
    "stream",
]

router = APIRouter(prefix="/v1", tags=["verbs"], responses=PROBLEMS)
verbs = APIRouter(route_class=UploadRoute)

Wait = Annotated[
    float,
    Query(ge=0, le=60, description="seconds to wait for the whole; then 202 and the job so far"),
]
JobId = Annotated[str, Path(max_length=64)]


def answer_of(job: Job, service: Service) -> JobAnswer:
    """Return a job as clients see it."""
    problem = None
    if job.error is not None:
        problem = Problem(error=type(job.error).__name__, message=str(job.error))
    return JobAnswer(
        id=job.id,
        verb=job.verb,
        state=job.state,
        done=job.done,
        total=job.total,
        seconds=job.seconds,
        results=[service.answer(kept) for kept in list(job.results)],
        problem=problem,
    )


@dataclass(frozen=True)
class Answering:
    """How an answer is wanted: at once or whole, as JSON or as the bytes of the first piece."""

    service: ServiceOf
    response: Response
    wait: Wait = 10
    accept: Accept = "application/json"
    format: Format = None

    async def of(self, job: Job) -> JobAnswer | Response:
        """Wait for a job for a while; raise what it met, or answer with what there is."""
        await asyncio.to_thread(job.wait, self.wait)
        if job.error is not None:
            raise job.error
        kind = wanted(self.format, self.accept)
        if kind != "json" and job.state == "done":
            return await bytes_of(self.service, job.results[0].piece, kind, job.verb)
        self.response.status_code = 200 if job.is_over else 202
        return answer_of(job, self.service)


AnsweringOf = Annotated[Answering, Depends()]
_JOB: dict[int | str, dict[str, Any]] = {
    **BINARY,
    202: {"model": JobAnswer, "description": "Still at it; ask /v1/jobs/{id}."},
}


@verbs.post("/generate", response_model=JobAnswer, responses=_JOB)
async def generate(
    request: GenerateRequest, service: ServiceOf, answering: AnsweringOf
) -> JobAnswer | Response:
    """Make music from nothing but options."""
    return await answering.of(service.generate(request))


@verbs.post("/continue", response_model=JobAnswer, responses=_JOB, openapi_extra=MULTIPART)
async def continue_(
    request: ContinueRequest, service: ServiceOf, answering: AnsweringOf
) -> JobAnswer | Response:
    """Go on from a piece, all of whose notes are kept."""
    return await answering.of(service.continue_(request))


@verbs.post("/infill", response_model=JobAnswer, responses=_JOB, openapi_extra=MULTIPART)
async def infill(
    request: InfillRequest, service: ServiceOf, answering: AnsweringOf
) -> JobAnswer | Response:
    """Write some bars of some tracks again; every other note stays."""
    return await answering.of(service.infill(request))


@verbs.post("/accompany", response_model=JobAnswer, responses=_JOB, openapi_extra=MULTIPART)
async def accompany(
    request: AccompanyRequest, service: ServiceOf, answering: AnsweringOf
) -> JobAnswer | Response:
    """Add parts to a piece."""
    return await answering.of(service.accompany(request))


@verbs.post("/humanize", response_model=JobAnswer, responses=_JOB, openapi_extra=MULTIPART)
async def humanize(
    request: HumanizeRequest, service: ServiceOf, answering: AnsweringOf
) -> JobAnswer | Response:
    """Give a score the dynamics and the timing of a player."""
    return await answering.of(service.humanize(request))


@verbs.post("/interpolate", response_model=JobAnswer, responses=_JOB)
async def interpolate(
    request: InterpolateRequest, service: ServiceOf, answering: AnsweringOf
) -> JobAnswer | Response:
    """Go from one piece to another in steps."""
    return await answering.of(service.interpolate(request))


@router.get("/jobs/{job_id}", response_model=JobAnswer, responses=BINARY)
async def job(
    job_id: JobId,
    service: ServiceOf,
    wait: Annotated[float, Query(ge=0, le=60, description="seconds to wait for a change")] = 0,
    accept: Accept = "application/json",
    format: Format = None,
) -> JobAnswer | Response:
    """Return how far a job is; in another format than JSON its first piece, once there is one."""
    found = _found(job_id, service)
    await asyncio.to_thread(found.wait, wait, found.version)
    kind = wanted(format, accept)
    if kind != "json" and found.results:
        return await bytes_of(service, found.results[0].piece, kind, found.verb)
    return answer_of(found, service)


@router.delete("/jobs/{job_id}")
async def cancel(job_id: JobId, service: ServiceOf) -> JobAnswer:
    """Cancel a job; what it has made so far stays."""
    found = _found(job_id, service)
    service.jobs.cancel(found)
    await asyncio.to_thread(found.wait, 2)
    return answer_of(found, service)


@router.get("/jobs/{job_id}/events", response_class=StreamingResponse)
async def events(job_id: JobId, service: ServiceOf) -> StreamingResponse:
    """Send the job as server-sent events, whenever it changes, until it is over."""
    found = _found(job_id, service)

    async def stream() -> AsyncIterator[str]:
        seen = -1
        while True:
            version = await asyncio.to_thread(found.wait, 15, seen)
            if version == seen and not found.is_over:
                yield ": still at it\n\n"
                continue
            seen = version
            yield f"data: {json.dumps(answer_of(found, service).model_dump(mode='json'))}\n\n"
            if found.is_over:
                return

    return StreamingResponse(stream(), media_type="text/event-stream")


def _found(job_id: str, service: Service) -> Job:
    found = service.jobs.find(job_id)
    if found is None:
        raise missing("job")
    return found


@router.websocket("/stream")
async def stream(socket: WebSocket) -> None:
    """Play without an end; see ``streams``."""
    await serve_stream(socket, socket.app.state.service)


router.include_router(verbs)

"""The verbs: short work is answered at once, long work by a job."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response, WebSocket
from fastapi.responses import StreamingResponse

from partimento.server.jobs import Job
from partimento.server.routes.shared import PROBLEMS, ServiceOf, missing
from partimento.server.schemas import (
    AccompanyRequest,
    ContinueRequest,
    GenerateRequest,
    HumanizeRequest,
    InfillRequest,
    JobAnswer,
    Problem,
)
from partimento.server.service import Service
from partimento.server.streams import serve_stream

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["verbs"], responses=PROBLEMS)

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


async def _answered(job: Job, wait: float, service: Service, response: Response) -> JobAnswer:
    """Wait for a job for a while; raise what it met, or answer with what there is."""
    await asyncio.to_thread(job.wait, wait)
    if job.error is not None:
        raise job.error
    response.status_code = 200 if job.is_over else 202
    return answer_of(job, service)


@router.post("/generate")
async def generate(
    request: GenerateRequest, service: ServiceOf, response: Response, wait: Wait = 10
) -> JobAnswer:
    """Make music from nothing but wishes."""
    return await _answered(service.generate(request), wait, service, response)


@router.post("/continue")
async def continue_(
    request: ContinueRequest, service: ServiceOf, response: Response, wait: Wait = 10
) -> JobAnswer:
    """Go on from a piece, all of whose notes are kept."""
    return await _answered(service.continue_(request), wait, service, response)


@router.post("/infill")
async def infill(
    request: InfillRequest, service: ServiceOf, response: Response, wait: Wait = 10
) -> JobAnswer:
    """Write some bars of some tracks again; every other note stays."""
    return await _answered(service.infill(request), wait, service, response)


@router.post("/accompany")
async def accompany(
    request: AccompanyRequest, service: ServiceOf, response: Response, wait: Wait = 10
) -> JobAnswer:
    """Add parts to a piece."""
    return await _answered(service.accompany(request), wait, service, response)


@router.post("/humanize")
async def humanize(
    request: HumanizeRequest, service: ServiceOf, response: Response, wait: Wait = 10
) -> JobAnswer:
    """Give a score the dynamics and the timing of a player."""
    return await _answered(service.humanize(request), wait, service, response)


@router.get("/jobs/{job_id}")
async def job(
    job_id: JobId,
    service: ServiceOf,
    wait: Annotated[float, Query(ge=0, le=60, description="seconds to wait for a change")] = 0,
) -> JobAnswer:
    """Return how far a job is."""
    found = _found(job_id, service)
    await asyncio.to_thread(found.wait, wait, found.version)
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
